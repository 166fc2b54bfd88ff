package status

import (
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conditions returns the pod's conditions in the order of the kubelet
// (kubelet: status/generate.go).
func conditions(pod *v1.Pod, obs *Observed, s *v1.PodStatus) []v1.PodCondition {
	sandboxed := v1.PodCondition{Type: v1.PodReadyToStartContainers, Status: v1.ConditionTrue}
	if obs.Sandbox.State != SandboxReady {
		sandboxed.Status, sandboxed.Reason = v1.ConditionFalse, "PodSandboxNotReady"
		sandboxed.Message = "pod sandbox is not ready"
		if obs.Sandbox.State == SandboxAbsent {
			sandboxed.Message = "no pod sandbox exists"
		}
	}
	sandboxed.LastTransitionTime = transition(obs, obs.Sandbox.Since)

	initialized := v1.PodCondition{Type: v1.PodInitialized, Status: v1.ConditionTrue}
	if s.Phase == v1.PodSucceeded {
		initialized.Reason = "PodCompleted"
	}
	initialized.LastTransitionTime = transition(obs, time.Time{})

	containersReady := readiness(pod, s)
	containersReady.LastTransitionTime = transition(obs, readySince(obs, s, containersReady.Status))
	ready := containersReady
	ready.Type = v1.PodReady

	scheduled := v1.PodCondition{Type: v1.PodScheduled, Status: v1.ConditionTrue}
	scheduled.LastTransitionTime = transition(obs, time.Time{})

	all := []v1.PodCondition{sandboxed, initialized, ready, containersReady, scheduled}
	for i := range all {
		all[i].ObservedGeneration = pod.Generation
	}
	return all
}

// readiness is the condition ContainersReady, without its time.
func readiness(pod *v1.Pod, s *v1.PodStatus) v1.PodCondition {
	c := v1.PodCondition{Type: v1.ContainersReady, Status: v1.ConditionFalse}
	ready := map[string]bool{}
	for i := range s.ContainerStatuses {
		ready[s.ContainerStatuses[i].Name] = s.ContainerStatuses[i].Ready
	}
	var unready []string
	for i := range pod.Spec.Containers {
		if name := pod.Spec.Containers[i].Name; !ready[name] {
			unready = append(unready, name)
		}
	}
	switch {
	case s.Phase == v1.PodSucceeded:
		c.Reason = "PodCompleted"
	case s.Phase == v1.PodFailed:
		c.Reason = "PodFailed"
	case len(unready) > 0:
		c.Reason = "ContainersNotReady"
		c.Message = fmt.Sprintf("containers with unready status: %s", unready)
	default:
		c.Status = v1.ConditionTrue
	}
	return c
}

// readySince derives when readiness became what it is: with the start of the
// last container, or with the first end of one that does not run now.
func readySince(obs *Observed, s *v1.PodStatus, ready v1.ConditionStatus) time.Time {
	var since time.Time
	for i := range s.ContainerStatuses {
		state := &s.ContainerStatuses[i].State
		if ready == v1.ConditionTrue {
			if state.Running.StartedAt.After(since) {
				since = state.Running.StartedAt.Time
			}
			continue
		}
		dead := newestDead(obs, s.ContainerStatuses[i].Name)
		if state.Running == nil && dead != nil && (since.IsZero() || dead.FinishedAt.Before(since)) {
			since = dead.FinishedAt
		}
	}
	return since
}

// transition is the time of a transition, the pod's creation when unknown.
func transition(obs *Observed, at time.Time) metav1.Time {
	if at.IsZero() {
		at = obs.Created
	}
	return metav1.NewTime(at)
}
