package status

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestTroubles(t *testing.T) {
	t.Parallel()
	waiting := func(reason, message string) v1.ContainerState {
		return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	ended := func(code int32, reason, message string) v1.ContainerState {
		return v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}
	}
	obs := Observed{Containers: []Container{{Name: "a", ID: "a1", PeakMemory: 1}, {Name: "a", ID: "a0", OOMKilled: true, PeakMemory: 16380 << 10}}}
	running := v1.ContainerState{Running: &v1.ContainerStateRunning{}}
	for name, test := range map[string]struct {
		status v1.PodStatus
		want   []Trouble
	}{
		"out of memory, as much as there is known": {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{
			{Name: "a", State: waiting(ReasonCrashLoopBackOff, "back-off 10s"), LastTerminationState: v1.ContainerState{
				Terminated: &v1.ContainerStateTerminated{ExitCode: 137, Reason: ReasonOOMKilled, ContainerID: "containerd://a0"}}}}},
			[]Trouble{{"a", "CrashLoopBackOff: back-off 10s; it ended with exit code 137 (OOMKilled: it needed more memory than its limit, 16Mi; the most it had was 16380Ki)"}}},
		"no image": {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: "a", State: waiting(ReasonErrImagePull, "not found")}}},
			[]Trouble{{"a", "ErrImagePull: not found"}}},
		"being made": {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: "a", State: waiting(ReasonContainerCreating, "")}}}, nil},
		"well":       {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: "a", State: running, Ready: true, LastTerminationState: ended(1, ReasonError, "")}}}, nil},
		"done":       {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: "a", State: ended(0, ReasonCompleted, "bye")}}}, nil},
		"crashing": {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{
			{Name: "a", State: waiting(ReasonCrashLoopBackOff, "back-off 10s"), LastTerminationState: ended(127, ReasonError, "")}}},
			[]Trouble{{"a", "CrashLoopBackOff: back-off 10s; it ended with exit code 127 (its command was not found)"}}},
		"out of memory": {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: "a", State: ended(137, ReasonOOMKilled, "")}}},
			[]Trouble{{"a", "it ended with exit code 137 (OOMKilled: it needed more memory than its limit, 16Mi)"}}},
		"killed, in order": {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{
			{Name: "b", State: ended(143, ReasonError, "told to")}, {Name: "a", State: running}}},
			[]Trouble{{"a", "it runs and is not ready"}, {"b", "it ended with exit code 143 (SIGTERM): told to"}}},
		"could not start": {v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: "a", State: ended(128, ReasonStartError, "no such file")}}},
			[]Trouble{{"a", "it ended with exit code 128 (StartError): no such file"}}},
		"too late": {v1.PodStatus{Phase: v1.PodFailed, Reason: ReasonDeadlineExceeded, Message: "too long"}, []Trouble{{"", "DeadlineExceeded: too long"}}},
	} {
		pod := newPod(v1.RestartPolicyAlways, "a", "b")
		pod.Spec.Containers[0].Resources.Limits = v1.ResourceList{v1.ResourceMemory: resource.MustParse("16Mi")}
		pod.Status = test.status
		if got := Troubles(pod, obs); !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// TestTroublesOfSandboxes: of what the sandbox waits for no container's status tells.
func TestTroublesOfSandboxes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state  SandboxState
		reason string
		want   []Trouble
	}{
		"no volume":            {SandboxAbsent, ReasonCreateSandbox, []Trouble{{"", "CreatePodSandboxError: no"}}},
		"a volume in the end":  {SandboxReady, ReasonCreateSandbox, nil},
		"cannot be taken down": {SandboxReady, ReasonKillSandbox, []Trouble{{"", "KillPodSandboxError: no"}}},
	} {
		pod, obs := newPod(v1.RestartPolicyAlways, "a"), Observed{Sandbox: Sandbox{State: test.state}, Failures: map[string]Failure{"": {Reason: test.reason, Message: "no", At: noon, Count: 1}}}
		pod.Status = Of(pod, obs, noon)
		if got := Troubles(pod, obs); !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
