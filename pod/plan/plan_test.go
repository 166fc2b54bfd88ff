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

func ensured(pod *v1.Pod, when time.Time) map[status.Image]time.Time {
	images := map[status.Image]time.Time{}
	for i := range pod.Spec.Containers {
		images[status.ImageOf(&pod.Spec.Containers[i])] = when
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
	{name: "removed", pod: deleted(newPod(v1.RestartPolicyAlways, "a"), 30, at(-1)), sandbox: status.Sandbox{State: status.SandboxRemoved}},
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			work := Work{InFlight: flying(s.flying...)}
			if s.ensured {
				work.Images = ensured(s.pod, at(-90))
			}
			obs := status.Observed{Created: at(-101), Sandbox: s.sandbox, Containers: s.have, Failures: s.failures}
			golden(t, s.name, text(Next(s.pod, obs, work, noon)))
		})
	}
}

func text(p Plan) string {
	var b strings.Builder
	for _, a := range p.Actions {
		fmt.Fprintln(&b, a)
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
}
