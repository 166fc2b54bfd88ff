package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"
)

// Of returns the status that a kubelet would report of the pod
// (kubelet: generateAPIPodStatus, convertToAPIContainerStatuses, getPhase).
func Of(pod *v1.Pod, obs Observed, now time.Time) v1.PodStatus {
	started := metav1.NewTime(obs.Created)
	s := v1.PodStatus{
		ObservedGeneration: pod.Generation,
		StartTime:          &started,
		QOSClass:           qos.ComputePodQOS(pod),
	}
	setAddresses(&s, pod, &obs)
	for _, m := range Members(pod) {
		list := &s.InitContainerStatuses
		switch m.Role {
		case App:
			list = &s.ContainerStatuses
		case Ephemeral:
			list = &s.EphemeralContainerStatuses
		}
		*list = append(*list, containerStatus(pod, &obs, m, now))
	}
	for _, list := range [][]v1.ContainerStatus{s.ContainerStatuses, s.EphemeralContainerStatuses} {
		slices.SortFunc(list, func(a, b v1.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	}
	s.Phase = phase(pod, &obs, &s)
	s.Reason, s.Message = obs.End.Reason, obs.End.Message
	s.Conditions = conditions(pod, &obs, &s, now)
	return s
}

func setAddresses(s *v1.PodStatus, pod *v1.Pod, obs *Observed) {
	for _, ip := range obs.HostIPs {
		s.HostIPs = append(s.HostIPs, v1.HostIP{IP: ip})
	}
	own := obs.Sandbox.IPs
	if pod.Spec.HostNetwork && obs.Sandbox.State == SandboxReady {
		own = obs.HostIPs
	}
	for _, ip := range own {
		s.PodIPs = append(s.PodIPs, v1.PodIP{IP: ip})
	}
	if len(s.HostIPs) > 0 {
		s.HostIP = s.HostIPs[0].IP
	}
	if len(s.PodIPs) > 0 {
		s.PodIP = s.PodIPs[0].IP
	}
}

func containerStatus(pod *v1.Pod, obs *Observed, m Member, now time.Time) v1.ContainerStatus {
	s := v1.ContainerStatus{
		Name:               m.Name,
		Image:              m.Image,
		AllocatedResources: m.Resources.Requests.DeepCopy(),
		Resources:          m.Resources.DeepCopy(),
		VolumeMounts:       volumeMounts(m.Container),
	}
	if m.Lifecycle != nil {
		s.StopSignal = m.Lifecycle.StopSignal
	}
	instances := obs.Instances(m.Name)
	if len(instances) > 0 {
		newest := instances[0]
		s.RestartCount = int32(newest.Attempt)
		s.ContainerID = containerID(newest)
		s.ImageID = newest.ImageID
		if newest.User != nil {
			s.User = &v1.ContainerUser{Linux: newest.User.DeepCopy()}
		}
		if newest.Image != "" {
			s.Image = newest.Image
		}
	}
	s.State, s.LastTerminationState = states(pod, obs, m, instances, now)
	if m.Role == Ephemeral {
		return s // a kubelet does not say whether it has started, nor that it is ready
	}
	started := s.State.Running != nil && (m.Role == Init || obs.Up(m, instances[0]))
	s.Ready = started && obs.ready(m, instances[0])
	if m.Role == Init {
		s.Ready = s.State.Terminated != nil && obs.Through(m)
	}
	s.Started = &started
	return s
}

// states returns what is shown as a container's state and its last state.
func states(pod *v1.Pod, obs *Observed, m Member, instances []*Container, now time.Time) (state, last v1.ContainerState) {
	if len(instances) == 0 {
		return pendingState(pod, obs, m, now), last
	}
	newest := instances[0]
	if len(instances) > 1 && instances[1].Dead() {
		last.Terminated = terminated(instances[1])
	}
	switch runs := newest.State == Running || obs.shownRunning(newest); {
	case runs && newest.launched(m):
		state.Running = &v1.ContainerStateRunning{StartedAt: metav1.NewTime(newest.StartedAt)}
	case runs:
		// As long as its hook runs a kubelet does not know of it.
		state = waitingFor(ReasonContainerCreating)
		if newest.PostStart == HookFailed {
			state = waitingFor(ReasonPostStartHook)
		}
	case newest.Dead():
		state.Terminated = terminated(newest)
		if w := restartWait(pod, obs, m, newest, now); w != nil {
			return v1.ContainerState{Waiting: w}, state
		}
	default:
		state = pendingState(pod, obs, m, now)
	}
	return state, last
}

// shownRunning says whether an instance that has ended is told to run still, as
// long as its end is being written down. When that cannot be done, what is known
// of the end is told instead.
func (o *Observed) shownRunning(c *Container) bool {
	return c.unrecorded() && o.Failures[c.Name].Reason != ReasonRecordExit
}

// pendingState is the state of a container of which nothing has run yet.
func pendingState(pod *v1.Pod, obs *Observed, m Member, now time.Time) v1.ContainerState {
	if obs.Sandbox.State == SandboxStopped {
		return v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
			Reason:   ReasonStatusUnknown,
			Message:  "The container could not be located when the pod was terminated",
			ExitCode: 137,
		}}
	}
	if f, ok := ContainerFailure(pod, obs, m.Container); ok {
		return v1.ContainerState{Waiting: obs.waiting(f, m.Image, now)}
	}
	if len(pod.Spec.InitContainers) > 0 {
		return waitingFor(ReasonPodInitializing)
	}
	return waitingFor(ReasonContainerCreating)
}

func waitingFor(reason string) v1.ContainerState {
	return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason}}
}

// restartWait says what the restart of a dead container waits for; nil when
// there is none to come, or when it comes at once.
func restartWait(pod *v1.Pod, obs *Observed, m Member, dead *Container, now time.Time) *v1.ContainerStateWaiting {
	if obs.Sandbox.State == SandboxStopped || pod.DeletionTimestamp != nil || obs.Over(pod) || !obs.Restartable(pod, m, dead) {
		return nil
	}
	if at, _ := obs.Restart(m, dead); now.Before(at) {
		return &v1.ContainerStateWaiting{
			Reason: ReasonCrashLoopBackOff,
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				dead.Backoff, m.Name, pod.Name, pod.Namespace, pod.UID),
		}
	}
	if f, ok := ContainerFailure(pod, obs, m.Container); ok {
		return obs.waiting(f, m.Image, now)
	}
	switch {
	case dead.CreatedAt.Before(obs.RestartedAt):
		return waitingFor(ReasonRestartingAll).Waiting
	case m.Role == Init && !obs.Current(dead):
		return waitingFor(ReasonPodInitializing).Waiting
	case dead.Reason == ReasonStartError:
		return &v1.ContainerStateWaiting{Reason: ReasonRunContainer, Message: dead.Message}
	}
	return nil
}

func terminated(c *Container) *v1.ContainerStateTerminated {
	return &v1.ContainerStateTerminated{
		ExitCode:    c.ExitCode,
		Reason:      endReason(c),
		Message:     c.Message,
		StartedAt:   metav1.NewTime(c.StartedAt),
		FinishedAt:  metav1.NewTime(c.FinishedAt),
		ContainerID: containerID(c),
	}
}

func endReason(c *Container) string {
	switch {
	case c.OOMKilled:
		return ReasonOOMKilled
	case c.Reason != "":
		return c.Reason
	case c.ExitCode == 0:
		return ReasonCompleted
	default:
		return ReasonError
	}
}

func containerID(c *Container) string {
	if c.ID == "" {
		return ""
	}
	return "containerd://" + c.ID
}

func volumeMounts(spec *v1.Container) []v1.VolumeMountStatus {
	var mounts []v1.VolumeMountStatus
	for _, m := range spec.VolumeMounts {
		status := v1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			recursive := v1.RecursiveReadOnlyDisabled
			if m.RecursiveReadOnly != nil && *m.RecursiveReadOnly != recursive {
				recursive = v1.RecursiveReadOnlyEnabled
			}
			status.RecursiveReadOnly = &recursive
		}
		mounts = append(mounts, status)
	}
	return mounts
}
