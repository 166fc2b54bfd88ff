package status

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// later is an instance that was made at another time, and started within a second.
func later(c Container, seconds int) Container {
	c.CreatedAt, c.StartedAt = at(seconds), at(seconds+1)
	return c
}

// withInits gives a pod the init container i and the sidecar s.
func withInits(pod *v1.Pod) *v1.Pod {
	pod.Spec.InitContainers = newPod("", "i", "s").Spec.Containers
	pod.Spec.InitContainers[1].RestartPolicy = new(v1.ContainerRestartPolicyAlways)
	return pod
}

func withHook(pod *v1.Pod) *v1.Pod {
	pod.Spec.Containers[0].Lifecycle = &v1.Lifecycle{PostStart: &v1.LifecycleHandler{}}
	return pod
}

// debugged gives a pod the ephemeral container e.
func debugged(pod *v1.Pod) *v1.Pod {
	pod.Spec.EphemeralContainers = []v1.EphemeralContainer{{EphemeralContainerCommon: v1.EphemeralContainerCommon{Name: "e", Image: "debug:1"}}}
	return pod
}

// old is a container that has run since before all others began anew.
func old(name string) Container {
	c := running(name, 0)
	c.CreatedAt = at(-190)
	return c
}

func hook(c Container, state HookState) Container {
	c.PostStart = state
	return c
}

func oomKilled(c Container) Container {
	c.OOMKilled = true
	return c
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
	state    string // of the containers, in the order of their starts: state/last state
	// restarted is when all containers began anew, in seconds from noon.
	restarted int
	end       End
}{
	{name: "new", pod: newPod(v1.RestartPolicyAlways, "a"),
		want: "Pending 0/1 ContainerCreating 0", state: "ContainerCreating"},
	{name: "created", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{{Name: "a", State: Created}},
		want: "Pending 0/1 ContainerCreating 0", state: "ContainerCreating"},
	{name: "running", pod: newPod(v1.RestartPolicyAlways, "b", "a"), sandbox: ready, have: []Container{running("b", 0), running("a", 0)},
		want: "Running 2/2 Running 0", state: "running running"},
	{name: "one of two not started", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, have: []Container{running("a", 0)},
		want: "Pending 1/2 ContainerCreating 0", state: "running ContainerCreating"},
	{name: "sandbox failed", pod: newPod(v1.RestartPolicyAlways, "a"), failures: map[string]Failure{"": {ReasonCreateSandbox, "port taken", at(-1), 1, ""}},
		want: "Pending 0/1 ContainerCreating 0 blocked by CreatePodSandboxError: port taken", state: "ContainerCreating"},
	{name: "pull just failed", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, failures: map[string]Failure{"a": {ReasonErrImagePull, "no route", at(-1), 1, ""}},
		want: "Pending 0/2 ErrImagePull 0 blocked by ErrImagePull: no route", state: "ErrImagePull ErrImagePull"},
	{name: "pull backs off", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonErrImagePull, "no route", at(-15), 2, ""}},
		want: "Pending 0/1 ImagePullBackOff 0 blocked by ErrImagePull: no route", state: "ImagePullBackOff"},
	{name: "never pulled", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonErrImageNeverPull, "absent", at(-5), 2, ""}},
		want: "Pending 0/1 ErrImageNeverPull 0 blocked by ErrImageNeverPull: absent", state: "ErrImageNeverPull"},
	{name: "config error", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonCreateContainerConfig, "user root", at(-5), 2, ""}},
		want: "Pending 0/1 CreateContainerConfigError 0 blocked by CreateContainerConfigError: user root", state: "CreateContainerConfigError"},
	{name: "a failed clean-up is not shown", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{running("a", 0)},
		failures: map[string]Failure{"a": {ReasonRemoveContainer, "busy", at(-1), 1, ""}}, want: "Running 1/1 Running 0", state: "running"},
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
	{name: "restart cannot pull", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 0, 1, -20, 0)}, failures: map[string]Failure{"a": {ReasonErrImagePull, "no route", at(-1), 1, ""}},
		want: "Running 0/1 ErrImagePull 0", state: "ErrImagePull/Error:1"},
	{name: "another image failed to be pulled", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonErrImagePull, "no route", at(-1), 1, "other:1"}},
		want: "Pending 0/1 ContainerCreating 0", state: "ContainerCreating"},
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
		have: []Container{{Name: "a", State: Exited, ExitCode: 137, OOMKilled: true, Reason: ReasonError}}, want: "Failed 0/1 OOMKilled 0", state: "OOMKilled:137"},
	{name: "killed, nobody knows by whom yet", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready,
		have: []Container{{Name: "a", State: Ended, ExitCode: 137, Reason: ReasonError}}, want: "Running 0/1 Running 0", state: "running"},
	{name: "killed, and it cannot be written down how", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready, failures: map[string]Failure{"a": {ReasonRecordExit, "no space", at(-1), 1, ""}},
		have: []Container{{Name: "a", State: Ended, ExitCode: 137, Reason: ReasonError}}, want: "Running 0/1 Error 0", state: "Error:137"},
	{name: "lost", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: stopped,
		have: []Container{{Name: "a", State: Ended, ExitCode: 137, Reason: ReasonStatusUnknown}}, want: "Failed 0/1 ContainerStatusUnknown 0", state: "ContainerStatusUnknown:137"},
	{name: "init, new", pod: withInits(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready,
		want: "Pending 0/2 Init:0/2 0", state: "PodInitializing PodInitializing PodInitializing"},
	{name: "init, first runs", pod: withInits(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("i", 0)},
		want: "Pending 0/2 Init:0/2 0", state: "running PodInitializing PodInitializing"},
	{name: "init, sidecar comes", pod: withInits(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{exited("i", 0, 0, -9, 0)},
		want: "Pending 0/2 Init:1/2 0", state: "Completed:0 PodInitializing PodInitializing"},
	{name: "init, crash loop", pod: withInits(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{exited("i", 3, 1, -9, 40*time.Second)},
		want: "Pending 0/2 Init:CrashLoopBackOff 3 (9s ago)", state: "CrashLoopBackOff/Error:1 PodInitializing PodInitializing"},
	{name: "init, failed for good", pod: withInits(newPod(v1.RestartPolicyNever, "a")), sandbox: ready, have: []Container{exited("i", 0, 3, -9, 0)},
		want:  `Failed 0/2 Init:Error 0 blocked by Error: init container "i" ended with exit code 3 before the pod had started`,
		state: "Error:3 PodInitializing PodInitializing"},
	{name: "init, failed for good and taken down", pod: withInits(newPod(v1.RestartPolicyNever, "a")), sandbox: stopped, have: []Container{exited("i", 0, 3, -9, 0)},
		want:  `Failed 0/2 Init:Error 0 blocked by Error: init container "i" ended with exit code 3 before the pod had started`,
		state: "Error:3 ContainerStatusUnknown:137 ContainerStatusUnknown:137"},
	{name: "init, out of memory", pod: withInits(newPod(v1.RestartPolicyNever, "a")), sandbox: ready, have: []Container{oomKilled(exited("i", 0, 0, -9, 0))},
		want:  `Failed 0/2 Init:1/2 0 blocked by OOMKilled: init container "i" ended with exit code 0 before the pod had started`,
		state: "OOMKilled:0 PodInitializing PodInitializing"},
	{name: "init, image cannot be pulled", pod: withInits(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, failures: map[string]Failure{"i": {ReasonErrImageNeverPull, "absent", at(-5), 2, ""}},
		want: "Pending 0/2 Init:ErrImageNeverPull 0 blocked by ErrImageNeverPull: absent", state: "ErrImageNeverPull ErrImageNeverPull ErrImageNeverPull"},
	{name: "init, all run", pod: withInits(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{exited("i", 2, 0, -80, 0), running("s", 0), running("a", 0)},
		want: "Running 2/2 Running 0", state: "Completed:0 running running"},
	{name: "init, sidecar crashes", pod: withInits(newPod(v1.RestartPolicyNever, "a")), sandbox: ready, have: []Container{exited("i", 0, 0, -80, 0), exited("s", 1, 0, -5, 10*time.Second), running("a", 0)},
		want: "Running 1/2 Init:CrashLoopBackOff 1 (5s ago)", state: "Completed:0 CrashLoopBackOff/Completed:0 running"},
	{name: "init, only the sidecar is left", pod: withInits(newPod(v1.RestartPolicyNever, "a")), sandbox: ready, have: []Container{exited("i", 0, 0, -80, 0), running("s", 0), exited("a", 0, 0, 0, 0)},
		want: "Running 1/2 Completed 0", state: "Completed:0 running Completed:0"},
	{name: "init, the sidecar's end does not count", pod: withInits(newPod(v1.RestartPolicyNever, "a")), sandbox: stopped, have: []Container{exited("i", 0, 0, -80, 0), exited("s", 0, 137, 0, 0), exited("a", 0, 0, 0, 0)},
		want: "Succeeded 0/2 Completed 0", state: "Completed:0 Error:137 Completed:0"},
	{name: "init, again in a new sandbox", pod: withInits(newPod(v1.RestartPolicyAlways, "a")), sandbox: Sandbox{State: SandboxReady, StartedAt: at(-1)},
		have: []Container{exited("i", 0, 0, -80, 0), exited("s", 0, 143, -2, 0), exited("a", 0, 143, -2, 0)},
		want: "Pending 0/2 Error 0", state: "PodInitializing/Completed:0 Error:143 Error:143"},
	{name: "the deadline was exceeded", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, have: []Container{exited("a", 0, 143, -1, 0)},
		end: End{Reason: ReasonDeadlineExceeded, Message: "too long"}, want: "Failed 0/1 Error 0", state: "Error:143"},
	{name: "the deadline was exceeded before it started", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: stopped,
		end: End{Reason: ReasonDeadlineExceeded, Message: "too long"}, want: "Failed 0/1 ContainerStatusUnknown 0 blocked by DeadlineExceeded: too long", state: "ContainerStatusUnknown:137"},
	{name: "all begin anew", pod: newPod(v1.RestartPolicyNever, "a", "b"), sandbox: ready, have: []Container{exited("a", 0, 42, -6, 0), exited("b", 0, 0, -80, 0)}, restarted: -5,
		want: "Running 0/2 RestartingAllContainers 0", state: "RestartingAllContainers/Error:42 RestartingAllContainers/Completed:0"},
	{name: "hook runs", pod: withHook(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 0)},
		want: "Pending 0/1 ContainerCreating 0", state: "ContainerCreating"},
	{name: "hook failed", pod: withHook(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{hook(running("a", 0), HookFailed)},
		failures: map[string]Failure{"a": {ReasonPostStartHook, "exit code 1", at(0), 1, ""}},
		want:     "Pending 0/1 PostStartHookError 0 blocked by PostStartHookError: exit code 1", state: "PostStartHookError"},
	{name: "hook is through", pod: withHook(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{hook(running("a", 0), HookDone)},
		want: "Running 1/1 Running 0", state: "running"},
	{name: "ended before its hook was through", pod: withHook(newPod(v1.RestartPolicyNever, "a")), sandbox: stopped, have: []Container{exited("a", 0, 0, 0, 0)},
		want: "Succeeded 0/1 Completed 0", state: "Completed:0"},
	{name: "ephemeral, to be started", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 0)},
		want: "Running 1/1 Running 0", state: "running ContainerCreating"},
	{name: "ephemeral, runs", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 0), running("e", 0)},
		want: "Running 1/1 Running 0", state: "running running"},
	{name: "ephemeral, cannot be pulled", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 0)},
		failures: map[string]Failure{"e": {ReasonErrImagePull, "no route", at(-1), 1, ""}}, want: "Running 1/1 Running 0", state: "running ErrImagePull"},
	{name: "ephemeral, ended", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 0), exited("e", 0, 1, -5, 0)},
		want: "Running 1/1 Running 0", state: "running Error:1"},
	{name: "ephemeral, was stopped with the sandbox", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready,
		have: []Container{running("a", 0), {Name: "e", State: Exited, ExitCode: 143, Replaced: true, FinishedAt: at(-210)}},
		want: "Running 1/1 Running 0", state: "running Error:143"},
	{name: "ephemeral, during the init containers", pod: debugged(withInits(newPod(v1.RestartPolicyAlways, "a"))), sandbox: ready, have: []Container{running("i", 0), running("e", 0)},
		want: "Pending 0/2 Init:0/2 0", state: "running PodInitializing PodInitializing running"},
	{name: "ephemeral, fails in a pod that succeeds", pod: debugged(newPod(v1.RestartPolicyNever, "a")), sandbox: stopped, have: []Container{exited("a", 0, 0, -5, 0), exited("e", 0, 137, -1, 0)},
		want: "Succeeded 0/1 Completed 0", state: "Completed:0 Error:137"},
	{name: "ephemeral, its end is not recorded, and its pod has ended", pod: debugged(newPod(v1.RestartPolicyNever, "a")), sandbox: ready,
		have: []Container{exited("a", 0, 1, -5, 0), {Name: "e", State: Ended, ExitCode: 137, FinishedAt: at(0)}},
		want: "Failed 0/1 Error 0", state: "Error:1 running"},
	{name: "ephemeral, all others have begun anew", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 1), old("e")}, restarted: -120,
		want: "Running 1/1 Running 1", state: "running running"},
	{name: "deleted", pod: deleted(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, have: []Container{running("a", 0)},
		want: "Running 1/1 Terminating 0", state: "running"},
	{name: "deleted during the back-off", pod: deleted(newPod(v1.RestartPolicyAlways, "a", "b")), sandbox: ready, have: []Container{exited("a", 1, 1, -5, 10*time.Second), running("b", 0)},
		want: "Running 1/2 Terminating 1", state: "Error:1 running"},
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
			if obs.End = s.end; s.restarted != 0 {
				obs.RestartedAt = at(s.restarted)
			}
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
			for _, s := range pod.Status.EphemeralContainerStatuses {
				if s.Ready || s.Started != nil || s.RestartCount != 0 {
					t.Errorf("%s is %+v", s.Name, s)
				}
			}
			if restarting := slices.ContainsFunc(pod.Status.Conditions, func(c v1.PodCondition) bool { return c.Type == v1.AllContainersRestarting }); restarting != (s.name == "all begin anew") {
				t.Errorf("all containers are restarting: %v", restarting)
			}
			if got := stateText(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses)); got != s.state {
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

// TestStartedWithAnotherImage: an instance of another image than the pod has
// now is none that the pod was started with, unless no other one follows it.
func TestStartedWithAnotherImage(t *testing.T) {
	t.Parallel()
	ofImage := func(ref string, c Container) Container {
		c.ImageRef = ref
		return c
	}
	for name, test := range map[string]struct {
		policy v1.RestartPolicy
		have   []Container
		want   bool
	}{
		"runs":                          {v1.RestartPolicyAlways, []Container{ofImage("busybox", running("a", 0))}, true},
		"runs with another":             {v1.RestartPolicyNever, []Container{ofImage("other", running("a", 0))}, false},
		"ran with another, runs again":  {v1.RestartPolicyAlways, []Container{ofImage("other", exited("a", 0, 0, -9, 0)), ofImage("busybox", running("a", 1))}, true},
		"crashed with another":          {v1.RestartPolicyAlways, []Container{ofImage("other", exited("a", 0, 1, -9, 0))}, false},
		"is done with another":          {v1.RestartPolicyNever, []Container{ofImage("other", exited("a", 0, 0, -9, 0))}, true},
		"nobody wrote down which it is": {v1.RestartPolicyAlways, []Container{running("a", 0)}, true},
	} {
		obs := Observed{Created: at(-300), Sandbox: ready, Containers: test.have}
		if got := Started(newPod(test.policy, "a"), obs); got != test.want {
			t.Errorf("%s: started is %v", name, got)
		}
	}
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

	pod = withInits(newPod(v1.RestartPolicyOnFailure, "a"))
	golden(t, "initialized.yaml", Of(pod, Observed{Created: at(-300), Sandbox: ready, Containers: []Container{exited("i", 1, 0, -80, 0), later(running("s", 0), -78), later(running("a", 0), -70)}}, noon))
	golden(t, "initializing.yaml", Of(pod, Observed{Created: at(-300), Sandbox: ready, Containers: []Container{exited("i", 1, 1, -5, 10*time.Second)}}, noon))

	golden(t, "initialized-and-unready.yaml", Of(pod, Observed{Created: at(-300), Sandbox: ready, Containers: []Container{exited("i", 1, 0, -80, 0), later(exited("s", 1, 1, -20, 0), -40), later(exited("a", 0, 1, -10, 0), -70)}}, noon))
	done := Observed{Created: at(-300), Sandbox: stopped, Containers: []Container{exited("i", 1, 0, -80, 0), later(exited("s", 0, 9, -2, 0), -78), later(exited("a", 0, 0, -4, 0), -70)}}
	done.Containers[2].Message = "bye"
	golden(t, "succeeded.yaml", Of(pod, done, noon))
	golden(t, "no-sandbox.yaml", Of(pod, Observed{Created: at(-300)}, noon))

	evicted := Observed{Created: at(-300), Sandbox: ready, Containers: []Container{running("a", 0)}, End: End{ReasonEvicted, "too much", at(-3)}}
	evicted.Containers[0].User = &v1.LinuxContainerUser{UID: 1, GID: 2, SupplementalGroups: []int64{2, 3}}
	once := newPod(v1.RestartPolicyNever, "a")
	once.Spec.Containers[0].Lifecycle = &v1.Lifecycle{StopSignal: new(v1.SIGUSR1)}
	golden(t, "evicted.yaml", Of(once, evicted, noon))
	again := Observed{Created: at(-300), Sandbox: ready, RestartedAt: at(-7), Containers: []Container{exited("a", 0, 43, -8, 0)}}
	golden(t, "all-begin-anew.yaml", Of(newPod(v1.RestartPolicyAlways, "a"), again, noon))

	pod.Spec.HostNetwork = true
	obs.Sandbox.IPs = nil
	if ip := Of(pod, obs, noon).PodIP; ip != "192.0.2.1" {
		t.Errorf("with the host's network the pod's address is %q", ip)
	}
}

// TestReady: what a container's probes and its hook came to says whether it has
// started, and is ready.
func TestReady(t *testing.T) {
	t.Parallel()
	probed := newPod(v1.RestartPolicyAlways, "a")
	probed.Spec.Containers[0].StartupProbe, probed.Spec.Containers[0].ReadinessProbe = &v1.Probe{}, &v1.Probe{}
	hooked := withHook(newPod(v1.RestartPolicyAlways, "a"))
	for name, c := range map[string]struct {
		pod            *v1.Pod
		have           Container
		know           map[ProbeKind]bool
		started, ready bool
	}{
		"nothing is known":           {probed, running("a", 0), nil, false, false},
		"it has not started":         {probed, running("a", 0), map[ProbeKind]bool{Startup: false}, false, false},
		"it has started":             {probed, running("a", 0), map[ProbeKind]bool{Startup: true}, true, false},
		"it is not ready any more":   {probed, running("a", 0), map[ProbeKind]bool{Startup: true, Readiness: false}, true, false},
		"it is ready":                {probed, running("a", 0), map[ProbeKind]bool{Startup: true, Readiness: true}, true, true},
		"the instance before it was": {probed, running("a", 1), map[ProbeKind]bool{Startup: true, Readiness: true}, false, false},
		"it has ended":               {probed, exited("a", 0, 1, 0, 0), map[ProbeKind]bool{Startup: true, Readiness: true}, false, false},
		"its hook runs":              {hooked, running("a", 0), nil, false, false},
		"its hook is through":        {hooked, hook(running("a", 0), HookDone), nil, true, true},
	} {
		obs := Observed{Created: at(-300), Sandbox: ready, Containers: []Container{c.have}}
		results := map[ProbeKind]ProbeResult{}
		for kind, passed := range c.know {
			results[kind] = ProbeResult{Passed: passed, At: at(-1)}
		}
		obs.Probes = map[string]Probes{"a": {Results: results}}
		if s := Of(c.pod, obs, noon).ContainerStatuses[0]; *s.Started != c.started || s.Ready != c.ready {
			t.Errorf("%s: started is %v, ready is %v", name, *s.Started, s.Ready)
		}
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
	c, obs := Container{CreatedAt: noon}, &Observed{}
	var waits []string
	for range 8 {
		c.FinishedAt = c.CreatedAt.Add(time.Second)
		start, backoff := obs.Restart(Member{Role: App}, &c)
		waits = append(waits, start.Sub(c.FinishedAt).String())
		c = Container{CreatedAt: start, Backoff: backoff}
	}
	if got := strings.Join(waits, " "); got != "0s 10s 20s 40s 1m20s 2m40s 5m0s 5m0s" {
		t.Errorf("waits %s", got)
	}
	c.FinishedAt = c.CreatedAt.Add(601 * time.Second)
	if start, backoff := obs.Restart(Member{Role: App}, &c); !start.Equal(c.FinishedAt) || backoff != 10*time.Second {
		t.Errorf("after ten minutes: wait %v, then %v", start.Sub(c.FinishedAt), backoff)
	}
}

// TestRestartWithBase: all waits follow from the first one.
func TestRestartWithBase(t *testing.T) {
	t.Parallel()
	c, obs := Container{CreatedAt: noon, FinishedAt: noon.Add(30 * time.Second), Backoff: 25 * time.Second}, &Observed{BackoffBase: time.Second}
	if start, next := obs.Restart(Member{Role: App}, &c); start.Sub(c.FinishedAt) != 25*time.Second || next != 30*time.Second {
		t.Errorf("waits %v, then %v, want 25 s, then 30 s", start.Sub(c.FinishedAt), next)
	}
	c.FinishedAt = noon.Add(61 * time.Second)
	if start, next := obs.Restart(Member{Role: App}, &c); !start.Equal(c.FinishedAt) || next != time.Second {
		t.Errorf("after a minute: waits %v, then %v", start.Sub(c.FinishedAt), next)
	}
	pull := Failure{Reason: ReasonErrImagePull, Count: 2, At: noon}
	if wait := obs.NotBefore(pull).Sub(noon); wait != 2*time.Second {
		t.Errorf("the second failed pull: %v, want 2 s", wait)
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
		{ReasonRegistryUnavailable, 3, 40 * time.Second},
		{ReasonSignatureValidation, 3, 40 * time.Second},
		{ReasonErrImageNeverPull, 3, 10 * time.Second},
		{ReasonCreateContainer, 9, 10 * time.Second},
		{ReasonKillContainer, 1, time.Second},
		{ReasonRecordExit, 1, time.Second},
		{ReasonKillSandbox, 1, time.Second},
		{ReasonKillSandbox, 9, 10 * time.Second},
	} {
		f := Failure{Reason: c.reason, Count: c.count, At: noon}
		if got := (&Observed{}).NotBefore(f).Sub(noon); got != c.want {
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
