package plan

import (
	v1 "k8s.io/api/core/v1"

	"podrun/pod/status"
)

// Probe names a probe of an instance of a container.
type Probe struct {
	Container string
	Attempt   int
	Kind      status.ProbeKind
}

// Probes names the probes that are to be performed now, over and over (kubelet:
// prober/worker.go): the startup probe until it passed or failed for good, the
// others from then on. A container that is to be stopped is probed for its
// readiness alone.
func Probes(pod *v1.Pod, obs status.Observed) []Probe {
	s := &scheduler{pod: pod, members: status.Members(pod), obs: &obs}
	ending := pod.DeletionTimestamp != nil || s.over()
	var probes []Probe
	for _, m := range s.members {
		c := obs.Newest(m.Name)
		if m.Role == status.Init || c == nil || c.State != status.Running {
			continue
		}
		add := func(kind status.ProbeKind, wanted bool) {
			if wanted && m.Probe(kind) != nil {
				probes = append(probes, Probe{m.Name, c.Attempt, kind})
			}
		}
		_, sick := obs.Sick(m, c)
		up := obs.Up(m, c)
		add(status.Startup, !ending && !sick && !up && s.launched(m, c))
		add(status.Liveness, !ending && !sick && up)
		add(status.Readiness, up)
	}
	return probes
}

// launched says whether the hook after an instance's start is through.
func (s *scheduler) launched(m status.Member, c *status.Container) bool {
	return m.Lifecycle == nil || m.Lifecycle.PostStart == nil || c.PostStart == status.HookDone
}
