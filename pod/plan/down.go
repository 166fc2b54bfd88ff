package plan

import (
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/pod/status"
)

// over says whether nothing of the pod is to run any more.
func (s *scheduler) over() bool {
	if s.obs.Sandbox.State == status.SandboxStopped {
		return true
	}
	if s.lost() && s.pod.Spec.RestartPolicy == v1.RestartPolicyNever {
		return true
	}
	for i := range s.pod.Spec.Containers {
		spec := &s.pod.Spec.Containers[i]
		newest := s.obs.Newest(spec.Name)
		if newest == nil || newest.State != status.Exited || status.Restartable(s.pod, spec, newest) {
			return false
		}
	}
	return true
}

// lost says whether the sandbox in which containers ran is gone. One that was
// lost before anything ran in it is merely not made yet.
func (s *scheduler) lost() bool {
	if s.obs.Sandbox.State != status.SandboxExited && s.obs.Sandbox.State != status.SandboxAbsent {
		return false
	}
	for i := range s.obs.Containers {
		if c := &s.obs.Containers[i]; c.Dead() || c.State == status.Running {
			return true
		}
	}
	return false
}

// replaceSandbox stops what is left of a sandbox whose pause died, then makes
// the next.
func (s *scheduler) replaceSandbox() {
	s.stopAll(s.graceEnd(), true, "the sandbox died")
	s.recordExits()
	s.tidy()
	if s.quiet() {
		s.recreateSandbox()
	}
}

// recreateSandbox makes the next sandbox once nothing is being done in the
// one that died.
func (s *scheduler) recreateSandbox() {
	sandbox := s.obs.Sandbox
	if s.inFlight(CreateContainer, StartContainer, StopContainer, RecordExit) {
		return
	}
	if sandbox.Attempt > 0 && s.later(sandbox.Since.Add(recreateAfter)) {
		return
	}
	s.createSandbox(sandbox.Attempt+1, "the sandbox died")
}

// finish takes down what is left of a pod that has ended.
func (s *scheduler) finish() {
	s.cancelMaking()
	cause := "the pod has ended"
	if s.lost() {
		cause = "the sandbox died"
	}
	s.stopAll(s.graceEnd(), false, cause)
	s.recordExits()
	s.tidy()
	stopped := s.obs.Sandbox.State == status.SandboxStopped
	switch {
	case !s.quiet() || s.inFlight(CreateSandbox, CreateContainer, StartContainer, StopContainer, RecordExit):
	case !stopped:
		s.stopSandbox("nothing is to run any more")
	case len(s.plan.Actions) == 0 && len(s.work.InFlight) == 0 && s.plan.Wake.IsZero():
		s.plan.End = Finished
	}
}

// remove takes the pod down and away. It writes no exits: nobody will read
// them, and removal must need no space.
func (s *scheduler) remove() {
	s.cancelMaking()
	s.cancel(RecordExit) // it may be waiting for space on the disk
	s.stopAll(s.deletionEnd(), false, "the pod is being deleted")
	switch {
	case s.running() || s.inFlight(CreateSandbox, CreateContainer, StartContainer, StopContainer):
	case len(s.work.InFlight) == 0 && s.due(RemovePod, ""):
		s.add(Action{Kind: RemovePod, Cause: "the pod is being deleted"})
	}
}

// cancelMaking cancels everything in flight that a pod that ends does not need.
func (s *scheduler) cancelMaking() {
	s.cancel(EnsureImage, CreateSandbox, CreateContainer, StartContainer)
}

func (s *scheduler) cancel(kinds ...Kind) {
	for key := range s.work.InFlight {
		if slices.Contains(kinds, key.Kind) {
			s.plan.Cancel = append(s.plan.Cancel, key)
		}
	}
	slices.SortFunc(s.plan.Cancel, compareKeys)
}

func (s *scheduler) stopSandbox(cause string) {
	if !s.inFlight(StopSandbox) && s.due(StopSandbox, "") {
		s.add(Action{Kind: StopSandbox, Cause: cause})
	}
}

// stopAll stops every instance that runs.
func (s *scheduler) stopAll(deadline time.Time, replace bool, cause string) {
	for i := range s.obs.Containers {
		if c := &s.obs.Containers[i]; c.State == status.Running {
			s.stop(c, deadline, replace, cause)
		}
	}
}

// stop stops an instance, or makes the stop that is in flight a shorter one.
func (s *scheduler) stop(c *status.Container, deadline time.Time, replace bool, cause string) {
	a := Action{Kind: StopContainer, Container: c.Name, Attempt: c.Attempt, Deadline: deadline, Replace: replace, Cause: cause}
	if current, ok := s.work.InFlight[a.Key()]; ok {
		if current.Deadline.IsZero() || !deadline.IsZero() && !deadline.Before(current.Deadline) {
			return
		}
		a.Cause += ", with a shorter grace"
	} else if !s.due(StopContainer, c.Name) {
		return
	}
	s.add(a)
}

// recordExits writes down each end that is not yet.
func (s *scheduler) recordExits() {
	for i := range s.obs.Containers {
		c := &s.obs.Containers[i]
		if c.State == status.Ended && !s.busy(c.Name) && s.due(RecordExit, c.Name) {
			s.add(Action{Kind: RecordExit, Container: c.Name, Attempt: c.Attempt, Cause: exitText(c)})
		}
	}
}

// tidy removes what nothing can come of, and all ended instances of a
// container but the newest, whose logs and end are kept.
func (s *scheduler) tidy() {
	for _, name := range s.names() {
		ended := false
		for i, c := range s.obs.Instances(name) {
			cause := ""
			switch {
			case c.State == status.Exited && ended:
				cause = "a newer instance has ended"
			case c.State == status.Exited:
				ended = true
			case i > 0 && (c.State == status.Created || c.State == status.Registered):
				cause = "there is a newer instance"
			case s.stale(c) && (c.State == status.Created || c.State == status.Registered):
				cause = "it belongs to an earlier sandbox"
			}
			a := Action{Kind: RemoveContainer, Container: name, Attempt: c.Attempt, Cause: cause}
			if _, flying := s.work.InFlight[a.Key()]; cause != "" && !flying && !s.busy(name) && s.due(RemoveContainer, name) {
				s.add(a)
			}
		}
	}
}

// names lists the containers of which instances exist, in order.
func (s *scheduler) names() []string {
	var names []string
	for i := range s.obs.Containers {
		names = append(names, s.obs.Containers[i].Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// graceEnd is when a container that is stopped now is killed.
func (s *scheduler) graceEnd() time.Time {
	return s.now.Add(max(time.Duration(podGrace(s.pod))*time.Second, minGrace))
}

// deletionEnd is when the containers of a deleted pod are killed: its grace
// counts from the deletion, and is at least two seconds unless it is none.
func (s *scheduler) deletionEnd() time.Time {
	seconds := podGrace(s.pod)
	if s.pod.DeletionGracePeriodSeconds != nil {
		seconds = *s.pod.DeletionGracePeriodSeconds
	}
	if seconds <= 0 {
		return time.Time{}
	}
	left := min(time.Duration(seconds)*time.Second, s.pod.DeletionTimestamp.Sub(s.now))
	return s.now.Add(max(left, minGrace))
}

// podGrace is the grace, in seconds, that the manifest gives.
func podGrace(pod *v1.Pod) int64 {
	if pod.Spec.TerminationGracePeriodSeconds == nil {
		return v1.DefaultTerminationGracePeriodSeconds
	}
	return *pod.Spec.TerminationGracePeriodSeconds
}

func exitText(c *status.Container) string {
	if c.Reason == status.ReasonStartError {
		return "it could not be started"
	}
	return fmt.Sprintf("exit code %d", c.ExitCode)
}
