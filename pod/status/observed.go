package status

import (
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Observed is what the world shows of one pod at one moment.
type Observed struct {
	// Created is when the pod's record was written.
	Created time.Time
	// HostIPs are the node's addresses, the preferred one first.
	HostIPs []string
	Sandbox Sandbox
	// Containers holds every instance that exists, in any order.
	Containers []Container
	// RestartedAt is when all containers were last made to begin anew in the
	// sandbox that there is, by a rule of one of them; zero for never.
	RestartedAt time.Time
	// Halt says that the pod is to be stopped; nil: it is to run.
	Halt *Halt
	// End is why the pod was ended before its containers had; the zero value
	// when it was not.
	End End
	// BackoffBase is the first back-off after a crash or a failed pull, from
	// which the others follow; zero stands for the kubelet's 10 s.
	BackoffBase time.Duration
	// Probes holds what the probes of containers came to, by container name. It
	// is the supervisor's memory, as Failures is.
	Probes map[string]Probes
	// Conditions holds when conditions became what they are, as far as somebody
	// was there to see it.
	Conditions map[v1.PodConditionType]Condition
	// Failures holds the last failed attempt to bring about something, by
	// container name; "" is the sandbox's. No query of the world can tell it:
	// it is the supervisor's memory.
	Failures map[string]Failure
}

// Halt is the wish that a pod be stopped and its record kept.
type Halt struct {
	At    time.Time
	Grace int64 // in seconds; negative for the pod's own
}

// End is why a pod is ended, in the words of its status.
type End struct {
	Reason, Message string
	At              time.Time // when that was decided; zero: it is not written down yet
}

// rebootMessage is that of a pod that was there when the machine was rebooted.
const rebootMessage = "The machine was rebooted; the pod runs again when it is started"

// Reboot ends a pod, unless it has ended already, because the machine was
// rebooted. It does not run again by itself.
func (o *Observed) Reboot(pod *v1.Pod) {
	if !o.Over(pod) {
		o.End = End{Reason: ReasonRebooted, Message: rebootMessage}
	}
}

// Condition is the status of a condition and since when it has it.
type Condition struct {
	Status v1.ConditionStatus
	Since  time.Time
}

// SandboxState is where a pod's sandbox is in its life.
type SandboxState string

// The states of a sandbox.
const (
	SandboxAbsent  SandboxState = ""        // the record is there, nothing else
	SandboxCreated SandboxState = "Created" // the pause process runs, the network is not ready
	SandboxReady   SandboxState = "Ready"   // the pause process runs, the network is ready
	SandboxExited  SandboxState = "Exited"  // the pause process died
	SandboxStopped SandboxState = "Stopped" // taken down on purpose: the pod has ended
	SandboxRemoved SandboxState = "Removed" // not even the record is left
)

// Sandbox is what a pod's containers share.
type Sandbox struct {
	State SandboxState
	// Attempt counts the sandboxes that the pod had before this one.
	Attempt int
	// StartedAt is when this attempt's pause process was started. A container
	// that is older belongs to an earlier sandbox.
	StartedAt time.Time
	// Since is when State was entered, zero if unknown.
	Since time.Time
	// IPs are the pod's own addresses; empty with the host's network.
	IPs      []string
	PausePID int
}

// ContainerState is where an instance of a container is in its life.
type ContainerState string

// The states of an instance.
const (
	Registered ContainerState = "Registered" // a record without a process: creation was cut short
	Created    ContainerState = "Created"    // the process waits to be started
	Running    ContainerState = "Running"    // the process runs
	Ended      ContainerState = "Ended"      // it ended, or is lost; its exit is not yet in the record
	Exited     ContainerState = "Exited"     // it ended and its exit is in the record
)

// Container is one instance of one of the pod's containers.
type Container struct {
	Name string
	// ID is the instance's containerd ID.
	ID string
	// Attempt is 0 for the first instance: the restart count.
	Attempt int
	State   ContainerState
	PID     int

	CreatedAt, StartedAt, FinishedAt time.Time

	// ExitCode is meaningful when the instance Ended or Exited; death by
	// signal n is 128+n.
	ExitCode  int32
	OOMKilled bool
	// PeakMemory is the most that an instance which was OOMKilled had at a time, in
	// bytes; zero if unknown.
	PeakMemory int64
	// Reason and Message say more about the end; an empty Reason is derived
	// from the exit code. ReasonStartError: the process never ran.
	Reason, Message string

	// Image and ImageID are the resolved name and the digest reference.
	Image, ImageID string
	// ImageRef is the image that the pod named when the instance was made.
	ImageRef string

	// User is who its process runs as, nil if unknown.
	User *v1.LinuxContainerUser

	// Backoff is how long after this instance's end the next one may be made;
	// written down when the instance is created (see Restart).
	Backoff time.Duration
	// Replaced says that it was stopped in order to be started anew, whatever
	// its exit code; written down before the signal is sent.
	Replaced bool
	// PostStart is where the hook is that follows the start, if there is one.
	PostStart HookState
	// StoppingAt is when its graceful end began, zero before; PreStopped says
	// that the hook that comes before the stop signal is through.
	StoppingAt time.Time
	PreStopped bool
}

// HookState is where a hook is.
type HookState string

// The states of a hook.
const (
	HookPending HookState = ""
	HookDone    HookState = "done"
	HookFailed  HookState = "failed"
)

// Dead says that the instance ran and runs no more, or could not be started.
func (c *Container) Dead() bool { return c.State == Ended || c.State == Exited }

// Changed says that the pod names another image by now than the one that the
// instance was made from (kubelet: containerChanged).
func (c *Container) Changed(spec *v1.Container) bool {
	return c.ImageRef != "" && c.ImageRef != spec.Image
}

// Current says whether an instance belongs to the present run of the pod. With
// a new sandbox another run begins, and when all containers are restarted.
func (o *Observed) Current(c *Container) bool {
	return !c.CreatedAt.Before(o.Sandbox.StartedAt) && !c.CreatedAt.Before(o.RestartedAt)
}

// again says that the pod was stopped and then started: with its sandbox all of
// its containers begin anew.
func (o *Observed) again() bool { return o.RestartedAt.Equal(o.Sandbox.StartedAt) }

// Began is when the pod was made, or last started again after it was stopped.
func (o *Observed) Began() time.Time {
	if o.again() && !o.RestartedAt.IsZero() {
		return o.RestartedAt
	}
	return o.Created
}

// Instances returns what exists of the named container, newest first.
func (o *Observed) Instances(name string) []*Container {
	var found []*Container
	for i := range o.Containers {
		if o.Containers[i].Name == name {
			found = append(found, &o.Containers[i])
		}
	}
	slices.SortFunc(found, func(a, b *Container) int { return b.Attempt - a.Attempt })
	return found
}

// Newest returns the newest instance of the named container, nil for none.
func (o *Observed) Newest(name string) *Container {
	if found := o.Instances(name); len(found) > 0 {
		return found[0]
	}
	return nil
}

// Started says whether every container of the pod has started once, as the pod
// has it now: its init containers are through, and each other one runs or ran.
func Started(pod *v1.Pod, obs Observed) bool {
	return !slices.ContainsFunc(Members(pod), func(m Member) bool { return m.Role == App && !obs.startedOnce(pod, m) })
}

// startedOnce does not count what is still to give way to another image, nor
// what ran before a stopped pod was started again.
func (o *Observed) startedOnce(pod *v1.Pod, m Member) bool {
	return slices.ContainsFunc(o.Instances(m.Name), func(c *Container) bool {
		return c.launched(m) && (!o.again() || o.Current(c)) && (!c.Changed(m.Container) || c.Dead() && !o.Restartable(pod, m, c))
	})
}

// Blocked returns why the pod cannot start at present: it was ended, its
// sandbox failed, or the first container, in the order in which they are
// started, that keeps it from that. ok is false when nothing stands in the way.
func Blocked(pod *v1.Pod, obs Observed) (reason, message string, ok bool) {
	if obs.End.Reason != "" && !Started(pod, obs) {
		return obs.End.Reason, obs.End.Message, true
	}
	if f, failed := obs.sandboxFailure(); failed && f.Reason == ReasonCreateSandbox {
		return f.Reason, f.Message, true
	}
	initialized := obs.initialized(pod)
	for _, m := range Members(pod) {
		if m.Role == Ephemeral || m.Role == App && obs.startedOnce(pod, m) || m.Role != App && (initialized || obs.Through(m)) {
			continue
		}
		if reason, message, ok = obs.blocks(pod, m); ok {
			return reason, message, true
		}
	}
	return "", "", false
}

// sandboxFailure is what the sandbox waits for to be mended: to be made, or to be
// taken down.
func (o *Observed) sandboxFailure() (Failure, bool) {
	f, failed := o.Failures[""]
	return f, failed && (f.Reason != ReasonCreateSandbox || o.Sandbox.State != SandboxReady)
}

// blocks says why a container that has not started cannot.
func (o *Observed) blocks(pod *v1.Pod, m Member) (reason, message string, ok bool) {
	if f, failed := ContainerFailure(pod, o, m.Container); failed {
		return f.Reason, f.Message, true
	}
	newest := o.Newest(m.Name)
	switch {
	case newest == nil || !newest.Dead():
		return "", "", false
	case newest.Reason == ReasonStartError && !newest.Changed(m.Container):
		return ReasonRunContainer, newest.Message, true
	case newest.State == Exited && !o.Restartable(pod, m, newest):
		message = fmt.Sprintf("%scontainer %q ended with exit code %d before the pod had started", initial(m), m.Name, newest.ExitCode)
		if newest.Message != "" {
			message += ": " + newest.Message
		}
		return endReason(newest), message, true
	}
	return "", "", false
}

func initial(m Member) string {
	if m.Role == App {
		return ""
	}
	return "init "
}

// initialized says whether the pod got past its init containers in the
// present run: an app container is there.
func (o *Observed) initialized(pod *v1.Pod) bool {
	return slices.ContainsFunc(Members(pod), func(m Member) bool {
		newest := o.Newest(m.Name)
		return m.Role == App && newest != nil && o.Current(newest)
	})
}
