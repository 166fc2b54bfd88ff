package status

import (
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
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
	// Failures holds the last failed attempt to bring about something, by
	// container name; "" is the sandbox's. No query of the world can tell it:
	// it is the supervisor's memory.
	Failures map[string]Failure
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
	// Reason and Message say more about the end; an empty Reason is derived
	// from the exit code. ReasonStartError: the process never ran.
	Reason, Message string

	// Image and ImageID are the resolved name and the digest reference.
	Image, ImageID string

	// Backoff is how long after this instance's end the next one may be made;
	// written down when the instance is created (see Restart).
	Backoff time.Duration
	// Replaced says that it was stopped in order to be started anew, whatever
	// its exit code; written down before the signal is sent.
	Replaced bool
}

// Dead says that the instance ran and runs no more, or could not be started.
func (c *Container) Dead() bool { return c.State == Ended || c.State == Exited }

// started says that the instance's process ran at some time.
func (c *Container) started() bool {
	return c.State == Running || c.Dead() && c.Reason != ReasonStartError
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

// Restartable says whether a dead instance is to be followed by another one
// (kubelet: ContainerShouldRestart), the pod's deletion aside.
func Restartable(pod *v1.Pod, spec *v1.Container, dead *Container) bool {
	return dead.Replaced || podutil.ContainerShouldRestart(*spec, pod.Spec, dead.ExitCode)
}

// Started says whether every container of the pod has started once.
func Started(pod *v1.Pod, obs Observed) bool {
	for i := range pod.Spec.Containers {
		if !startedOnce(&obs, pod.Spec.Containers[i].Name) {
			return false
		}
	}
	return true
}

func startedOnce(obs *Observed, name string) bool {
	return slices.ContainsFunc(obs.Instances(name), (*Container).started)
}

// Blocked returns why the pod cannot start at present: the failure of its
// sandbox, or of the first container in the manifest's order that has not
// started yet. ok is false when nothing stands in the way.
func Blocked(pod *v1.Pod, obs Observed) (reason, message string, ok bool) {
	if f, failed := obs.Failures[""]; failed && f.Reason == ReasonCreateSandbox && obs.Sandbox.State != SandboxReady {
		return f.Reason, f.Message, true
	}
	for i := range pod.Spec.Containers {
		spec := &pod.Spec.Containers[i]
		if startedOnce(&obs, spec.Name) {
			continue
		}
		if f, failed := ContainerFailure(pod, &obs, spec); failed {
			return f.Reason, f.Message, true
		}
		if newest := obs.Newest(spec.Name); newest != nil && newest.Dead() {
			return ReasonRunContainer, newest.Message, true
		}
	}
	return "", "", false
}
