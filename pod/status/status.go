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
	s.ContainerStatuses = containerStatuses(pod, &obs, pod.Spec.Containers, now)
	slices.SortFunc(s.ContainerStatuses, func(a, b v1.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	s.Phase = phase(pod, &obs, s.ContainerStatuses)
	s.Conditions = conditions(pod, &obs, &s)
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

func containerStatuses(pod *v1.Pod, obs *Observed, specs []v1.Container, now time.Time) []v1.ContainerStatus {
	statuses := make([]v1.ContainerStatus, 0, len(specs))
	for i := range specs {
		statuses = append(statuses, containerStatus(pod, obs, &specs[i], now))
	}
	return statuses
}

func containerStatus(pod *v1.Pod, obs *Observed, spec *v1.Container, now time.Time) v1.ContainerStatus {
	s := v1.ContainerStatus{
		Name:               spec.Name,
		Image:              spec.Image,
		AllocatedResources: spec.Resources.Requests.DeepCopy(),
		Resources:          spec.Resources.DeepCopy(),
		VolumeMounts:       volumeMounts(spec),
	}
	instances := obs.Instances(spec.Name)
	if len(instances) > 0 {
		newest := instances[0]
		s.RestartCount = int32(newest.Attempt)
		s.ContainerID = containerID(newest)
		s.ImageID = newest.ImageID
		if newest.Image != "" {
			s.Image = newest.Image
		}
		s.Ready = newest.State == Running
	}
	started := s.Ready
	s.Started = &started
	s.State, s.LastTerminationState = states(pod, obs, spec, instances, now)
	return s
}

// states returns what is shown as a container's state and its last state.
func states(pod *v1.Pod, obs *Observed, spec *v1.Container, instances []*Container, now time.Time) (state, last v1.ContainerState) {
	if len(instances) == 0 {
		return pendingState(pod, obs, spec, now), last
	}
	newest := instances[0]
	if len(instances) > 1 && instances[1].Dead() {
		last.Terminated = terminated(instances[1])
	}
	switch {
	case newest.State == Running:
		state.Running = &v1.ContainerStateRunning{StartedAt: metav1.NewTime(newest.StartedAt)}
	case newest.Dead():
		state.Terminated = terminated(newest)
		if w := restartWait(pod, obs, spec, newest, now); w != nil {
			return v1.ContainerState{Waiting: w}, state
		}
	default:
		state = pendingState(pod, obs, spec, now)
	}
	return state, last
}

// pendingState is the state of a container of which nothing has run yet.
func pendingState(pod *v1.Pod, obs *Observed, spec *v1.Container, now time.Time) v1.ContainerState {
	if obs.Sandbox.State == SandboxStopped {
		return v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
			Reason:   ReasonStatusUnknown,
			Message:  "The container could not be located when the pod was terminated",
			ExitCode: 137,
		}}
	}
	if f, ok := ContainerFailure(pod, obs, spec); ok {
		return v1.ContainerState{Waiting: f.waiting(spec.Image, now)}
	}
	reason := ReasonContainerCreating
	if len(pod.Spec.InitContainers) > 0 {
		reason = ReasonPodInitializing
	}
	return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason}}
}

// restartWait says what the restart of a dead container waits for; nil when
// there is none to come, or when it comes at once.
func restartWait(pod *v1.Pod, obs *Observed, spec *v1.Container, dead *Container, now time.Time) *v1.ContainerStateWaiting {
	if obs.Sandbox.State == SandboxStopped || pod.DeletionTimestamp != nil || !Restartable(pod, spec, dead) {
		return nil
	}
	if at, _ := Restart(dead); now.Before(at) {
		return &v1.ContainerStateWaiting{
			Reason: ReasonCrashLoopBackOff,
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				dead.Backoff, spec.Name, pod.Name, pod.Namespace, pod.UID),
		}
	}
	if f, ok := ContainerFailure(pod, obs, spec); ok {
		return f.waiting(spec.Image, now)
	}
	if dead.Reason == ReasonStartError {
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
			status.RecursiveReadOnly = &recursive
		}
		mounts = append(mounts, status)
	}
	return mounts
}
