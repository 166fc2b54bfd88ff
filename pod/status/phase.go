package status

import (
	"slices"

	v1 "k8s.io/api/core/v1"
)

// tally counts a pod's containers by what their statuses show, as the kubelet's
// getPhase does.
type tally struct {
	pendingInit, pendingSidecar bool
	failedInit                  bool // for good
	active                      bool // an app container runs or ran
	running, waiting, stopped   int
	succeeded, restartable      int // of stopped
}

// phase is the kubelet's getPhase. A sandbox that was stopped on purpose makes
// the pod terminal.
func phase(pod *v1.Pod, obs *Observed, s *v1.PodStatus) v1.PodPhase {
	t := count(pod, obs, s)
	terminal := obs.Sandbox.State == SandboxStopped
	switch {
	case obs.End.Reason != "" || t.failedInit:
		return v1.PodFailed
	case !terminal && (t.pendingInit || t.pendingSidecar && !t.active):
		return v1.PodPending
	case t.waiting > 0:
		return v1.PodPending
	case t.running > 0:
		return v1.PodRunning
	case !terminal && (t.restartable > 0 || obs.unrecorded(pod)):
		return v1.PodRunning
	case t.stopped == t.succeeded:
		return v1.PodSucceeded
	default:
		return v1.PodFailed
	}
}

// unrecorded says whether a container that counts has ended of which it is not
// written down yet how. A pod is not over before.
func (o *Observed) unrecorded(pod *v1.Pod) bool {
	return slices.ContainsFunc(o.Containers, func(c Container) bool {
		m, ok := MemberOf(pod, c.Name)
		return c.unrecorded() && ok && m.Role != Ephemeral
	})
}

// unrecorded says that an instance has ended and that it is not written down yet
// how: that it ran out of memory, or left a message, may still come.
func (c *Container) unrecorded() bool { return c.State == Ended && c.Reason != ReasonStatusUnknown }

func count(pod *v1.Pod, obs *Observed, s *v1.PodStatus) tally {
	var t tally
	_, failed := obs.FailedInit(pod)
	t.failedInit = failed != nil
	for i := range s.InitContainerStatuses {
		t.addInit(pod, obs, &s.InitContainerStatuses[i])
	}
	for i := range s.ContainerStatuses {
		t.addApp(pod, obs, &s.ContainerStatuses[i])
	}
	return t
}

func (t *tally) addInit(pod *v1.Pod, obs *Observed, s *v1.ContainerStatus) {
	m, _ := MemberOf(pod, s.Name)
	waits := s.State.Waiting != nil && s.LastTerminationState.Terminated == nil
	switch {
	case m.Role == Init:
		t.pendingInit = t.pendingInit || !obs.Through(m) && !obs.initialized(pod)
	case s.State.Running != nil:
		t.running++
		t.pendingSidecar = t.pendingSidecar || !*s.Started
	case waits:
		t.waiting++
		t.pendingSidecar = true
	}
}

func (t *tally) addApp(pod *v1.Pod, obs *Observed, s *v1.ContainerStatus) {
	end := s.State.Terminated
	if s.State.Waiting != nil {
		end = s.LastTerminationState.Terminated
	}
	t.active = t.active || s.State.Running != nil || end != nil
	switch {
	case s.State.Running != nil:
		t.running++
	case end == nil:
		t.waiting++
	default:
		t.stopped++
		if end.ExitCode == 0 {
			t.succeeded++
		}
		m, _ := MemberOf(pod, s.Name)
		if dead := newestDead(obs, s.Name); dead != nil && obs.Restartable(pod, m, dead) {
			t.restartable++
		}
	}
}

func newestDead(obs *Observed, name string) *Container {
	for _, c := range obs.Instances(name) {
		if c.Dead() {
			return c
		}
	}
	return nil
}
