package status

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// Goal is what somebody waits for a pod to come to.
type Goal struct {
	Kind GoalKind
	// Of GoalCondition: the condition and the status that it is to have.
	Condition v1.PodConditionType
	Status    v1.ConditionStatus
}

// GoalKind is a kind of goal.
type GoalKind string

// The kinds of goals.
const (
	GoalStarted   GoalKind = "started"   // each container has started once
	GoalReady     GoalKind = "ready"     // the condition Ready is true
	GoalUp        GoalKind = "up"        // ready, or succeeded without having been
	GoalCompleted GoalKind = "completed" // all containers have succeeded
	GoalDeleted   GoalKind = "deleted"   // nothing of it is left
	GoalCondition GoalKind = "condition"
)

// ParseGoal reads a goal as wait's --for has it: a kind, or condition=TYPE with
// =STATUS, which is True when it is not said.
func ParseGoal(text string) (Goal, error) {
	switch kind := GoalKind(text); kind {
	case GoalStarted, GoalReady, GoalCompleted, GoalDeleted:
		return Goal{Kind: kind}, nil
	}
	condition, ok := strings.CutPrefix(text, string(GoalCondition)+"=")
	name, value, given := strings.Cut(condition, "=")
	if !given {
		value = string(v1.ConditionTrue)
	}
	if !ok || name == "" {
		return Goal{}, fmt.Errorf("%q: not started, ready, completed, deleted or condition=TYPE[=STATUS]", text)
	}
	for _, status := range []v1.ConditionStatus{v1.ConditionTrue, v1.ConditionFalse, v1.ConditionUnknown} {
		if strings.EqualFold(value, string(status)) {
			return Goal{GoalCondition, v1.PodConditionType(name), status}, nil
		}
	}
	return Goal{}, fmt.Errorf("%q: a condition is True, False or Unknown", text)
}

// Verdict is how a pod stands to a goal.
type Verdict struct {
	Reached bool
	// Hopeless says that the pod will never reach it, and Message why. Failed
	// names the container that is to blame, if one is.
	Hopeless bool
	Message  string
	Failed   string
}

// Judge says how a pod, with its status, stands to a goal.
func (g Goal) Judge(pod *v1.Pod, obs Observed) Verdict {
	if g.reached(pod, obs) {
		return Verdict{Reached: true}
	}
	if g.Kind == GoalDeleted {
		return Verdict{}
	}
	switch pod.Status.Phase {
	case v1.PodFailed:
		message, failed := failure(pod, obs)
		return Verdict{Hopeless: true, Message: message, Failed: failed}
	case v1.PodSucceeded:
		return Verdict{Hopeless: true, Message: "it has succeeded already"}
	}
	if reason, message, blocked := Blocked(pod, obs); blocked && certain[reason] {
		return Verdict{Hopeless: true, Message: reason + ": " + message}
	}
	return Verdict{}
}

func (g Goal) reached(pod *v1.Pod, obs Observed) bool {
	succeeded := pod.Status.Phase == v1.PodSucceeded
	switch g.Kind {
	case GoalStarted:
		return Started(pod, obs)
	case GoalReady:
		return podutil.IsPodReady(pod)
	case GoalUp:
		return podutil.IsPodReady(pod) || succeeded
	case GoalCompleted:
		return succeeded
	case GoalCondition:
		for _, c := range pod.Status.Conditions {
			if strings.EqualFold(string(c.Type), string(g.Condition)) {
				return c.Status == g.Status
			}
		}
	}
	return false
}

// certain are the reasons that trying again will not do away with.
var certain = map[string]bool{
	ReasonErrImagePull: true, ReasonErrImageNeverPull: true, ReasonInvalidImageName: true,
	ReasonDeadlineExceeded: true,
}

// failure says why a pod is in phase Failed, and which container is to blame:
// the first one, in the order of the manifest, that did not succeed.
func failure(pod *v1.Pod, obs Observed) (message, container string) {
	if pod.Status.Reason != "" {
		return pod.Status.Reason + ": " + pod.Status.Message, ""
	}
	for _, m := range Members(pod) {
		newest := obs.Newest(m.Name)
		if newest == nil || !newest.Dead() || !newest.failed() || m.Role == Sidecar || m.Role == Ephemeral {
			continue
		}
		message = fmt.Sprintf("%scontainer %q: %s, exit code %d", initial(m), m.Name, endReason(newest), newest.ExitCode)
		if newest.Message != "" {
			message += ": " + newest.Message
		}
		return message, m.Name
	}
	return "it has failed", ""
}

// ExitCode is that of the first container, in the order of the manifest, that
// failed; ok is false when none has.
func ExitCode(pod *v1.Pod, obs Observed) (code int, ok bool) {
	if _, name := failure(pod, obs); name != "" && pod.Status.Phase == v1.PodFailed {
		return int(obs.Newest(name).ExitCode), true
	}
	return 0, false
}
