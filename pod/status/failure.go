package status

import (
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Reasons of failures, as the kubelet names them. The first group is shown as
// a container's waiting reason; of the second a status never tells.
const (
	ReasonErrImagePull          = "ErrImagePull"
	ReasonErrImageNeverPull     = "ErrImageNeverPull"
	ReasonInvalidImageName      = "InvalidImageName"
	ReasonImageInspect          = "ImageInspectError"
	ReasonRegistryUnavailable   = "RegistryUnavailable"
	ReasonSignatureValidation   = "SignatureValidationFailed"
	ReasonCreateContainer       = "CreateContainerError"
	ReasonCreateContainerConfig = "CreateContainerConfigError"
	ReasonRunContainer          = "RunContainerError"
	ReasonPostStartHook         = "PostStartHookError"

	ReasonCreateSandbox   = "CreatePodSandboxError"
	ReasonKillContainer   = "KillContainerError"
	ReasonRecordExit      = "RecordExitError"
	ReasonRemoveContainer = "RemoveContainerError"
	ReasonKillSandbox     = "KillPodSandboxError"
	ReasonRemovePod       = "RemovePodError"
)

// Reasons that are derived and never reported as a failure.
const (
	ReasonContainerCreating = "ContainerCreating"
	ReasonPodInitializing   = "PodInitializing"
	ReasonImagePullBackOff  = "ImagePullBackOff"
	ReasonCrashLoopBackOff  = "CrashLoopBackOff"
	ReasonCompleted         = "Completed"
	ReasonError             = "Error"
	ReasonOOMKilled         = "OOMKilled"
	ReasonStartError        = "StartError" // of an instance: exit code 128
	ReasonStatusUnknown     = "ContainerStatusUnknown"
	ReasonRestartingAll     = "RestartingAllContainers"
	ReasonDeadlineExceeded  = "DeadlineExceeded" // of a pod
	ReasonEvicted           = "Evicted"          // of a pod
	ReasonRebooted          = "NodeRebooted"     // of a pod
)

// Failure is the last of one or more attempts in a row that failed alike.
type Failure struct {
	Reason, Message string
	At              time.Time // when the last attempt failed
	Count           int       // of attempts, 1 for the first
	Image           string    // that the container had then; empty when it does not matter
}

// retry is how long to wait after a failure: first, doubled with every
// further one up to max.
type retry struct{ first, max time.Duration }

var (
	retryPull = retry{10 * time.Second, 300 * time.Second} // kubelet: image back-off
	retrySync = retry{10 * time.Second, 10 * time.Second}  // kubelet: sync error
	retryTidy = retry{time.Second, 10 * time.Second}       // taking down should not linger
)

var retries = map[string]retry{
	ReasonErrImagePull:        retryPull,
	ReasonRegistryUnavailable: retryPull,
	ReasonSignatureValidation: retryPull,
	ReasonKillContainer:       retryTidy,
	ReasonRecordExit:          retryTidy,
	ReasonRemoveContainer:     retryTidy,
	ReasonKillSandbox:         retryTidy,
	ReasonRemovePod:           retryTidy,
}

// NotBefore returns the time of the next attempt at what failed.
func (o *Observed) NotBefore(f Failure) time.Time {
	r, ok := retries[f.Reason]
	if !ok {
		r = retrySync
	}
	d := r.after(f.Count)
	if r != retryTidy {
		d = time.Duration(float64(d) * float64(o.firstBackoff()) / float64(firstBackoff))
	}
	return f.At.Add(d)
}

func (r retry) after(count int) time.Duration {
	d := r.first
	for ; count > 1 && d < r.max; count-- {
		d *= 2
	}
	return min(d, r.max)
}

// imageReasons are the failures of making an image available.
var imageReasons = map[string]bool{
	ReasonErrImagePull:        true,
	ReasonErrImageNeverPull:   true,
	ReasonInvalidImageName:    true,
	ReasonImageInspect:        true,
	ReasonRegistryUnavailable: true,
	ReasonSignatureValidation: true,
}

var waitingReasons = map[string]bool{
	ReasonCreateContainer:       true,
	ReasonCreateContainerConfig: true,
	ReasonRunContainer:          true,
	ReasonPostStartHook:         true,
}

// Image is what is to be made available for a container. Containers that have
// the same one share its pull and its failures.
type Image struct {
	Ref    string
	Policy v1.PullPolicy
}

// ImageOf returns the image of a container.
func ImageOf(spec *v1.Container) Image {
	return Image{Ref: spec.Image, Policy: spec.ImagePullPolicy}
}

// ImageFailure returns the failure of a container's image, wherever among the
// containers that share it the failure was noted.
func ImageFailure(pod *v1.Pod, obs *Observed, spec *v1.Container) (Failure, bool) {
	for _, other := range Members(pod) {
		if ImageOf(other.Container) != ImageOf(spec) {
			continue
		}
		if f, ok := obs.Failures[other.Name]; ok && imageReasons[f.Reason] && f.concerns(spec) {
			return f, true
		}
	}
	return Failure{}, false
}

// ContainerFailure returns what a container that is to be started waits for
// to be mended: its image, or its own creation or start.
func ContainerFailure(pod *v1.Pod, obs *Observed, spec *v1.Container) (Failure, bool) {
	if f, ok := obs.Failures[spec.Name]; ok && waitingReasons[f.Reason] && f.concerns(spec) {
		return f, true
	}
	return ImageFailure(pod, obs, spec)
}

// concerns says that the failure is of the container as it is now.
func (f Failure) concerns(spec *v1.Container) bool { return f.Image == "" || f.Image == spec.Image }

// freshPull is how long a failed pull is shown as such, before it is shown as
// waiting for the next attempt.
const freshPull = 2 * time.Second

// waiting is how a failure is shown.
func (o *Observed) waiting(f Failure, image string, now time.Time) *v1.ContainerStateWaiting {
	backedOff := now.Sub(f.At) >= freshPull && now.Before(o.NotBefore(f))
	if r, ok := retries[f.Reason]; !ok || r != retryPull || !backedOff {
		return &v1.ContainerStateWaiting{Reason: f.Reason, Message: f.Message}
	}
	return &v1.ContainerStateWaiting{
		Reason:  ReasonImagePullBackOff,
		Message: fmt.Sprintf("Back-off pulling image %q: %s: %s", image, f.Reason, f.Message),
	}
}
