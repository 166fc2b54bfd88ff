package plan

import (
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/pod/status"
)

// Work is what the caller knows that the world does not show.
type Work struct {
	// InFlight holds the actions that are being performed.
	InFlight map[Key]Action
	// Images says when each image was last ensured.
	Images map[status.Image]time.Time
	// Exceeded says which of the pod's volumes holds more than it may, empty for
	// none.
	Exceeded string
}

// End says whether there is anything left to supervise.
type End string

// The ends of a pod.
const (
	Going    End = ""         // not ended
	Finished End = "finished" // everything ended and is taken down; the record stays
	Removed  End = "removed"  // nothing is left
)

// Plan is what to do now.
type Plan struct {
	// Actions are to be performed at once and side by side. Only a BeginStop or
	// StopContainer may have a key that is in flight: it has a shorter deadline
	// and takes the other's place.
	Actions []Action
	// Cancel names actions in flight that are not wanted any more.
	Cancel []Key
	// Wake is when to ask again at the latest; zero: when something happens.
	Wake time.Time
	End  End
}

const (
	minGrace = 2 * time.Second // kubelet: minimumGracePeriodInSeconds
	// recreateAfter keeps a pause process that dies again and again from
	// being made more often than a kubelet, which looks once a second, would.
	recreateAfter = time.Second
)

// Next decides what is to be done with the pod now.
//
// Rules, as a kubelet has them (kuberuntime_manager.go, computePodActions):
//  1. Images are ensured beside the sandbox's creation. A container is created
//     when its image is there and pause runs, and started when the network is
//     ready and each container before it was started, hook included, or failed
//     to be.
//  2. Init containers come first, one after the other: the next is made when
//     the one before has succeeded, or runs if it is a sidecar. They run again
//     only in a new sandbox. One that fails for good ends the pod.
//  3. A container that ended is made anew when the restart policy says so,
//     after its back-off. What fails is tried again after a back-off.
//  4. A rule can make all containers begin anew: those that run are stopped,
//     then the first init container follows.
//  5. When pause died, all containers are stopped and a new sandbox is made
//     for those that are to run; under Never the pod ends instead.
//  6. When no app container runs or is to run, or the pod's time is up,
//     or a volume holds more than it may, or the machine was rebooted, or the
//     pod is to be stopped, the others are stopped, sidecars last, and then the sandbox.
//  7. A deleted pod's containers are stopped, then all is removed. What was
//     being made is cancelled.
//  8. An ephemeral container waits for none of the others, and none for it. It
//     runs once, whatever becomes of it or the sandbox. One that the pod does
//     not have any more is taken away.
func Next(pod *v1.Pod, obs status.Observed, work Work, now time.Time) Plan {
	s := &scheduler{pod: pod, members: status.Members(pod), obs: &obs, work: work, now: now}
	s.cancelHooks()
	switch {
	case obs.Sandbox.State == status.SandboxRemoved:
		s.plan.End = Removed
	case pod.DeletionTimestamp != nil:
		s.remove()
	case obs.End.Reason != "" && obs.End.At.IsZero():
		s.add(Action{Kind: EndPod, Reason: obs.End.Reason, Cause: obs.End.Message})
	case s.over():
		s.finish()
	case s.expired():
		s.add(Action{Kind: EndPod, Reason: status.ReasonDeadlineExceeded, Cause: deadlineMessage})
	case work.Exceeded != "":
		s.add(Action{Kind: EndPod, Reason: status.ReasonEvicted, Cause: work.Exceeded})
	case s.obs.Lost():
		s.replaceSandbox()
	default:
		s.bringUp()
	}
	return s.plan
}

// scheduler collects a plan.
type scheduler struct {
	pod     *v1.Pod
	members []status.Member
	obs     *status.Observed
	work    Work
	now     time.Time
	plan    Plan
}

// bringUp names what can be done towards all containers running.
func (s *scheduler) bringUp() {
	s.ensureImages()
	switch s.obs.Sandbox.State {
	case status.SandboxAbsent, status.SandboxCreated:
		s.createSandbox(s.obs.Sandbox.Attempt, "the pod has no ready sandbox")
	case status.SandboxExited:
		s.recreateSandbox()
	}
	s.dismiss()
	s.recordExits()
	s.tidy()
	if s.restartAll() || s.clear() {
		return
	}
	for _, m := range s.members {
		if m.Role == status.Ephemeral {
			s.bringUpContainer(m, true)
		}
	}
	past := s.past()
	passed := true // each app container before this one was started, or failed to be
	for i, m := range s.members {
		switch {
		case m.Role == status.Ephemeral:
		case m.Role != status.App:
			if i <= past { // of those before, only sidecars are not done
				s.bringUpContainer(m, true)
			}
		case past >= len(s.pod.Spec.InitContainers):
			s.bringUpContainer(m, passed)
			passed = passed && s.tried(m)
		}
	}
}

// past returns how many init containers the pod is past in its present run.
// The newest instance that there is tells it: what it follows is through, even
// if a sidecar among it does not run now.
func (s *scheduler) past() int {
	inits := len(s.pod.Spec.InitContainers)
	for i := len(s.members) - 1; i >= 0; i-- {
		m := s.members[i]
		newest := s.obs.Newest(m.Name)
		switch {
		case newest == nil || m.Role == status.Ephemeral || !s.obs.Current(newest):
		case m.Role == status.App:
			return inits
		case s.obs.Through(m):
			return i + 1
		default:
			return i
		}
	}
	return 0
}

// restartAll says whether all containers are to begin anew, and names that when
// nothing is being made any more, which would otherwise count as begun anew.
func (s *scheduler) restartAll() bool {
	for _, m := range s.members {
		newest := s.obs.Newest(m.Name)
		if newest == nil || newest.State != status.Exited || !s.obs.Current(newest) || !m.RestartsAll(newest) {
			continue
		}
		if s.cancel(CreateContainer, StartContainer, PostStart); !s.inFlight(CreateContainer, StartContainer, PostStart) {
			s.add(Action{Kind: RestartAll, Cause: fmt.Sprintf("container %s: %s, a rule restarts all containers", m.Name, exitText(newest))})
		}
		return true
	}
	return false
}

// clear stops what is left of an earlier run, and says whether there is any. As
// with a kubelet ephemeral containers do not begin anew with the others.
func (s *scheduler) clear() bool {
	left := false
	for i := range s.obs.Containers {
		c := &s.obs.Containers[i]
		if s.obs.Current(c) || s.ephemeral(c) || c.State != status.Running && c.State != status.Ended {
			continue
		}
		left = true
		if c.State == status.Running {
			s.stop(c, stopping{until: s.now, replace: true, cause: "all containers begin anew"})
		}
	}
	return left
}

func (s *scheduler) bringUpContainer(m status.Member, passed bool) {
	newest := s.obs.Newest(m.Name)
	switch {
	case s.busy(m.Name):
	case newest != nil && newest.State == status.Running:
		s.attend(m, newest)
	case newest != nil && newest.State == status.Created:
		if passed && !s.stale(newest) && !newest.Changed(m.Container) && s.obs.Sandbox.State == status.SandboxReady && s.due(StartContainer, m.Name) {
			s.add(Action{Kind: StartContainer, Container: m.Name, Attempt: newest.Attempt, Cause: "sandbox is ready"})
		}
	default:
		a, wanted := s.wanted(m)
		if wanted && s.pauseRuns() && s.told(m.Container) && s.ensured(m, newest) {
			s.add(a)
		}
	}
}

// attend names what a container that runs is in need of.
func (s *scheduler) attend(m status.Member, c *status.Container) {
	if m.Role != status.Init && c.Changed(m.Container) {
		s.stop(c, stopping{grace: s.grace(), replace: true, cause: "its image has changed",
			message: fmt.Sprintf("Container %s definition changed, will be restarted", m.Name)})
		return
	}
	hooked := m.Lifecycle != nil && m.Lifecycle.PostStart != nil
	kind, sick := s.obs.Sick(m, c)
	switch {
	case hooked && c.PostStart == status.HookPending:
		s.add(Action{Kind: PostStart, Container: m.Name, Attempt: c.Attempt, Cause: "it was started"})
	case hooked && c.PostStart == status.HookFailed:
		s.stop(c, stopping{grace: s.grace(), cause: "its postStart hook failed", message: "FailedPostStartHook"})
	case sick:
		s.stop(c, s.cure(m, kind))
	}
}

// cure is how an instance is stopped whose probe failed. It is started anew,
// whatever it ends with, unless its policy is Never.
func (s *scheduler) cure(m status.Member, kind status.ProbeKind) stopping {
	policy := s.pod.Spec.RestartPolicy
	if m.RestartPolicy != nil {
		policy = v1.RestartPolicy(*m.RestartPolicy)
	}
	how := stopping{grace: s.grace(), replace: policy != v1.RestartPolicyNever, cause: fmt.Sprintf("its %s probe failed", kind)}
	how.message = fmt.Sprintf("Container %s failed %s probe", m.Name, kind)
	if how.replace {
		how.message += ", will be restarted"
	}
	if own := m.Probe(kind).TerminationGracePeriodSeconds; own != nil {
		how.grace = time.Duration(*own) * time.Second
	}
	return how
}

// wanted returns the creation of a container's next instance, if there is one
// to be made now.
func (s *scheduler) wanted(m status.Member) (Action, bool) {
	a := Action{Kind: CreateContainer, Container: m.Name, Image: status.ImageOf(m.Container)}
	newest := s.obs.Newest(m.Name)
	switch {
	case newest == nil:
		a.Cause = "it does not exist"
	case newest.State == status.Registered && !s.stale(newest):
		a.Attempt, a.Backoff, a.Cause = newest.Attempt, newest.Backoff, "its creation was cut short"
	case newest.State == status.Exited && s.obs.Restartable(s.pod, m, newest):
		at, backoff := s.obs.Restart(m, newest)
		if s.later(at) {
			return a, false
		}
		a.Attempt, a.Backoff, a.Cause = newest.Attempt+1, backoff, s.restartCause(m, newest)
	default:
		return a, false
	}
	return a, s.due(CreateContainer, m.Name)
}

// ensureImages names the images that are needed for what is to be created.
// Of one reference only one is ensured at a time: like that, two containers
// that have the same one with different policies get it in the manifest's
// order, and nothing is pulled twice.
func (s *scheduler) ensureImages() {
	busy := map[string]bool{}
	for _, a := range s.work.InFlight {
		if a.Kind == EnsureImage {
			busy[a.Image.Ref] = true
		}
	}
	for _, m := range s.members {
		if busy[m.Image] || s.busy(m.Name) || s.ensured(m, s.obs.Newest(m.Name)) {
			continue
		}
		if _, wanted := s.wanted(m); !wanted {
			continue
		}
		if f, failed := status.ImageFailure(s.pod, s.obs, m.Container); failed && s.later(s.obs.NotBefore(f)) {
			continue
		}
		busy[m.Image] = true
		s.add(Action{Kind: EnsureImage, Container: s.imageOwner(m), Image: status.ImageOf(m.Container), Cause: "container " + m.Name + " is to be created"})
	}
}

// ensured says whether a container's image is there for its next instance. An
// image that is always pulled is asked for again for each instance, and for an
// ephemeral container when another one was made of it, any other one after an
// attempt to use it failed.
func (s *scheduler) ensured(m status.Member, newest *status.Container) bool {
	at, ok := s.work.Images[status.ImageOf(m.Container)]
	if !ok {
		return false
	}
	if f, failed := s.obs.Failures[m.Name]; failed && slices.Contains(causes(CreateContainer), f.Reason) && at.Before(f.At) {
		return false
	}
	switch {
	case m.ImagePullPolicy != v1.PullAlways:
		return true
	case m.Role == status.Ephemeral:
		return !s.used(status.ImageOf(m.Container), at)
	}
	return newest == nil || !newest.Dead() || !at.Before(newest.FinishedAt)
}

// used says whether an instance was made of an image since a time.
func (s *scheduler) used(image status.Image, since time.Time) bool {
	return slices.ContainsFunc(s.obs.Containers, func(c status.Container) bool {
		m, ok := status.MemberOf(s.pod, c.Name)
		return ok && status.ImageOf(m.Container) == image && !c.CreatedAt.Before(since)
	})
}

// imageOwner is the first container that has the image: under its name the
// image's failures are noted.
func (s *scheduler) imageOwner(m status.Member) string {
	i := slices.IndexFunc(s.members, func(other status.Member) bool { return status.ImageOf(other.Container) == status.ImageOf(m.Container) })
	return s.members[i].Name
}

// tried says whether the app containers after this one need not wait for it:
// in the present run it was started and its hook is through, an attempt to
// bring it there failed, or it is not to be started now.
func (s *scheduler) tried(m status.Member) bool {
	if _, failed := status.ContainerFailure(s.pod, s.obs, m.Container); failed {
		return true
	}
	newest := s.obs.Newest(m.Name)
	switch {
	case newest == nil:
		return false
	case newest.State == status.Running:
		return newest.PostStart != status.HookPending || s.launched(m, newest)
	case newest.Dead() && s.obs.Current(newest):
		return true
	case newest.Dead():
		at, _ := s.obs.Restart(m, newest)
		return !s.obs.Restartable(s.pod, m, newest) || s.now.Before(at)
	}
	// It is being made once more; those after it do not wait for that again.
	return slices.ContainsFunc(s.obs.Instances(m.Name), func(c *status.Container) bool { return c.Dead() && s.obs.Current(c) })
}

func (s *scheduler) createSandbox(attempt int, cause string) {
	if !s.inFlight(CreateSandbox) && s.due(CreateSandbox, "") {
		s.add(Action{Kind: CreateSandbox, Attempt: attempt, Cause: cause})
	}
}

func (s *scheduler) pauseRuns() bool {
	return s.obs.Sandbox.State == status.SandboxCreated || s.obs.Sandbox.State == status.SandboxReady
}

func (s *scheduler) restartCause(m status.Member, dead *status.Container) string {
	switch {
	case dead.Replaced:
		return "it was stopped to be replaced"
	case dead.CreatedAt.Before(s.obs.RestartedAt):
		return "all containers begin anew"
	case m.Role == status.Init && !s.obs.Current(dead):
		return "the sandbox is a new one"
	case m.Role == status.Sidecar:
		return exitText(dead) + ", it is a sidecar"
	case m.RestartPolicy != nil:
		return exitText(dead) + ", its own restartPolicy " + string(*m.RestartPolicy)
	}
	return exitText(dead) + ", restartPolicy " + string(s.pod.Spec.RestartPolicy)
}
