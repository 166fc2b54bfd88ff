package status

import (
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conditions returns the pod's conditions in the order of the kubelet
// (kubelet: status/generate.go).
func conditions(pod *v1.Pod, obs *Observed, s *v1.PodStatus, now time.Time) []v1.PodCondition {
	containersReady := readiness(pod, s)
	ready := containersReady
	ready.Type = v1.PodReady
	all := []v1.PodCondition{
		sandboxed(obs), initialization(pod, obs, s), ready, containersReady,
		{Type: v1.PodScheduled, Status: v1.ConditionTrue},
	}
	if restarting(pod, obs) {
		all = append(all, v1.PodCondition{Type: v1.AllContainersRestarting, Status: v1.ConditionTrue})
	}
	if obs.End.Reason == ReasonEvicted {
		all = append(all, v1.PodCondition{Type: v1.DisruptionTarget, Status: v1.ConditionTrue,
			Reason: v1.PodReasonTerminationByKubelet, Message: obs.End.Message})
	}
	for i := range all {
		all[i].ObservedGeneration = pod.Generation
		all[i].LastTransitionTime = metav1.NewTime(since(pod, obs, s, all[i], now))
	}
	return all
}

// since is when a condition became what it is. What nobody saw is derived, from
// the pod's creation on.
func since(pod *v1.Pod, obs *Observed, s *v1.PodStatus, c v1.PodCondition, now time.Time) time.Time {
	seen, ok := obs.Conditions[c.Type]
	if ok && seen.Status == c.Status {
		return seen.Since
	}
	at := time.Time{}
	switch c.Type {
	case v1.PodReadyToStartContainers:
		at = obs.Sandbox.Since
	case v1.PodInitialized:
		at = initializedSince(pod, obs, c.Status)
	case v1.PodReady, v1.ContainersReady:
		at = readySince(pod, obs, s)
	case v1.AllContainersRestarting:
		at = obs.RestartedAt
	case v1.DisruptionTarget:
		at = obs.End.At
	}
	switch {
	case at.Before(seen.Since) || at.IsZero() && ok:
		return now // it has just changed
	case at.IsZero():
		return obs.Created
	}
	return at
}

// Transitions returns what is to be known of a pod's conditions later: when
// each became what it is.
func Transitions(s v1.PodStatus) map[v1.PodConditionType]Condition {
	seen := map[v1.PodConditionType]Condition{}
	for _, c := range s.Conditions {
		seen[c.Type] = Condition{Status: c.Status, Since: c.LastTransitionTime.Time}
	}
	return seen
}

// sandboxed is the condition PodReadyToStartContainers, without its time.
func sandboxed(obs *Observed) v1.PodCondition {
	c := v1.PodCondition{Type: v1.PodReadyToStartContainers, Status: v1.ConditionTrue}
	if obs.Sandbox.State != SandboxReady {
		c.Status, c.Reason = v1.ConditionFalse, "PodSandboxNotReady"
		c.Message = "pod sandbox is not ready"
		if obs.Sandbox.State == SandboxAbsent {
			c.Message = "no pod sandbox exists"
		}
	}
	return c
}

// initialization is the condition Initialized, without its time.
func initialization(pod *v1.Pod, obs *Observed, s *v1.PodStatus) v1.PodCondition {
	c := v1.PodCondition{Type: v1.PodInitialized, Status: v1.ConditionTrue}
	var incomplete []string
	for i := range s.InitContainerStatuses {
		init := &s.InitContainerStatuses[i]
		m, _ := MemberOf(pod, init.Name)
		if m.Role == Init && !init.Ready || m.Role == Sidecar && !*init.Started {
			incomplete = append(incomplete, init.Name)
		}
	}
	switch {
	case s.Phase == v1.PodSucceeded:
		c.Reason = "PodCompleted"
	case len(incomplete) > 0 && !begun(pod, obs):
		c.Status = v1.ConditionFalse
		c.Reason = "ContainersNotInitialized"
		c.Message = fmt.Sprintf("containers with incomplete status: %s", incomplete)
	}
	return c
}

// begun says whether an app container was ever started: the pod counts as
// initialized from then on, also while a new sandbox runs its init containers.
func begun(pod *v1.Pod, obs *Observed) bool {
	return slices.ContainsFunc(Members(pod), func(m Member) bool { return m.Role == App && obs.startedOnce(pod, m) })
}

// restarting says whether containers of an earlier run are still to begin anew.
func restarting(pod *v1.Pod, obs *Observed) bool {
	return slices.ContainsFunc(Members(pod), func(m Member) bool {
		newest := obs.Newest(m.Name)
		return m.Role != Ephemeral && newest != nil && newest.CreatedAt.Before(obs.RestartedAt)
	})
}

// readiness is the condition ContainersReady, without its time.
func readiness(pod *v1.Pod, s *v1.PodStatus) v1.PodCondition {
	c := v1.PodCondition{Type: v1.ContainersReady, Status: v1.ConditionFalse}
	ready := map[string]bool{}
	for _, status := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
		ready[status.Name] = status.Ready
	}
	var unready []string
	for _, m := range Members(pod) {
		if m.Role != Init && m.Role != Ephemeral && !ready[m.Name] {
			unready = append(unready, m.Name)
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

// initializedSince derives when the last init container was through. A sidecar may
// have been started again since: the first app container came after all of them.
func initializedSince(pod *v1.Pod, obs *Observed, is v1.ConditionStatus) time.Time {
	if is != v1.ConditionTrue {
		return time.Time{}
	}
	var since, first time.Time
	for _, m := range Members(pod) {
		for _, c := range obs.Instances(m.Name) {
			at := c.FinishedAt
			switch {
			case !obs.Current(c) || m.Role == Ephemeral:
				continue
			case m.Role == App:
				if first.IsZero() || c.CreatedAt.Before(first) {
					first = c.CreatedAt
				}
				continue
			case m.Role == Sidecar:
				at = latest(c.StartedAt, obs.passedAt(c, Startup))
			}
			since = latest(since, at)
		}
	}
	if !first.IsZero() && first.Before(since) {
		return first
	}
	return since
}

// latest returns the later one of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// readySince derives when readiness became what it is: with the last container
// that got ready, or with the first end of one that was and does not run now.
func readySince(pod *v1.Pod, obs *Observed, s *v1.PodStatus) time.Time {
	var since time.Time
	ready := readiness(pod, s).Status == v1.ConditionTrue
	for _, status := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
		m, _ := MemberOf(pod, status.Name)
		newest := obs.Newest(status.Name)
		switch {
		case m.Role == Init || newest == nil:
		case ready:
			since = latest(since, newest.StartedAt)
			since = latest(since, latest(obs.passedAt(newest, Startup), obs.passedAt(newest, Readiness)))
		case status.State.Running == nil:
			if dead := newestDead(obs, status.Name); dead != nil && obs.wasReady(m, dead) && (since.IsZero() || dead.FinishedAt.Before(since)) {
				since = dead.FinishedAt
			}
		}
	}
	return since
}

func (o *Observed) passedAt(c *Container, kind ProbeKind) time.Time {
	result, _ := o.Probed(c, kind)
	return result.At
}

// wasReady says whether a dead instance was ready when it ended.
func (o *Observed) wasReady(m Member, dead *Container) bool {
	startup, _ := o.Probed(dead, Startup)
	readiness, _ := o.Probed(dead, Readiness)
	return dead.launched(m) && (m.StartupProbe == nil || startup.Passed) && (m.ReadinessProbe == nil || readiness.Passed)
}
