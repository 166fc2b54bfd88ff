package plan

import (
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"podrun/pod/status"
)

// Succeeded forgets in failures the earlier failures of the same kind of action.
func Succeeded(failures map[string]status.Failure, a Action) {
	if slices.Contains(reasons[a.Kind], failures[a.Container].Reason) {
		delete(failures, a.Container)
	}
}

// Failed notes in failures that an action failed, in place of what was noted
// of its container. A reason that is none of the action's kind stands for the
// kind's usual one. An action that was cancelled is not to be noted.
func Failed(failures map[string]status.Failure, a Action, reason, message string, at time.Time) {
	own := causes(a.Kind)
	f := status.Failure{Reason: reason, Message: message, At: at, Count: 1, Image: a.Image.Ref}
	if !slices.Contains(own, f.Reason) {
		f.Reason = own[0]
	}
	alike := reasons[a.Kind]
	if slices.Contains(reasons[EnsureImage], f.Reason) {
		alike = reasons[EnsureImage]
	}
	if before := failures[a.Container]; slices.Contains(alike, before.Reason) && before.Image == f.Image {
		f.Count = before.Count + 1
	}
	failures[a.Container] = f
}

// causes are the reasons for which a kind of action may fail: the making of a
// container also for the images that are its volumes.
func causes(kind Kind) []string {
	if kind == CreateContainer {
		return slices.Concat(reasons[CreateContainer], reasons[EnsureImage])
	}
	return reasons[kind]
}

// Delete marks a pod as to be deleted with the given grace in seconds, nil for
// the pod's own, and says whether that changed anything: a grace can only be
// made shorter. As in Kubernetes, deletionTimestamp is when the grace ends;
// it is rounded up to the second, which is all that JSON keeps. An explicit
// grace of 0 kills at once, the pod's own is at least 1.
func Delete(pod *v1.Pod, grace *int64, now time.Time) bool {
	seconds := max(podGrace(pod), 1)
	if grace != nil {
		seconds = max(*grace, 0)
	}
	end := now.Add(time.Duration(seconds) * time.Second)
	if whole := end.Truncate(time.Second); whole.Before(end) {
		end = whole.Add(time.Second)
	}
	if pod.DeletionTimestamp != nil {
		shorter := pod.DeletionGracePeriodSeconds != nil && seconds < *pod.DeletionGracePeriodSeconds
		if !shorter || end.After(pod.DeletionTimestamp.Time) && seconds > 0 {
			return false
		}
	}
	pod.DeletionTimestamp = &metav1.Time{Time: end}
	pod.DeletionGracePeriodSeconds = &seconds
	return true
}
