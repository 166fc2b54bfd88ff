package plan

import (
	"cmp"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/container/env"
	"podrun/pod/status"
)

func (s *scheduler) add(a Action) { s.plan.Actions = append(s.plan.Actions, a) }

// later says whether a time is still to come, and has the caller woken then.
func (s *scheduler) later(at time.Time) bool {
	if !s.now.Before(at) {
		return false
	}
	if s.plan.Wake.IsZero() || at.Before(s.plan.Wake) {
		s.plan.Wake = at
	}
	return true
}

// due says whether no failure of this kind keeps an action waiting.
func (s *scheduler) due(kind Kind, name string) bool {
	f, failed := s.obs.Failures[name]
	return !failed || !slices.Contains(reasons[kind], f.Reason) || !s.later(s.obs.NotBefore(f))
}

// inFlight says whether an action of one of the kinds is being performed.
func (s *scheduler) inFlight(kinds ...Kind) bool {
	for key := range s.work.InFlight {
		if slices.Contains(kinds, key.Kind) {
			return true
		}
	}
	return false
}

// busy says whether something is being done with a container.
func (s *scheduler) busy(name string) bool {
	for key := range s.work.InFlight {
		if key.Container == name && key.Kind != EnsureImage {
			return true
		}
	}
	return false
}

// stale says whether an instance belongs to an earlier run than the present one:
// what it would join is gone, or it is to begin anew.
func (s *scheduler) stale(c *status.Container) bool {
	return !s.pauseRuns() || !s.obs.Current(c)
}

// told says whether everything is known that a container is told of its pod.
func (s *scheduler) told(spec *v1.Container) bool {
	return s.obs.Sandbox.State == status.SandboxReady || !env.NeedsAddress(spec)
}

// changed says whether the pod names another image by now than an instance has.
func (s *scheduler) changed(c *status.Container) bool {
	m, ok := status.MemberOf(s.pod, c.Name)
	return ok && c.Changed(m.Container)
}

// ephemeral says whether an instance is of an ephemeral container.
func (s *scheduler) ephemeral(c *status.Container) bool {
	m, ok := status.MemberOf(s.pod, c.Name)
	return ok && m.Role == status.Ephemeral
}

// dropped says whether the pod does not have a container any more.
func (s *scheduler) dropped(name string) bool {
	_, ok := status.MemberOf(s.pod, name)
	return !ok
}

// running says whether a process of any container runs.
func (s *scheduler) running() bool {
	return slices.ContainsFunc(s.obs.Containers, func(c status.Container) bool { return c.State == status.Running })
}

// quiet says whether no process runs and all ends are written down.
func (s *scheduler) quiet() bool {
	return !s.running() && !slices.ContainsFunc(s.obs.Containers, func(c status.Container) bool { return c.State == status.Ended })
}

// compareKeys orders keys for output that does not change between two calls.
func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Container, b.Container), cmp.Compare(a.Attempt, b.Attempt))
}
