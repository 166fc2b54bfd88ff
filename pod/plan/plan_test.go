package plan

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"podrun/pod/status"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// at is a time in seconds from noon; situations are looked at noon.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// newPod makes a pod of containers given as "name" or "name=image", the
// latter always pulled.
func newPod(policy v1.RestartPolicy, containers ...string) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u1"}}
	pod.Spec.RestartPolicy = policy
	for _, c := range containers {
		name, image, always := strings.Cut(c, "=")
		spec := v1.Container{Name: name, Image: "busybox:1", ImagePullPolicy: v1.PullIfNotPresent}
		if always {
			spec.Image, spec.ImagePullPolicy = image, v1.PullAlways
		}
		pod.Spec.Containers = append(pod.Spec.Containers, spec)
	}
	return pod
}

// initPod has the init container i, the sidecar s, the init container j, and the
// app containers a and b.
func initPod(policy v1.RestartPolicy) *v1.Pod {
	pod := newPod(policy, "a", "b")
	pod.Spec.InitContainers = newPod(policy, "i", "s", "j").Spec.Containers
	pod.Spec.InitContainers[1].RestartPolicy = new(v1.ContainerRestartPolicyAlways)
	return pod
}

// ruled has a container with a policy of its own, and rules for two exit codes.
func ruled(policy v1.RestartPolicy, own v1.ContainerRestartPolicy) *v1.Pod {
	pod := newPod(policy, "a", "b")
	pod.Spec.Containers[0].RestartPolicy = &own
	for code, action := range map[int32]v1.ContainerRestartRuleAction{42: v1.ContainerRestartRuleActionRestart, 43: v1.ContainerRestartRuleActionRestartAllContainers} {
		pod.Spec.Containers[0].RestartPolicyRules = append(pod.Spec.Containers[0].RestartPolicyRules, v1.ContainerRestartRule{
			Action: action, ExitCodes: &v1.ContainerRestartRuleOnExitCodes{Operator: v1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{code}}})
	}
	return pod
}

// ruledInit has the rules at its first init container.
func ruledInit(policy v1.RestartPolicy, own v1.ContainerRestartPolicy) *v1.Pod {
	pod, rules := initPod(policy), ruled(policy, own).Spec.Containers[0]
	pod.Spec.InitContainers[0].RestartPolicy, pod.Spec.InitContainers[0].RestartPolicyRules = rules.RestartPolicy, rules.RestartPolicyRules
	return pod
}

// hookedPod has a container with hooks and one without.
func hookedPod(policy v1.RestartPolicy) *v1.Pod {
	pod := newPod(policy, "a", "b")
	pod.Spec.Containers[0].Lifecycle = &v1.Lifecycle{PostStart: &v1.LifecycleHandler{}, PreStop: &v1.LifecycleHandler{}}
	return pod
}

// probedPod has a container with all kinds of probes.
func probedPod(policy v1.RestartPolicy) *v1.Pod {
	pod := newPod(policy, "a")
	c := &pod.Spec.Containers[0]
	c.StartupProbe, c.LivenessProbe, c.ReadinessProbe = &v1.Probe{TerminationGracePeriodSeconds: new(int64(7))}, &v1.Probe{}, &v1.Probe{}
	return pod
}

// probedOwn has a container with all kinds of probes and a policy of its own.
func probedOwn(policy v1.RestartPolicy, own v1.ContainerRestartPolicy) *v1.Pod {
	pod := probedPod(policy)
	pod.Spec.Containers[0].RestartPolicy = &own
	return pod
}

// probedSidecar has probes at its sidecar s.
func probedSidecar(policy v1.RestartPolicy) *v1.Pod {
	pod := initPod(policy)
	s := &pod.Spec.InitContainers[1]
	s.StartupProbe, s.LivenessProbe = &v1.Probe{}, &v1.Probe{}
	return pod
}

func results(passed map[status.ProbeKind]bool) map[status.ProbeKind]status.ProbeResult {
	all := map[status.ProbeKind]status.ProbeResult{}
	for kind, p := range passed {
		all[kind] = status.ProbeResult{Passed: p, At: at(0)}
	}
	return all
}

func after(c status.Container, hook status.HookState) status.Container {
	c.PostStart = hook
	return c
}

func limited(pod *v1.Pod, seconds int64) *v1.Pod {
	pod.Spec.ActiveDeadlineSeconds = &seconds
	return pod
}

func outOfMemory(c status.Container) status.Container {
	c.OOMKilled = true
	return c
}

func replaced(c status.Container) status.Container {
	c.Replaced = true
	return c
}

// told is an instance of which all is through that comes before the stop signal.
func told(c status.Container, when float64) status.Container {
	c.StoppingAt, c.PreStopped = at(when), true
	return c
}

func deleted(pod *v1.Pod, grace int64, when time.Time) *v1.Pod {
	Delete(pod, &grace, when)
	return pod
}

var (
	ready   = status.Sandbox{State: status.SandboxReady, StartedAt: at(-100), Since: at(-100)}
	pausing = status.Sandbox{State: status.SandboxCreated, StartedAt: at(-1), Since: at(-1)}
	died    = status.Sandbox{State: status.SandboxExited, StartedAt: at(-100), Since: at(0)}
	stopped = status.Sandbox{State: status.SandboxStopped, StartedAt: at(-100), Since: at(0)}
)

func instance(name string, attempt int, state status.ContainerState) status.Container {
	return status.Container{Name: name, Attempt: attempt, State: state, CreatedAt: at(-50), StartedAt: at(-50)}
}

func exited(name string, attempt int, code int32, end time.Time, backoff time.Duration) status.Container {
	c := instance(name, attempt, status.Exited)
	c.ExitCode, c.FinishedAt, c.Backoff = code, end, backoff
	return c
}

func startError(name string, attempt int, end time.Time, backoff time.Duration) status.Container {
	c := exited(name, attempt, 128, end, backoff)
	c.Reason = status.ReasonStartError
	return c
}

// tellAddress tells the pod's first container its address.
func tellAddress(pod *v1.Pod) *v1.Pod {
	ip := &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "status.podIP"}}
	pod.Spec.Containers[0].Env = []v1.EnvVar{{Name: "IP", ValueFrom: ip}}
	return pod
}

func ofImage(ref string, c status.Container) status.Container {
	c.ImageRef = ref
	return c
}

// debugged gives a pod the ephemeral container e.
func debugged(pod *v1.Pod) *v1.Pod {
	pod.Spec.EphemeralContainers = []v1.EphemeralContainer{{TargetContainerName: "a", EphemeralContainerCommon: v1.EphemeralContainerCommon{
		Name: "e", Image: "debug:1", ImagePullPolicy: v1.PullIfNotPresent}}}
	return pod
}

// always has the image of the ephemeral container e always pulled.
func always(pod *v1.Pod) *v1.Pod {
	pod.Spec.EphemeralContainers[0].ImagePullPolicy = v1.PullAlways
	return pod
}

// old is an instance of an earlier sandbox.
func old(c status.Container) status.Container {
	c.CreatedAt, c.StartedAt = at(-150), at(-150)
	return c
}

func ensured(pod *v1.Pod, when time.Time) map[status.Image]time.Time {
	images := map[status.Image]time.Time{}
	for _, m := range status.Members(pod) {
		images[status.ImageOf(m.Container)] = when
	}
	return images
}

func flying(actions ...Action) map[Key]Action {
	m := map[Key]Action{}
	for _, a := range actions {
		m[a.Key()] = a
	}
	return m
}

type situation struct {
	name     string
	pod      *v1.Pod
	sandbox  status.Sandbox
	have     []status.Container
	failures map[string]status.Failure
	ensured  bool // all images, long ago
	flying   []Action
	// restarted is when all containers began anew, in seconds from noon; ended
	// says that the pod's deadline ended it.
	restarted float64
	ended     bool
	// halt is the grace with which the pod is to be stopped, since a second ago.
	halt *int64
	// probes are the results of a's and s', attempt 2.
	probes map[status.ProbeKind]bool
	// exceeded is said of a volume; evicted says that it ended the pod.
	exceeded string
	evicted  bool
}

func failure(reason string, ago float64, count int) status.Failure {
	return status.Failure{Reason: reason, Message: "no", At: at(-ago), Count: count}
}

var situations = []situation{
	{name: "new", pod: newPod(v1.RestartPolicyAlways, "a", "b", "c=httpd")},
	{name: "new, sandbox and image on their way", pod: newPod(v1.RestartPolicyAlways, "a", "b"),
		flying: []Action{{Kind: EnsureImage, Container: "a", Image: status.Image{Ref: "busybox:1", Policy: v1.PullIfNotPresent}}, {Kind: CreateSandbox}}},
	{name: "same image with two policies is ensured in order", pod: newPod(v1.RestartPolicyAlways, "a=busybox:1", "b")},
	{name: "pause runs, images there: all are created together", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: pausing, ensured: true,
		flying: []Action{{Kind: CreateSandbox}}},
	{name: "pause runs, nobody makes the network", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: pausing, ensured: true,
		have: []status.Container{{Name: "a", State: status.Created, CreatedAt: at(0)}}},
	{name: "no creation without an address that the container is told", pod: tellAddress(newPod(v1.RestartPolicyAlways, "a", "b")), sandbox: pausing, ensured: true,
		flying: []Action{{Kind: CreateSandbox}}},
	{name: "the address is there", pod: tellAddress(newPod(v1.RestartPolicyAlways, "a", "b")), sandbox: ready, ensured: true},
	{name: "no start before the network is ready", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: pausing, ensured: true,
		have: []status.Container{{Name: "a", State: status.Created, CreatedAt: at(0)}}, flying: []Action{{Kind: CreateSandbox}}},
	{name: "first start is in order", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Created), instance("b", 0, status.Created)}},
	{name: "second starts when the first runs", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 0, status.Created)}},
	{name: "second starts when the first could not be pulled", pod: newPod(v1.RestartPolicyAlways, "a=nope", "b"), sandbox: ready, ensured: false,
		have: []status.Container{instance("b", 0, status.Created)}, failures: map[string]status.Failure{"a": failure(status.ReasonErrImagePull, 1, 1)}},
	{name: "all run", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 3, status.Running)}},
	{name: "taken over without memory: a creation was cut short", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Registered)}},
	{name: "pull failed three times", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready,
		failures: map[string]status.Failure{"a": failure(status.ReasonErrImagePull, 1, 3)}},
	{name: "pull failed, back-off is over", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready,
		failures: map[string]status.Failure{"a": failure(status.ReasonErrImagePull, 40, 3)}},
	{name: "create failed: wait", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		failures: map[string]status.Failure{"a": failure(status.ReasonCreateContainerConfig, 4, 1)}},
	{name: "create failed, wait is over: the image is looked at again", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		failures: map[string]status.Failure{"a": failure(status.ReasonCreateContainer, 10, 7)}},
	{name: "sandbox failed", pod: newPod(v1.RestartPolicyAlways, "a"), ensured: true,
		failures: map[string]status.Failure{"": failure(status.ReasonCreateSandbox, 3, 1)}},
	{name: "an end is recorded first", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), {Name: "b", State: status.Ended, CreatedAt: at(-9), ExitCode: 3, FinishedAt: at(0)}}},
	{name: "first crash restarts at once", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 0, at(0), 0)}},
	{name: "second crash backs off", pod: newPod(v1.RestartPolicyOnFailure, "a"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 1, at(-20), 0), exited("a", 1, 1, at(-4), 10*time.Second)}},
	{name: "success under Always backs off", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 3, 0, at(-4), 40*time.Second)}},
	{name: "start error backs off", pod: newPod(v1.RestartPolicyOnFailure, "a"), sandbox: ready, ensured: true,
		have: []status.Container{startError("a", 1, at(-4), 10*time.Second)}},
	{name: "back-off is over", pod: newPod(v1.RestartPolicyOnFailure, "a"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 5, 1, at(-300), 300*time.Second)}},
	{name: "an image that is always pulled is pulled before a restart", pod: newPod(v1.RestartPolicyAlways, "a=busybox"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 1, at(0), 0)}},
	{name: "OnFailure, one done, one runs", pod: newPod(v1.RestartPolicyOnFailure, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 0, at(0), 0), instance("b", 0, status.Running)}},
	{name: "OnFailure, all done", pod: newPod(v1.RestartPolicyOnFailure, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 2, 0, at(0), 10*time.Second), exited("b", 0, 0, at(0), 0)}},
	{name: "Never, all ended", pod: newPod(v1.RestartPolicyNever, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 1, at(0), 0), exited("b", 0, 0, at(0), 0)}},
	{name: "ended and taken down", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: stopped, ensured: true,
		have: []status.Container{exited("a", 0, 1, at(0), 0)}},
	{name: "sandbox could not be stopped", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 1, at(0), 0)}, failures: map[string]status.Failure{"": failure(status.ReasonKillSandbox, 1, 2)}},
	{name: "an image changed: that container alone", pod: newPod(v1.RestartPolicyNever, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{ofImage("other:1", instance("a", 0, status.Running)), ofImage("busybox:1", instance("b", 0, status.Running))}},
	{name: "an image changed and its container is stopped", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: ready, ensured: true,
		have: []status.Container{ofImage("other:1", status.Container{Name: "a", State: status.Exited, FinishedAt: at(0), Replaced: true})}},
	{name: "an image changed before the start", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{ofImage("other:1", instance("a", 0, status.Created))}},
	{name: "an image changed during the back-off", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{ofImage("other:1", exited("a", 5, 1, at(-2), 300*time.Second))}},
	{name: "an image changed of what is done", pod: newPod(v1.RestartPolicyNever, "a", "b"), sandbox: ready, ensured: true,
		have: []status.Container{ofImage("other:1", exited("a", 0, 0, at(-2), 0)), ofImage("busybox:1", instance("b", 0, status.Running))}},
	{name: "an image changed that could not be pulled", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready,
		failures: map[string]status.Failure{"a": {Reason: status.ReasonErrImagePull, At: at(-1), Count: 9, Image: "other:1"}}},
	{name: "pause died", pod: newPod(v1.RestartPolicyAlways, "a", "b", "c"), sandbox: died, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 1, status.Created), exited("c", 0, 1, at(-1), 0)}},
	{name: "pause died, all are stopped", pod: newPod(v1.RestartPolicyOnFailure, "a"), sandbox: died, ensured: true,
		have: []status.Container{{Name: "a", State: status.Exited, CreatedAt: at(-50), FinishedAt: at(0), Replaced: true}}},
	{name: "pause died twice at once", pod: newPod(v1.RestartPolicyAlways, "a"), ensured: true,
		sandbox: status.Sandbox{State: status.SandboxExited, Attempt: 1, StartedAt: at(-1), Since: at(-0.25)},
		have:    []status.Container{exited("a", 0, 137, at(0), 0)}},
	{name: "pause died before anything ran", pod: newPod(v1.RestartPolicyNever, "a"), sandbox: died, ensured: true,
		have: []status.Container{instance("a", 0, status.Created)}},
	{name: "new sandbox after pause died", pod: newPod(v1.RestartPolicyOnFailure, "a", "b"), ensured: true,
		sandbox: status.Sandbox{State: status.SandboxReady, Attempt: 1, StartedAt: at(-1), Since: at(0)},
		have:    []status.Container{{Name: "a", State: status.Exited, CreatedAt: at(-50), FinishedAt: at(-2), Replaced: true}, exited("b", 0, 0, at(-30), 0)}},
	{name: "pause died under Never", pod: newPod(v1.RestartPolicyNever, "a", "b"), sandbox: died, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 0, status.Created)}},
	{name: "pause died when all was done", pod: newPod(v1.RestartPolicyOnFailure, "a"), sandbox: died, ensured: true,
		have: []status.Container{exited("a", 0, 0, at(-1), 0)}},
	{name: "after a reboot", pod: newPod(v1.RestartPolicyAlways, "a", "b"),
		have: []status.Container{{Name: "a", State: status.Ended, ExitCode: 137, CreatedAt: at(-50), FinishedAt: at(0)}, instance("b", 0, status.Registered)}},
	{name: "to be stopped", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, ensured: true, halt: new(int64(-1)),
		have: []status.Container{instance("a", 0, status.Running), exited("b", 1, 1, at(-1), 0)}},
	{name: "to be stopped with a grace", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true, halt: new(int64(9)),
		have: []status.Container{instance("a", 0, status.Running)}},
	{name: "to be stopped at once", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true, halt: new(int64(0)),
		have: []status.Container{instance("a", 0, status.Running)}, flying: []Action{{Kind: StopContainer, Container: "a", Deadline: at(25)}}},
	{name: "to be stopped while it is being made", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: pausing, halt: new(int64(-1)),
		flying: []Action{{Kind: CreateSandbox}, {Kind: EnsureImage, Container: "a"}}},
	{name: "stopped", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: stopped, ensured: true, halt: new(int64(-1)),
		have: []status.Container{exited("a", 0, 143, at(0), 0)}},
	{name: "started again", pod: newPod(v1.RestartPolicyNever, "a", "b"), ensured: true, restarted: -1,
		sandbox: status.Sandbox{Attempt: 1, StartedAt: at(-1)},
		have:    []status.Container{exited("a", 0, 143, at(-9), 0), exited("b", 3, 0, at(-9), 10*time.Second)}},
	{name: "started again in a ready sandbox", pod: newPod(v1.RestartPolicyNever, "a", "b"), ensured: true, restarted: -1,
		sandbox: status.Sandbox{State: status.SandboxReady, Attempt: 1, StartedAt: at(-1)},
		have:    []status.Container{exited("a", 0, 143, at(-9), 0), exited("b", 3, 0, at(-9), 10*time.Second)}},
	{name: "deleted while all runs", pod: deleted(newPod(v1.RestartPolicyAlways, "a", "b"), 30, at(-5)), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 1, status.Running), exited("b", 0, 1, at(-60), 0)}},
	{name: "deleted with a grace of one second", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 1, at(0)), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running)}},
	{name: "deleted by force", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 0, at(0)), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running)}},
	{name: "deleted again with a shorter grace", pod: deleted(newPod(v1.RestartPolicyAlways, "a", "b"), 5, at(0)), sandbox: ready, ensured: true,
		have:   []status.Container{instance("a", 0, status.Running), instance("b", 0, status.Running)},
		flying: []Action{{Kind: StopContainer, Container: "a", Deadline: at(25)}, {Kind: StopContainer, Container: "b", Deadline: at(3)}}},
	{name: "deleted while it is being made", pod: deleted(newPod(v1.RestartPolicyAlways, "a", "b"), 30, at(0)), sandbox: pausing,
		have:   []status.Container{instance("a", 0, status.Created)},
		flying: []Action{{Kind: CreateSandbox}, {Kind: CreateContainer, Container: "b"}, {Kind: EnsureImage, Container: "a"}}},
	{name: "deleted, containers are stopped", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 30, at(-1)), sandbox: ready,
		have: []status.Container{{Name: "a", State: status.Ended}}},
	{name: "deleted, container could not be killed", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 30, at(-40)), sandbox: ready,
		have: []status.Container{instance("a", 0, status.Running)}, failures: map[string]status.Failure{"a": failure(status.ReasonKillContainer, 1, 2)}},
	{name: "deleted, sandbox is stopped", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 30, at(-1)), sandbox: stopped,
		have: []status.Container{{Name: "a", State: status.Ended}}},
	{name: "deleted before anything was made", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 30, at(0))},
	{name: "deleted, being removed", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 30, at(-1)), sandbox: stopped, flying: []Action{{Kind: RemovePod}}},
	{name: "init, first", pod: initPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true},
	{name: "init, one runs", pod: initPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{instance("i", 0, status.Running)}},
	{name: "init, first is done", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(0), 0)}},
	{name: "init, failed under Always", pod: initPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 1, at(0), 0)}},
	{name: "init, failed again under OnFailure", pod: initPod(v1.RestartPolicyOnFailure), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 1, 1, at(0), 10*time.Second)}},
	{name: "init, failed under Never", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 1, at(0), 0)}},
	{name: "init, out of memory with exit code 0 under Never", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{outOfMemory(exited("i", 0, 0, at(0), 0))}},
	{name: "init, out of memory with exit code 0 under OnFailure", pod: initPod(v1.RestartPolicyOnFailure), sandbox: ready, ensured: true,
		have: []status.Container{outOfMemory(exited("i", 0, 0, at(0), 0))}},
	{name: "init, the second failed under Never while a sidecar runs", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 0, status.Running), exited("j", 0, 1, at(0), 0)}},
	{name: "init, sidecar runs", pod: initPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 0, status.Running)}},
	{name: "init, sidecar died before the next was through", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), exited("s", 0, 0, at(0), 0), instance("j", 0, status.Running)}},
	{name: "init, all are through", pod: initPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 0, status.Running), exited("j", 0, 0, at(0), 0)}},
	{name: "init, start error under Never", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 128, at(0), 0)}},
	{name: "init, start error under OnFailure", pod: initPod(v1.RestartPolicyOnFailure), sandbox: ready, ensured: true,
		have: []status.Container{startError("i", 0, at(0), 0)}},
	{name: "sidecar, startup probe has not passed", pod: probedSidecar(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 2, status.Running)}},
	{name: "sidecar, startup probe has passed", pod: probedSidecar(v1.RestartPolicyNever), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true},
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 2, status.Running)}},
	{name: "sidecar, startup probe failed", pod: probedSidecar(v1.RestartPolicyNever), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: false},
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 2, status.Running)}},
	{name: "sidecar, liveness probe failed", pod: probedSidecar(v1.RestartPolicyNever), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Liveness: false},
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 2, status.Running), exited("j", 0, 0, at(-8), 0), instance("a", 0, status.Running), instance("b", 0, status.Running)}},
	{name: "sidecar died while the others run", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), exited("s", 3, 0, at(0), 20*time.Second), exited("j", 0, 0, at(0), 0), instance("a", 0, status.Running), instance("b", 0, status.Running)}},
	{name: "new sandbox begins with the first init container", pod: initPod(v1.RestartPolicyOnFailure), ensured: true,
		sandbox: status.Sandbox{State: status.SandboxReady, Attempt: 1, StartedAt: at(-1), Since: at(0)},
		have:    []status.Container{exited("i", 3, 0, at(-40), 300*time.Second), replaced(exited("s", 0, 143, at(-2), 0)), exited("j", 0, 0, at(-30), 0), replaced(exited("a", 0, 143, at(-2), 0)), exited("b", 0, 0, at(-20), 0)}},
	{name: "only sidecars are left", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), instance("s", 0, status.Running), exited("j", 0, 0, at(-9), 0), exited("a", 0, 1, at(0), 0), exited("b", 0, 0, at(0), 0)}},
	{name: "only sidecars are left, one was told", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), told(instance("s", 0, status.Running), -4), exited("j", 0, 0, at(-9), 0), exited("a", 0, 1, at(0), 0), exited("b", 0, 0, at(0), 0)}},
	{name: "deleted, sidecars wait for their turn", pod: deleted(initPod(v1.RestartPolicyAlways), 30, at(-5)), sandbox: ready, ensured: true,
		have:   []status.Container{exited("i", 0, 0, at(-9), 0), told(instance("s", 0, status.Running), -5), exited("j", 0, 0, at(-9), 0), instance("a", 0, status.Running), exited("b", 0, 0, at(0), 0)},
		flying: []Action{{Kind: StopContainer, Container: "a", Deadline: at(25)}}},
	{name: "deleted, sidecars have used up their grace", pod: deleted(initPod(v1.RestartPolicyAlways), 30, at(-30)), sandbox: ready, ensured: true,
		have:   []status.Container{exited("i", 0, 0, at(-9), 0), told(instance("s", 0, status.Running), -30), exited("j", 0, 0, at(-9), 0), instance("a", 0, status.Running), exited("b", 0, 0, at(0), 0)},
		flying: []Action{{Kind: StopContainer, Container: "a", Deadline: at(0)}}},
	{name: "own policy Never under Always", pod: ruled(v1.RestartPolicyAlways, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 1, at(0), 0), instance("b", 0, status.Running)}},
	{name: "own policy OnFailure under Never", pod: ruled(v1.RestartPolicyNever, v1.ContainerRestartPolicyOnFailure), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 1, at(0), 0), instance("b", 0, status.Running)}},
	{name: "own policy Always under Never", pod: ruled(v1.RestartPolicyNever, v1.ContainerRestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 0, at(0), 0), exited("b", 0, 0, at(0), 0)}},
	{name: "a rule restarts it", pod: ruled(v1.RestartPolicyNever, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 42, at(0), 0), instance("b", 0, status.Running)}},
	{name: "a rule restarts all", pod: ruled(v1.RestartPolicyNever, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 43, at(0), 0), instance("b", 0, status.Running)}},
	{name: "all are being restarted", pod: ruled(v1.RestartPolicyNever, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true, restarted: -1,
		have: []status.Container{exited("a", 0, 43, at(-2), 0), instance("b", 0, status.Running)}},
	{name: "all are stopped to be restarted", pod: ruled(v1.RestartPolicyNever, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true, restarted: -1,
		have: []status.Container{exited("a", 0, 43, at(-2), 0), replaced(exited("b", 0, 143, at(0), 0))}},
	{name: "a rule of an init container restarts it", pod: ruledInit(v1.RestartPolicyAlways, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 42, at(0), 0)}},
	{name: "a rule of an init container restarts all", pod: ruledInit(v1.RestartPolicyAlways, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 43, at(0), 0)}},
	{name: "no rule of an init container restarts it", pod: ruledInit(v1.RestartPolicyAlways, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 1, at(0), 0)}},
	{name: "all are stopped to be restarted, init containers first", pod: initPod(v1.RestartPolicyNever), sandbox: ready, ensured: true, restarted: -1,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), replaced(exited("s", 0, 143, at(0), 0)), exited("j", 0, 0, at(-9), 0), exited("a", 0, 43, at(-2), 0), exited("b", 0, 0, at(-9), 0)}},
	{name: "all are stopped to be restarted, the one by which they are backs off", pod: ruled(v1.RestartPolicyNever, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true, restarted: -1,
		have: []status.Container{exited("a", 2, 43, at(-2), 40*time.Second), replaced(exited("b", 2, 143, at(0), 40*time.Second))}},
	{name: "hook after the start", pod: hookedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 0, status.Created)}},
	{name: "hook after the start runs", pod: hookedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 0, status.Created)}, flying: []Action{{Kind: PostStart, Container: "a"}}},
	{name: "hook after the start is through", pod: hookedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{after(instance("a", 0, status.Running), status.HookDone), instance("b", 0, status.Created)}},
	{name: "hook after the start failed", pod: hookedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true, failures: map[string]status.Failure{"a": failure(status.ReasonPostStartHook, 0, 1)},
		have: []status.Container{after(instance("a", 0, status.Running), status.HookFailed), instance("b", 0, status.Created)}},
	{name: "hook after the start failed, hook before the stop is through", pod: hookedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have: []status.Container{told(after(instance("a", 0, status.Running), status.HookFailed), -3), instance("b", 0, status.Running)}},
	{name: "hook of what has ended is called off", pod: hookedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true,
		have:   []status.Container{{Name: "a", State: status.Ended, CreatedAt: at(-9)}, instance("b", 0, status.Running)},
		flying: []Action{{Kind: PostStart, Container: "a"}}},
	{name: "deleted, hook before the stop", pod: deleted(hookedPod(v1.RestartPolicyAlways), 30, at(0)), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("b", 0, status.Running)}, flying: []Action{{Kind: PostStart, Container: "a"}}},
	{name: "deleted, hook before the stop took its time", pod: deleted(hookedPod(v1.RestartPolicyAlways), 30, at(-29)), sandbox: ready, ensured: true,
		have: []status.Container{told(instance("a", 0, status.Running), -29), exited("b", 0, 0, at(-9), 0)}},
	{name: "deleted, hook before the stop outlives the grace", pod: deleted(hookedPod(v1.RestartPolicyAlways), 30, at(-31)), sandbox: ready, ensured: true,
		have:   []status.Container{instance("a", 0, status.Running), exited("b", 0, 0, at(-9), 0)},
		flying: []Action{{Kind: BeginStop, Container: "a", Deadline: at(-1)}}},
	{name: "deleted by force during the hook before the stop", pod: deleted(hookedPod(v1.RestartPolicyAlways), 0, at(0)), sandbox: ready, ensured: true,
		have:   []status.Container{instance("a", 0, status.Running), exited("b", 0, 0, at(-9), 0)},
		flying: []Action{{Kind: BeginStop, Container: "a", Deadline: at(25)}}},
	{name: "deleted with a shorter grace during the hook before the stop", pod: deleted(hookedPod(v1.RestartPolicyAlways), 5, at(0)), sandbox: ready, ensured: true,
		have:   []status.Container{instance("a", 0, status.Running), exited("b", 0, 0, at(-9), 0)},
		flying: []Action{{Kind: BeginStop, Container: "a", Deadline: at(25)}}},
	{name: "liveness probe failed", pod: probedPod(v1.RestartPolicyOnFailure), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Liveness: false},
		have: []status.Container{instance("a", 2, status.Running)}},
	{name: "liveness probe failed under Never", pod: probedPod(v1.RestartPolicyNever), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Liveness: false},
		have: []status.Container{instance("a", 2, status.Running)}},
	{name: "liveness probe failed under Always, its own policy Never", pod: probedOwn(v1.RestartPolicyAlways, v1.ContainerRestartPolicyNever), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Liveness: false},
		have: []status.Container{instance("a", 2, status.Running)}},
	{name: "liveness probe failed under Never, its own policy OnFailure", pod: probedOwn(v1.RestartPolicyNever, v1.ContainerRestartPolicyOnFailure), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Liveness: false},
		have: []status.Container{instance("a", 2, status.Running)}},
	{name: "liveness probe failed again, it backs off", pod: probedPod(v1.RestartPolicyOnFailure), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Liveness: false},
		have: []status.Container{replaced(exited("a", 2, 0, at(-4), 10*time.Second))}},
	{name: "startup probe failed, it has its own grace", pod: probedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: false},
		have: []status.Container{instance("a", 2, status.Running)}},
	{name: "readiness probe failed", pod: probedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Readiness: false},
		have: []status.Container{instance("a", 2, status.Running)}},
	{name: "liveness probe of an earlier instance failed", pod: probedPod(v1.RestartPolicyAlways), sandbox: ready, ensured: true, probes: map[status.ProbeKind]bool{status.Startup: true, status.Liveness: false},
		have: []status.Container{instance("a", 3, status.Running)}},
	{name: "a volume holds too much", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running)}, exceeded: "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". "},
	{name: "evicted: its containers get little time", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running)}, evicted: true},
	{name: "the deadline is over", pod: limited(newPod(v1.RestartPolicyAlways, "a"), 101), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running)}},
	{name: "the deadline is to come", pod: limited(newPod(v1.RestartPolicyAlways, "a"), 120), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running)}},
	{name: "the deadline begins anew with a pod that is started again", pod: limited(newPod(v1.RestartPolicyAlways, "a"), 101), ensured: true, restarted: -1,
		sandbox: status.Sandbox{State: status.SandboxReady, Attempt: 1, StartedAt: at(-1)}, have: []status.Container{exited("a", 0, 1, at(-9), 0)}},
	{name: "ended by its deadline", pod: newPod(v1.RestartPolicyAlways, "a", "b"), sandbox: ready, ensured: true, ended: true,
		have: []status.Container{instance("a", 0, status.Running), exited("b", 3, 1, at(0), 40*time.Second)}},
	{name: "done before the deadline", pod: limited(newPod(v1.RestartPolicyNever, "a"), 101), sandbox: stopped, ensured: true,
		have: []status.Container{exited("a", 0, 0, at(-1), 0)}},
	{name: "ephemeral, before the init containers", pod: debugged(initPod(v1.RestartPolicyAlways)), sandbox: ready, ensured: true},
	{name: "ephemeral, its image is missing", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready,
		have: []status.Container{instance("a", 0, status.Running)}},
	{name: "ephemeral, its image is always pulled, and another one was made of it", pod: always(debugged(newPod(v1.RestartPolicyAlways, "a=debug:1"))), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running)}},
	{name: "ephemeral, its image is always pulled, and was", pod: always(debugged(newPod(v1.RestartPolicyAlways, "a=debug:1"))), sandbox: ready, ensured: true,
		have: []status.Container{{Name: "a", State: status.Running, CreatedAt: at(-95), StartedAt: at(-95)}}},
	{name: "ephemeral, made", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 3, 1, at(-1), 40*time.Second), instance("e", 0, status.Created)}},
	{name: "ephemeral, made, its creation was cut short", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("e", 0, status.Registered)}},
	{name: "ephemeral, ended", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), exited("e", 0, 1, at(-40), 0)}},
	{name: "ephemeral, of an earlier sandbox", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), old(replaced(exited("e", 0, 143, at(-110), 0)))}},
	{name: "ephemeral, made in an earlier sandbox and never started", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), old(instance("e", 0, status.Created))}},
	{name: "ephemeral, all others begin anew", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: ready, ensured: true, restarted: -5,
		have: []status.Container{exited("a", 0, 42, at(-6), 0), instance("e", 0, status.Running)}},
	{name: "ephemeral, does not keep its pod", pod: debugged(newPod(v1.RestartPolicyNever, "a")), sandbox: ready, ensured: true,
		have: []status.Container{exited("a", 0, 0, at(0), 0), instance("e", 0, status.Running)}},
	{name: "ephemeral, does not end its pod", pod: debugged(newPod(v1.RestartPolicyNever, "a")), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), exited("e", 0, 1, at(0), 0)}},
	{name: "ephemeral, the sandbox died", pod: debugged(newPod(v1.RestartPolicyAlways, "a")), sandbox: died, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("e", 0, status.Running)}},
	{name: "ephemeral, deleted, sidecars do not wait for it", pod: deleted(debugged(initPod(v1.RestartPolicyAlways)), 30, at(-5)), sandbox: ready, ensured: true,
		have: []status.Container{exited("i", 0, 0, at(-9), 0), told(instance("s", 0, status.Running), -5), exited("j", 0, 0, at(-9), 0),
			exited("a", 0, 0, at(0), 0), exited("b", 0, 0, at(0), 0), instance("e", 0, status.Running)}},
	{name: "dropped, it runs", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), instance("e", 0, status.Running)}},
	{name: "dropped, its end is recorded first", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), {Name: "e", State: status.Ended, CreatedAt: at(-9), ExitCode: 3, FinishedAt: at(0)}}},
	{name: "dropped, it has ended", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have: []status.Container{instance("a", 0, status.Running), exited("e", 0, 1, at(-1), 0)}},
	{name: "dropped, it is being made", pod: newPod(v1.RestartPolicyAlways, "a"), sandbox: ready, ensured: true,
		have:   []status.Container{instance("a", 0, status.Running), instance("e", 0, status.Registered)},
		flying: []Action{{Kind: EnsureImage, Container: "f"}, {Kind: CreateContainer, Container: "e"}}},
	{name: "removed", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 30, at(-1)), sandbox: status.Sandbox{State: status.SandboxRemoved}},
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			work := Work{InFlight: flying(s.flying...), Exceeded: s.exceeded}
			if s.ensured {
				work.Images = ensured(s.pod, at(-90))
			}
			obs := status.Observed{Created: at(-101), Sandbox: s.sandbox, Containers: s.have, Failures: s.failures}
			if s.restarted != 0 {
				obs.RestartedAt = at(s.restarted)
			}
			if s.halt != nil {
				obs.Halt = &status.Halt{At: at(-1), Grace: *s.halt}
			}
			if s.probes != nil {
				known := status.Probes{Attempt: 2, Results: results(s.probes)}
				obs.Probes = map[string]status.Probes{"a": known, "s": known}
			}
			if s.evicted {
				obs.End = status.End{Reason: status.ReasonEvicted, Message: "too much", At: at(0)}
			}
			if s.ended {
				obs.End = status.End{Reason: status.ReasonDeadlineExceeded, Message: deadlineMessage, At: at(-1)}
			}
			golden(t, s.name, text(Next(s.pod, obs, work, noon)))
		})
	}
}

// TestProbes: which probes are performed, by what is known of a's, attempt 2.
func TestProbes(t *testing.T) {
	t.Parallel()
	running, hooked := instance("a", 2, status.Running), probedPod(v1.RestartPolicyAlways)
	hooked.Spec.Containers[0].Lifecycle = &v1.Lifecycle{PostStart: &v1.LifecycleHandler{}}
	sidecar := probedPod(v1.RestartPolicyAlways)
	sidecar.Spec.InitContainers, sidecar.Spec.Containers = sidecar.Spec.Containers, newPod("", "b").Spec.Containers
	sidecar.Spec.InitContainers[0].RestartPolicy = new(v1.ContainerRestartPolicyAlways)
	bare := probedPod(v1.RestartPolicyAlways)
	bare.Spec.Containers[0].StartupProbe = nil
	hookedBare := hooked.DeepCopy()
	hookedBare.Spec.Containers[0].StartupProbe = nil
	for name, c := range map[string]struct {
		pod  *v1.Pod
		have status.Container
		know map[status.ProbeKind]bool
		want string
	}{
		"it just started":               {probedPod(v1.RestartPolicyAlways), running, nil, "[startup]"},
		"it does not run":               {probedPod(v1.RestartPolicyAlways), exited("a", 2, 0, at(0), 0), nil, "[]"},
		"its hook runs":                 {hooked, running, nil, "[]"},
		"its hook alone holds it back":  {hookedBare, running, nil, "[]"},
		"its hook is through":           {hooked, after(running, status.HookDone), nil, "[startup]"},
		"it is up":                      {probedPod(v1.RestartPolicyAlways), running, map[status.ProbeKind]bool{status.Startup: true}, "[liveness readiness]"},
		"it is up at once":              {bare, running, nil, "[liveness readiness]"},
		"it is ready":                   {bare, running, map[status.ProbeKind]bool{status.Readiness: true, status.Liveness: true}, "[liveness readiness]"},
		"it is sick":                    {bare, running, map[status.ProbeKind]bool{status.Liveness: false}, "[readiness]"},
		"it never came up":              {probedPod(v1.RestartPolicyAlways), running, map[status.ProbeKind]bool{status.Startup: false}, "[]"},
		"it is being deleted":           {deleted(bare.DeepCopy(), 30, at(0)), running, nil, "[readiness]"},
		"it is deleted before it is up": {deleted(probedPod(v1.RestartPolicyAlways), 30, at(0)), running, nil, "[]"},
		"it is a sidecar":               {sidecar, running, map[status.ProbeKind]bool{status.Startup: true}, "[liveness readiness]"},
	} {
		obs := status.Observed{Sandbox: ready, Containers: []status.Container{c.have}, Probes: map[string]status.Probes{"a": {Attempt: 2, Results: results(c.know)}}}
		kinds := []status.ProbeKind{}
		for _, probe := range Probes(c.pod, obs) {
			kinds = append(kinds, probe.Kind)
		}
		if got := fmt.Sprint(kinds); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	obs := status.Observed{Sandbox: ready, Containers: []status.Container{running}, End: status.End{Reason: status.ReasonDeadlineExceeded, At: at(0)}}
	if got := Probes(bare, obs); len(got) != 1 || got[0].Kind != status.Readiness {
		t.Errorf("of a pod that was ended: %v", got)
	}
}

func text(p Plan) string {
	var b strings.Builder
	for _, a := range p.Actions {
		fmt.Fprintln(&b, a)
		if a.Message != "" {
			fmt.Fprintln(&b, "  told as:", a.Message)
		}
	}
	for _, k := range p.Cancel {
		fmt.Fprintln(&b, "cancel", k.Kind, k.Container)
	}
	if !p.Wake.IsZero() {
		fmt.Fprintln(&b, "wake in", p.Wake.Sub(noon))
	}
	if p.End != Going {
		fmt.Fprintln(&b, "end:", p.End)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "", ":", "").Replace(name)+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("plan is\n%swant\n%s", got, want)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	grace := func(n int64) *int64 { return &n }
	steps := []struct {
		when    float64
		grace   *int64
		changed bool
		end     float64
		seconds int64
	}{
		{0.5, nil, true, 31, 30},       // the pod's own, rounded up
		{1, nil, false, 31, 30},        // again
		{1, grace(60), false, 31, 30},  // longer
		{28, grace(5), false, 31, 30},  // shorter, but ends later
		{10, grace(5), true, 15, 5},    // shorter
		{99, grace(0), true, 99, 0},    // at once, even when all is late
		{100, grace(0), false, 99, 0},  // again
		{100, grace(30), false, 99, 0}, // longer
	}
	pod := newPod(v1.RestartPolicyAlways, "a")
	for i, s := range steps {
		if changed := Delete(pod, s.grace, at(s.when)); changed != s.changed {
			t.Errorf("step %d: changed is %v", i, changed)
		}
		if got := pod.DeletionTimestamp.Sub(noon).Seconds(); got != s.end || *pod.DeletionGracePeriodSeconds != s.seconds {
			t.Errorf("step %d: ends at %v with %d, want %v with %d", i, got, *pod.DeletionGracePeriodSeconds, s.end, s.seconds)
		}
	}
	zero := newPod(v1.RestartPolicyAlways, "a")
	zero.Spec.TerminationGracePeriodSeconds = grace(0)
	if Delete(zero, nil, noon); *zero.DeletionGracePeriodSeconds != 1 {
		t.Errorf("a pod's own grace of 0 became %d, want 1", *zero.DeletionGracePeriodSeconds)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	failures := map[string]status.Failure{}
	pull, create := Action{Kind: EnsureImage, Container: "a"}, Action{Kind: CreateContainer, Container: "a"}
	Failed(failures, pull, "", "no route", noon)
	Failed(failures, pull, status.ReasonRegistryUnavailable, "down", noon)
	if f := failures["a"]; f.Reason != status.ReasonRegistryUnavailable || f.Count != 2 {
		t.Errorf("after two failed pulls: %+v", f)
	}
	if Succeeded(failures, create); len(failures) != 1 {
		t.Error("a creation made a failed pull forgotten")
	}
	Failed(failures, create, "Whatever", "no", noon)
	if f := failures["a"]; f.Reason != status.ReasonCreateContainer || f.Count != 1 {
		t.Errorf("after a failed creation: %+v", f)
	}
	if Succeeded(failures, create); len(failures) != 0 {
		t.Errorf("after a creation: %v", failures)
	}
	// The image of one of its volumes.
	Failed(failures, create, status.ReasonErrImagePull, "no route", noon)
	if f := failures["a"]; f.Reason != status.ReasonErrImagePull || f.Count != 1 {
		t.Errorf("after a creation for want of an image: %+v", f)
	}
	// What was made turns out to be something else.
	start := Action{Kind: StartContainer, Container: "a"}
	Failed(failures, start, status.ReasonCreateContainer, "not a directory", noon)
	if f := failures["a"]; f.Reason != status.ReasonCreateContainer || f.Count != 1 {
		t.Errorf("before a start: %+v", f)
	}
	if Succeeded(failures, start); len(failures) != 0 {
		t.Errorf("after a start: %v", failures)
	}
}
