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
	if s.obs.Sandbox.State == status.SandboxStopped || s.obs.Halt != nil {
		return true
	}
	if s.obs.Lost() && s.pod.Spec.RestartPolicy == v1.RestartPolicyNever {
		return true
	}
	return s.obs.Over(s.pod)
}

// deadlineMessage is the kubelet's, of a pod whose activeDeadlineSeconds are over.
const deadlineMessage = "Pod was active on the node longer than the specified deadline"

// expired says whether the pod's time is up; it counts from its creation,
// or from when it was started again.
func (s *scheduler) expired() bool {
	seconds := s.pod.Spec.ActiveDeadlineSeconds
	return seconds != nil && !s.later(s.obs.Began().Add(time.Duration(*seconds)*time.Second))
}

// replaceSandbox stops what is left of a sandbox whose pause died, then makes
// the next.
func (s *scheduler) replaceSandbox() {
	s.stopAll(stopping{grace: s.grace(), replace: true, ordered: true, cause: "the sandbox died"})
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
	if s.inFlight(CreateContainer, StartContainer, PostStart, BeginStop, StopContainer, RecordExit) {
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
	how := stopping{grace: s.grace(), ordered: true, cause: "the pod has ended"}
	switch halt := s.obs.Halt; {
	case halt != nil:
		how.cause, how.atOnce = "the pod is being stopped", halt.Grace == 0
		if halt.Grace > 0 {
			how.until = halt.At.Add(time.Duration(halt.Grace) * time.Second)
		}
	case s.obs.End.Reason != "":
		how.cause = s.obs.End.Message
	case s.obs.Lost():
		how.cause = "the sandbox died"
	}
	s.stopAll(how)
	s.recordExits()
	s.tidy()
	stopped := s.obs.Sandbox.State == status.SandboxStopped
	switch {
	case !s.quiet() || s.inFlight(CreateSandbox, CreateContainer, StartContainer, PostStart, BeginStop, StopContainer, RecordExit):
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
	s.stopAll(s.deletion())
	switch {
	case s.running() || s.inFlight(CreateSandbox, CreateContainer, StartContainer, PostStart, BeginStop, StopContainer):
	case len(s.work.InFlight) == 0 && s.due(RemovePod, ""):
		s.add(Action{Kind: RemovePod, Cause: "the pod is being deleted"})
	}
}

// cancelMaking cancels everything in flight that a pod that ends does not need.
func (s *scheduler) cancelMaking() {
	s.cancel(EnsureImage, CreateSandbox, CreateContainer, StartContainer, PostStart)
}

// cancelHooks cancels the hooks of instances that have ended.
func (s *scheduler) cancelHooks() {
	for i := range s.obs.Containers {
		if c := &s.obs.Containers[i]; c.State != status.Running {
			s.cancelKey(Key{PostStart, c.Name, c.Attempt})
			s.cancelKey(Key{BeginStop, c.Name, c.Attempt})
		}
	}
}

func (s *scheduler) cancel(kinds ...Kind) {
	for key := range s.work.InFlight {
		if slices.Contains(kinds, key.Kind) {
			s.cancelKey(key)
		}
	}
}

// cancelKey cancels an action if it is in flight.
func (s *scheduler) cancelKey(key Key) {
	if _, ok := s.work.InFlight[key]; ok && !slices.Contains(s.plan.Cancel, key) {
		s.plan.Cancel = append(s.plan.Cancel, key)
		slices.SortFunc(s.plan.Cancel, compareKeys)
	}
}

func (s *scheduler) stopSandbox(cause string) {
	if !s.inFlight(StopSandbox) && s.due(StopSandbox, "") {
		s.add(Action{Kind: StopSandbox, Cause: cause})
	}
}

// stopping says how instances are stopped.
type stopping struct {
	grace time.Duration
	// until is when the grace ends, if that does not follow from when the end
	// of the instance began.
	until   time.Time
	atOnce  bool // kill; there is no grace
	replace bool
	ordered bool // sidecars end after all others, in reverse order
	cause   string
	message string // to users; empty for the usual one
}

// stopAll stops every instance that runs.
func (s *scheduler) stopAll(how stopping) {
	for i := range s.obs.Containers {
		if c := &s.obs.Containers[i]; c.State == status.Running {
			s.stop(c, how)
		}
	}
}

// stop stops an instance (kubelet: killContainer). The hook before the stop
// signal, and the wait for those who end before it, are part of its grace; what
// is left of that for the signal is at least two seconds, in which a hook that is
// not through goes on.
func (s *scheduler) stop(c *status.Container, how stopping) {
	a := Action{Kind: StopContainer, Container: c.Name, Attempt: c.Attempt, Replace: how.replace, Cause: how.cause, Message: how.message}
	end := s.end(c, how)
	_, signalled := s.work.InFlight[a.Key()]
	switch {
	case how.atOnce:
		s.cancelKey(Key{BeginStop, c.Name, c.Attempt})
	case !signalled && s.begins(c, how) && s.later(end):
		a.Kind, a.Deadline = BeginStop, end
		s.addStop(a)
		return
	case !signalled && how.ordered && !s.turn(c) && s.later(end):
		return
	default:
		a.Deadline = s.now.Add(max(end.Sub(s.now), minGrace))
	}
	s.addStop(a)
}

// end is when the grace of an instance ends.
func (s *scheduler) end(c *status.Container, how stopping) time.Time {
	if !how.until.IsZero() {
		return how.until
	}
	if c.StoppingAt.IsZero() {
		return s.now.Add(how.grace)
	}
	return c.StoppingAt.Add(how.grace)
}

// begins says whether something comes before an instance's stop signal that is
// part of its grace, and is not through.
func (s *scheduler) begins(c *status.Container, how stopping) bool {
	m, ok := status.MemberOf(s.pod, c.Name)
	hooked := ok && m.Lifecycle != nil && m.Lifecycle.PreStop != nil
	return ok && !c.PreStopped && (hooked || how.ordered && m.Role == status.Sidecar)
}

// turn says whether all have ended that are to end before an instance: for a
// sidecar all app containers and the sidecars after it.
func (s *scheduler) turn(c *status.Container) bool {
	i := slices.IndexFunc(s.members, func(m status.Member) bool { return m.Name == c.Name })
	if i < 0 || s.members[i].Role != status.Sidecar {
		return true
	}
	return !slices.ContainsFunc(s.members[i+1:], func(m status.Member) bool {
		newest := s.obs.Newest(m.Name)
		return m.Role != status.Init && m.Role != status.Ephemeral && newest != nil && newest.State == status.Running
	})
}

// addStop adds an action that stops, or makes the one that is in flight a
// shorter one.
func (s *scheduler) addStop(a Action) {
	if current, ok := s.work.InFlight[a.Key()]; ok {
		if current.Deadline.IsZero() || !a.Deadline.IsZero() && !a.Deadline.Before(current.Deadline) {
			return
		}
		a.Cause += ", with a shorter grace"
	} else if !s.due(a.Kind, a.Container) {
		return
	}
	s.add(a)
}

// dismiss stops what the pod does not have any more, or is being made of it. What
// is left is for tidy.
func (s *scheduler) dismiss() {
	for key := range s.work.InFlight {
		if key.Container != "" && s.dropped(key.Container) && slices.Contains([]Kind{EnsureImage, CreateContainer, StartContainer}, key.Kind) {
			s.cancelKey(key)
		}
	}
	for i := range s.obs.Containers {
		if c := &s.obs.Containers[i]; c.State == status.Running && s.dropped(c.Name) {
			s.stop(c, stopping{until: s.now, cause: "the pod does not have it any more"})
		}
	}
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
			case c.State != status.Running && c.State != status.Ended && s.dropped(name):
				cause = "the pod does not have it any more"
			case c.State == status.Exited && ended:
				cause = "a newer instance has ended"
			case c.State == status.Exited:
				ended = true
			case i > 0 && (c.State == status.Created || c.State == status.Registered):
				cause = "there is a newer instance"
			case c.State == status.Created && s.changed(c):
				cause = "its image has changed"
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

// grace is what a container has between the stop signal and its end by force.
func (s *scheduler) grace() time.Duration {
	if s.obs.End.Reason == status.ReasonEvicted {
		return minGrace // kubelet: immediateEvictionGracePeriodSeconds
	}
	return time.Duration(podGrace(s.pod)) * time.Second
}

// deletion is how the containers of a deleted pod are stopped: its grace counts
// from the deletion.
func (s *scheduler) deletion() stopping {
	how := stopping{ordered: true, cause: "the pod is being deleted"}
	seconds := podGrace(s.pod)
	if s.pod.DeletionGracePeriodSeconds != nil {
		seconds = *s.pod.DeletionGracePeriodSeconds
	}
	if seconds <= 0 {
		how.atOnce = true
		return how
	}
	how.until = s.pod.DeletionTimestamp.Time
	if latest := s.now.Add(time.Duration(seconds) * time.Second); latest.Before(how.until) {
		how.until = latest
	}
	return how
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
