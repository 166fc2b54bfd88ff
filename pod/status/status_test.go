package status

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func newPod(policy v1.RestartPolicy, names ...string) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "web", Namespace: "default", UID: "u1", Generation: 1, CreationTimestamp: metav1.NewTime(at(-300))}}
	pod.Spec.RestartPolicy = policy
	for _, name := range names {
		pod.Spec.Containers = append(pod.Spec.Containers, v1.Container{Name: name, Image: "busybox", ImagePullPolicy: v1.PullAlways})
	}
	return pod
}

func deleted(pod *v1.Pod) *v1.Pod {
	pod.DeletionTimestamp = &metav1.Time{Time: noon}
	return pod
}

func running(name string, attempt int) Container {
	return Container{Name: name, ID: name + "-id", Attempt: attempt, State: Running, CreatedAt: at(-100), StartedAt: at(-90)}
}

func exited(name string, attempt int, code int32, end int, backoff time.Duration) Container {
	return Container{Name: name, ID: name + "-id", Attempt: attempt, State: Exited, ExitCode: code,
		CreatedAt: at(-100), StartedAt: at(-90), FinishedAt: at(end), Backoff: backoff}
}

func startError(name string, end int) Container {
	c := exited(name, 0, 128, end, 0)
	c.Reason, c.Message, c.StartedAt = ReasonStartError, "no such file", time.Time{}
	return c
}

var (
	ready   = Sandbox{State: SandboxReady, StartedAt: at(-200), Since: at(-199), IPs: []string{"10.1.0.2"}}
	stopped = Sandbox{State: SandboxStopped, StartedAt: at(-200), Since: at(-1)}
)

var situations = []struct {
	name     string
	pod      *v1.Pod
	sandbox  Sandbox
	have     []Container
	failures map[string]Failure
	want     string // phase, kubectl's line, blocked reason
	state    string // of the containers: state/last state
}{
	{name: "new", pod: newPod(v1.RestartPolicyAlways, "a"),
		want: "Pending 0/1 ContainerCreating 0", state: "ContainerCreating"},
	{name: "created", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{{Name: "a", State: Created}},
		want: "Pending 0/1 ContainerCreating 0", state: "ContainerCreating"},
	{name: "running", pod: newPod(v1.RestartPolicyAlways, "b", "a"), sandbox: ready, have: []Container{running("b", 0), running("a", 0)},
		want: "Running 2/2 Running 0", state: "running running"},
	{name: "one of two not started", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, have: []Container{running("a", 0)},
		want: "Pending 1/2 ContainerCreating 0", state: "running ContainerCreating"},
	{name: "sandbox failed", pod: newPod(v1.RestartPolicyAlways, "a"), failures: map[string]Failure{"": {ReasonCreateSandbox, "port taken", at(-1), 1}},
		want: "Pending 0/1 ContainerCreating 0 blocked by CreatePodSandboxError: port taken", state: "ContainerCreating"},
	{name: "pull just failed", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, failures: map[string]Failure{"a": {ReasonErrImagePull, "no route", at(-1), 1}},
		want: "Pending 0/2 ErrImagePull 0 blocked by ErrImagePull: no route", state: "ErrImagePull ErrImagePull"},
	{name: "pull backs off", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonErrImagePull, "no route", at(-15), 2}},
		want: "Pending 0/1 ImagePullBackOff 0 blocked by ErrImagePull: no route", state: "ImagePullBackOff"},
	{name: "never pulled", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonErrImageNeverPull, "absent", at(-5), 2}},
		want: "Pending 0/1 ErrImageNeverPull 0 blocked by ErrImageNeverPull: absent", state: "ErrImageNeverPull"},
	{name: "config error", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonCreateContainerConfig, "user root", at(-5), 2}},
		want: "Pending 0/1 CreateContainerConfigError 0 blocked by CreateContainerConfigError: user root", state: "CreateContainerConfigError"},
	{name: "a failed clean-up is not shown", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{running("a", 0)},
		failures: map[string]Failure{"a": {ReasonRemoveContainer, "busy", at(-1), 1}}, want: "Running 1/1 Running 0", state: "running"},
	{name: "start error", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{startError("a", 0)},
		want: "Running 0/1 RunContainerError 0 blocked by RunContainerError: no such file", state: "RunContainerError/StartError:128"},
	{name: "start error under Never", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready, have: []Container{startError("a", 0)},
		want: "Failed 0/1 StartError 0 blocked by RunContainerError: no such file", state: "StartError:128"},
	{name: "first crash", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 0, 1, 0, 0)},
		want: "Running 0/1 Error 0", state: "Error:1"},
	{name: "crash loop", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 3, 1, -5, 40*time.Second), exited("a", 2, 1, -60, 0)},
		want: "Running 0/1 CrashLoopBackOff 3 (5s ago)", state: "CrashLoopBackOff/Error:1"},
	{name: "crash loop of success", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 1, 0, -5, 10*time.Second)},
		want: "Running 0/1 CrashLoopBackOff 1 (5s ago)", state: "CrashLoopBackOff/Completed:0"},
	{name: "back-off is over", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 1, 1, -10, 10*time.Second)},
		want: "Running 0/1 Error 1", state: "Error:1"},
	{name: "restart cannot pull", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 0, 1, -20, 0)}, failures: map[string]Failure{"a": {ReasonErrImagePull, "no route", at(-1), 1}},
		want: "Running 0/1 ErrImagePull 0", state: "ErrImagePull/Error:1"},
	{name: "restarted", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 0, 1, -150, 0), running("a", 1)},
		want: "Running 1/1 Running 1 (2m30s ago)", state: "running/Error:1"},
	{name: "OnFailure, one done", pod: newPod(v1.RestartPolicyOnFailure, "a", "b"), sandbox: ready, have: []Container{exited("a", 0, 0, -1, 0), running("b", 0)},
		want: "Running 1/2 NotReady 0", state: "Completed:0 running"},
	{name: "OnFailure, succeeded", pod: newPod(v1.RestartPolicyOnFailure, "a"), sandbox: stopped, have: []Container{exited("a", 1, 0, -1, 10*time.Second)},
		want: "Succeeded 0/1 Completed 1", state: "Completed:0"},
	{name: "OnFailure, stopped to be replaced", pod: newPod(v1.RestartPolicyOnFailure, "a"), have: []Container{{Name: "a", State: Exited, Replaced: true, FinishedAt: at(-1)}},
		want: "Running 0/1 Completed 0", state: "Completed:0"},
	{name: "Never, 0 and 1", pod: newPod(v1.RestartPolicyNever, "a", "b"), sandbox: stopped, have: []Container{exited("a", 0, 0, -1, 0), exited("b", 0, 1, -1, 0)},
		want: "Failed 0/2 Error 0", state: "Completed:0 Error:1"},
	{name: "killed by the kernel", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready,
		have: []Container{{Name: "a", State: Ended, ExitCode: 137, OOMKilled: true, Reason: ReasonError}}, want: "Failed 0/1 OOMKilled 0", state: "OOMKilled:137"},
	{name: "deleted", pod: deleted(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 0)},
		want: "Running 1/1 Terminating 0", state: "running"},
	{name: "deleted and taken down", pod: deleted(newPod(v1.RestartPolicyAlways, "a")), sandbox: stopped, have: []Container{exited("a", 0, 143, 0, 0)},
		want: "Failed 0/1 Error 0", state: "Error:143"},
	{name: "deleted before it started", pod: deleted(newPod(v1.RestartPolicyAlways, "a")), sandbox: stopped,
		want: "Failed 0/1 ContainerStatusUnknown 0", state: "ContainerStatusUnknown:137"},
}

func TestOf(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			obs := Observed{Created: at(-300), Sandbox: s.sandbox, Containers: s.have, Failures: s.failures}
			pod := s.pod.DeepCopy()
			pod.Status = Of(pod, obs, noon)
			line := Line(pod, noon)
			got := fmt.Sprintf("%s %s %s %s", pod.Status.Phase, line.Ready, line.Status, line.Restarts)
			if reason, message, ok := Blocked(pod, obs); ok {
				got += " blocked by " + reason + ": " + message
			}
			if got != s.want {
				t.Errorf("got  %s\nwant %s", got, s.want)
			}
			if got := stateText(pod.Status.ContainerStatuses); got != s.state {
				t.Errorf("states %q, want %q", got, s.state)
			}
		})
	}
}

func stateText(statuses []v1.ContainerStatus) string {
	one := func(s v1.ContainerState) string {
		switch {
		case s.Running != nil:
			return "running"
		case s.Terminated != nil:
			return fmt.Sprintf("%s:%d", s.Terminated.Reason, s.Terminated.ExitCode)
		case s.Waiting != nil:
			return s.Waiting.Reason
		}
		return ""
	}
	var all []string
	for _, s := range statuses {
		text := one(s.State)
		if last := one(s.LastTerminationState); last != "" {
			text += "/" + last
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

// TestWhole compares whole statuses.
func TestWhole(t *testing.T) {
	t.Parallel()
	pod := newPod(v1.RestartPolicyAlways, "b", "a")
	limits := v1.ResourceList{v1.ResourceCPU: resource.MustParse("1"), v1.ResourceMemory: resource.MustParse("64Mi")}
	pod.Spec.Containers[0].Resources = v1.ResourceRequirements{Limits: limits, Requests: limits}
	pod.Spec.Containers[1].VolumeMounts = []v1.VolumeMount{{Name: "data", MountPath: "/data", ReadOnly: true}}
	obs := Observed{Created: at(-300), HostIPs: []string{"192.0.2.1"}, Sandbox: ready, Containers: []Container{
		running("b", 0), exited("a", 1, 1, -5, 10*time.Second),
	}}
	obs.Containers[0].Image, obs.Containers[0].ImageID = "docker.io/library/busybox:latest", "docker.io/library/busybox@sha256:1"
	golden(t, "crash-loop.yaml", Of(pod, obs, noon))

	obs.Containers[1] = running("a", 2)
	obs.Containers[1].StartedAt = at(-3)
	golden(t, "running.yaml", Of(pod, obs, noon))

	pod.Spec.HostNetwork = true
	obs.Sandbox.IPs = nil
	if ip := Of(pod, obs, noon).PodIP; ip != "192.0.2.1" {
		t.Errorf("with the host's network the pod's address is %q", ip)
	}
}

func golden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is\n%s", name, got)
	}
}

// TestRestart plays a container that crashes at once, again and again, then
// lives for long.
func TestRestart(t *testing.T) {
	t.Parallel()
	c := Container{CreatedAt: noon}
	var waits []string
	for range 8 {
		c.FinishedAt = c.CreatedAt.Add(time.Second)
		start, backoff := Restart(&c)
		waits = append(waits, start.Sub(c.FinishedAt).String())
		c = Container{CreatedAt: start, Backoff: backoff}
	}
	if got := strings.Join(waits, " "); got != "0s 10s 20s 40s 1m20s 2m40s 5m0s 5m0s" {
		t.Errorf("waits %s", got)
	}
	c.FinishedAt = c.CreatedAt.Add(601 * time.Second)
	if start, backoff := Restart(&c); !start.Equal(c.FinishedAt) || backoff != 10*time.Second {
		t.Errorf("after ten minutes: wait %v, then %v", start.Sub(c.FinishedAt), backoff)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason string
		count  int
		want   time.Duration
	}{
		{ReasonErrImagePull, 1, 10 * time.Second},
		{ReasonErrImagePull, 3, 40 * time.Second},
		{ReasonErrImagePull, 1000, 300 * time.Second},
		{ReasonCreateContainer, 9, 10 * time.Second},
		{ReasonKillSandbox, 1, time.Second},
		{ReasonKillSandbox, 9, 10 * time.Second},
	} {
		f := Failure{Reason: c.reason, Count: c.count, At: noon}
		if got := f.NotBefore().Sub(noon); got != c.want {
			t.Errorf("%s, %d times: %v, want %v", c.reason, c.count, got, c.want)
		}
	}
}

func TestStarted(t *testing.T) {
	t.Parallel()
	pod := newPod(v1.RestartPolicyAlways, "a", "b")
	for _, c := range []struct {
		have []Container
		want bool
	}{
		{nil, false},
		{[]Container{running("a", 0)}, false},
		{[]Container{running("a", 0), startError("b", 0)}, false},
		{[]Container{running("a", 0), exited("b", 0, 1, 0, 0)}, true},
		{[]Container{running("a", 0), exited("b", 0, 1, 0, 0), {Name: "b", Attempt: 1, State: Created}}, true},
	} {
		if got := Started(pod, Observed{Containers: c.have}); got != c.want {
			t.Errorf("%+v: started is %v", c.have, got)
		}
	}
}

// TestLineInit covers what only pods with init containers show.
func TestLineInit(t *testing.T) {
	t.Parallel()
	always := v1.ContainerRestartPolicyAlways
	pod := newPod(v1.RestartPolicyAlways, "a")
	pod.Spec.InitContainers = []v1.Container{{Name: "i"}, {Name: "s", RestartPolicy: &always}}
	pod.Status.Phase = v1.PodPending
	waiting := func(reason string) v1.ContainerState {
		return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason}}
	}
	exit := func(code int32, reason string) v1.ContainerState {
		return v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: code, Reason: reason}}
	}
	yes := true
	for want, init := range map[string][]v1.ContainerStatus{
		"0/2 Init:0/2 0":          {{Name: "i", State: waiting(ReasonPodInitializing)}},
		"0/2 Init:1/2 0":          {{Name: "i", State: exit(0, ReasonCompleted)}, {Name: "s"}},
		"0/2 Init:Error 2":        {{Name: "i", State: exit(1, ReasonError), RestartCount: 2}},
		"0/2 Init:ExitCode:3 0":   {{Name: "i", State: exit(3, "")}},
		"0/2 Init:ErrImagePull 0": {{Name: "i", State: waiting(ReasonErrImagePull)}},
		"1/2 ContainerCreating 1": {{Name: "i", State: exit(0, ReasonCompleted), RestartCount: 4}, {Name: "s", Started: &yes, Ready: true, RestartCount: 1}},
	} {
		pod.Status.InitContainerStatuses = init
		pod.Status.ContainerStatuses = []v1.ContainerStatus{{Name: "a", State: waiting(ReasonContainerCreating)}}
		line := Line(pod, noon)
		if got := line.Ready + " " + line.Status + " " + line.Restarts; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
