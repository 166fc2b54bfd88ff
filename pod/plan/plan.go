package plan

import (
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
	// Actions are to be performed at once and side by side. Only a
	// StopContainer may have a key that is in flight: it has a shorter
	// deadline and takes the other's place.
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
//     ready and each container before it was started, or failed to be.
//  2. A container that ended is made anew when the restart policy says so,
//     after its back-off. What fails is tried again after a back-off.
//  3. When pause died, all containers are stopped and a new sandbox is made
//     for those that are to run; under Never the pod ends instead.
//  4. When nothing runs and nothing is to run, the sandbox is stopped.
//  5. A deleted pod's containers are stopped, then all is removed. What was
//     being made is cancelled.
func Next(pod *v1.Pod, obs status.Observed, work Work, now time.Time) Plan {
	s := &scheduler{pod: pod, obs: &obs, work: work, now: now}
	switch {
	case obs.Sandbox.State == status.SandboxRemoved:
		s.plan.End = Removed
	case pod.DeletionTimestamp != nil:
		s.remove()
	case s.over():
		s.finish()
	case s.lost():
		s.replaceSandbox()
	default:
		s.bringUp()
	}
	return s.plan
}

// scheduler collects a plan.
type scheduler struct {
	pod  *v1.Pod
	obs  *status.Observed
	work Work
	now  time.Time
	plan Plan
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
	s.recordExits()
	s.tidy()
	passed := true // each container before this one was started, or failed to be
	for i := range s.pod.Spec.Containers {
		spec := &s.pod.Spec.Containers[i]
		s.bringUpContainer(spec, passed)
		passed = passed && s.tried(spec)
	}
}

func (s *scheduler) bringUpContainer(spec *v1.Container, passed bool) {
	newest := s.obs.Newest(spec.Name)
	switch {
	case s.busy(spec.Name):
	case newest != nil && newest.State == status.Running:
		if s.stale(newest) {
			s.stop(newest, s.graceEnd(), true, "it belongs to an earlier sandbox")
		}
	case newest != nil && newest.State == status.Created:
		if passed && !s.stale(newest) && s.obs.Sandbox.State == status.SandboxReady && s.due(StartContainer, spec.Name) {
			s.add(Action{Kind: StartContainer, Container: spec.Name, Attempt: newest.Attempt, Cause: "sandbox is ready"})
		}
	default:
		a, wanted := s.wanted(spec)
		if wanted && s.pauseRuns() && s.ensured(spec, newest) {
			s.add(a)
		}
	}
}

// wanted returns the creation of a container's next instance, if there is one
// to be made now.
func (s *scheduler) wanted(spec *v1.Container) (Action, bool) {
	a := Action{Kind: CreateContainer, Container: spec.Name}
	newest := s.obs.Newest(spec.Name)
	switch {
	case newest == nil:
		a.Cause = "it does not exist"
	case newest.State == status.Registered && !s.stale(newest):
		a.Attempt, a.Backoff, a.Cause = newest.Attempt, newest.Backoff, "its creation was cut short"
	case newest.State == status.Exited && status.Restartable(s.pod, spec, newest):
		at, backoff := status.Restart(newest)
		if s.later(at) {
			return a, false
		}
		a.Attempt, a.Backoff, a.Cause = newest.Attempt+1, backoff, restartCause(s.pod, newest)
	default:
		return a, false
	}
	return a, s.due(CreateContainer, spec.Name)
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
	for i := range s.pod.Spec.Containers {
		spec := &s.pod.Spec.Containers[i]
		if busy[spec.Image] || s.busy(spec.Name) || s.ensured(spec, s.obs.Newest(spec.Name)) {
			continue
		}
		if _, wanted := s.wanted(spec); !wanted {
			continue
		}
		if f, failed := status.ImageFailure(s.pod, s.obs, spec); failed && s.later(f.NotBefore()) {
			continue
		}
		busy[spec.Image] = true
		s.add(Action{Kind: EnsureImage, Container: s.imageOwner(spec), Image: status.ImageOf(spec), Cause: "container " + spec.Name + " is to be created"})
	}
}

// ensured says whether a container's image is there for its next instance. An
// image that is always pulled is asked for again for each instance, any other
// one after an attempt to use it failed.
func (s *scheduler) ensured(spec *v1.Container, newest *status.Container) bool {
	at, ok := s.work.Images[status.ImageOf(spec)]
	if !ok {
		return false
	}
	if f, failed := s.obs.Failures[spec.Name]; failed && slices.Contains(reasons[CreateContainer], f.Reason) && at.Before(f.At) {
		return false
	}
	again := spec.ImagePullPolicy == v1.PullAlways && newest != nil && newest.Dead()
	return !again || !at.Before(newest.FinishedAt)
}

// imageOwner is the first container that has the image: under its name the
// image's failures are noted.
func (s *scheduler) imageOwner(spec *v1.Container) string {
	i := slices.IndexFunc(s.pod.Spec.Containers, func(c v1.Container) bool { return status.ImageOf(&c) == status.ImageOf(spec) })
	return s.pod.Spec.Containers[i].Name
}

// tried says whether the containers after this one need not wait for it: it
// was started once, or an attempt to bring it there failed.
func (s *scheduler) tried(spec *v1.Container) bool {
	for _, c := range s.obs.Instances(spec.Name) {
		if c.State == status.Running || c.Dead() {
			return true
		}
	}
	_, failed := status.ContainerFailure(s.pod, s.obs, spec)
	return failed
}

func (s *scheduler) createSandbox(attempt int, cause string) {
	if !s.inFlight(CreateSandbox) && s.due(CreateSandbox, "") {
		s.add(Action{Kind: CreateSandbox, Attempt: attempt, Cause: cause})
	}
}

func (s *scheduler) pauseRuns() bool {
	return s.obs.Sandbox.State == status.SandboxCreated || s.obs.Sandbox.State == status.SandboxReady
}

func restartCause(pod *v1.Pod, dead *status.Container) string {
	if dead.Replaced {
		return "it was stopped to be replaced"
	}
	return exitText(dead) + ", restartPolicy " + string(pod.Spec.RestartPolicy)
}
