package plan

import (
	"cmp"
	"slices"
	"time"

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
	return !failed || !slices.Contains(reasons[kind], f.Reason) || !s.later(f.NotBefore())
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

// stale says whether an instance belongs to an earlier sandbox than the one
// there is: what it would join is gone.
func (s *scheduler) stale(c *status.Container) bool {
	return !s.pauseRuns() || c.CreatedAt.Before(s.obs.Sandbox.StartedAt)
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
