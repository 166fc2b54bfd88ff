package status

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// Role is what a container is in the life of its pod.
type Role string

// The roles of containers.
const (
	Init      Role = "init"    // runs to its end before what follows it is started
	Sidecar   Role = "sidecar" // an init container that is kept running beside the others
	App       Role = "app"
	Ephemeral Role = "ephemeral" // added to the living pod: runs once, and counts for nothing
)

// Member is one of a pod's containers, as the pod's record has it.
type Member struct {
	*v1.Container
	Role Role
	// Target is the container whose processes an ephemeral one shares; empty for
	// none.
	Target string
}

// Members returns the containers of a pod in the order in which they are
// started: the init containers, then the others. Ephemeral containers, which
// wait for none of them, come last, as kubectl lists them.
func Members(pod *v1.Pod) []Member {
	members := make([]Member, 0, len(pod.Spec.InitContainers)+len(pod.Spec.Containers)+len(pod.Spec.EphemeralContainers))
	for i := range pod.Spec.InitContainers {
		spec := &pod.Spec.InitContainers[i]
		role := Init
		if podutil.IsRestartableInitContainer(spec) {
			role = Sidecar
		}
		members = append(members, Member{Container: spec, Role: role})
	}
	for i := range pod.Spec.Containers {
		members = append(members, Member{Container: &pod.Spec.Containers[i], Role: App})
	}
	for i := range pod.Spec.EphemeralContainers {
		c := &pod.Spec.EphemeralContainers[i]
		members = append(members, Member{(*v1.Container)(&c.EphemeralContainerCommon), Ephemeral, c.TargetContainerName})
	}
	return members
}

// MemberOf returns the pod's container of that name.
func MemberOf(pod *v1.Pod, name string) (Member, bool) {
	for _, m := range Members(pod) {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// hooked says whether the container has a hook that is run after each start.
func (m Member) hooked() bool { return m.Lifecycle != nil && m.Lifecycle.PostStart != nil }

// RestartsAll says whether a dead instance makes all containers of its pod
// begin anew, by a rule of its own.
func (m Member) RestartsAll(dead *Container) bool {
	if m.RestartPolicy == nil || dead.Replaced {
		return false
	}
	rule, ok := podutil.FindMatchingContainerRestartRule(*m.Container, dead.ExitCode)
	return ok && rule.Action == v1.ContainerRestartRuleActionRestartAllContainers
}

// Restartable says whether a dead instance is to be followed by another one,
// the pod's deletion aside (kubelet: ContainerShouldRestart and, for init
// containers, computeInitContainerActions).
func (o *Observed) Restartable(pod *v1.Pod, m Member, dead *Container) bool {
	switch {
	case m.Role == Ephemeral:
		return false
	case dead.Replaced, m.Role == Sidecar, dead.CreatedAt.Before(o.RestartedAt), m.RestartsAll(dead):
		return true
	case m.Role == Init && !o.Current(dead):
		return true // a new sandbox begins with the first init container
	case m.Role == Init && !dead.failed():
		return false
	}
	code := dead.ExitCode
	if m.Role == Init && code == 0 {
		code = 137 // it was killed, whatever its process made of that
	}
	return podutil.ContainerShouldRestart(*m.Container, pod.Spec, code)
}

// failed says that a dead instance did not do what it was there for. One that
// lost a process for want of memory did not, whatever it says itself.
func (c *Container) failed() bool { return c.ExitCode != 0 || c.OOMKilled }

// Through says whether what follows an init container may be started: it has
// succeeded or, of a sidecar, has started.
func (o *Observed) Through(m Member) bool {
	newest := o.Newest(m.Name)
	if newest == nil || !o.Current(newest) {
		return false
	}
	if m.Role == Sidecar {
		return o.Up(m, newest)
	}
	return newest.State == Exited && !newest.failed()
}

// launched says that an instance's process was started, and that the hook that
// follows is through, or has no process to follow any more.
func (c *Container) launched(m Member) bool {
	switch {
	case c.State != Running && (!c.Dead() || c.Reason == ReasonStartError):
		return false
	case !m.hooked() || c.PostStart == HookDone:
		return true
	}
	return c.Dead() && c.PostStart == HookPending
}

// Over says whether no container of the pod is to run any more, but to end: the
// pod was ended, an init container failed for good, or all app containers have
// ended for good.
func (o *Observed) Over(pod *v1.Pod) bool {
	if _, failed := o.FailedInit(pod); failed != nil || o.End.Reason != "" {
		return true
	}
	for _, m := range Members(pod) {
		newest := o.Newest(m.Name)
		if m.Role == App && (newest == nil || newest.State != Exited || o.Restartable(pod, m, newest)) {
			return false
		}
	}
	return true
}

// Ending says whether the pod is about to be taken down, or is: nothing of it is
// to run any more, whether or not that is written down yet.
func (o *Observed) Ending(pod *v1.Pod) bool {
	if o.Sandbox.State == SandboxStopped || o.Halt != nil || o.Lost() && pod.Spec.RestartPolicy == v1.RestartPolicyNever {
		return true
	}
	seen := *o
	seen.Containers = slices.Clone(o.Containers)
	for i := range seen.Containers {
		if c := &seen.Containers[i]; c.State == Ended {
			c.State = Exited
		}
	}
	return seen.Over(pod)
}

// Lost says whether the sandbox in which containers ran is gone. One that was
// lost before anything ran in it is merely not made yet.
func (o *Observed) Lost() bool {
	if o.Sandbox.State != SandboxExited && o.Sandbox.State != SandboxAbsent {
		return false
	}
	return slices.ContainsFunc(o.Containers, func(c Container) bool {
		return !c.CreatedAt.Before(o.Sandbox.StartedAt) && (c.Dead() || c.State == Running)
	})
}

// FailedInit returns the init container that failed for good, by which its pod
// has failed.
func (o *Observed) FailedInit(pod *v1.Pod) (Member, *Container) {
	for _, m := range Members(pod) {
		if newest := o.Newest(m.Name); m.Role == Init && newest != nil && newest.State == Exited &&
			o.Current(newest) && newest.failed() && !o.Restartable(pod, m, newest) {
			return m, newest
		}
	}
	return Member{}, nil
}
