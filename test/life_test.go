package test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"podrun/test/leakcheck"
)

// Pods of all kinds, to which one thing after another happens, come to a state
// that is right in the end: what is to run does, what has ended stays so, and
// of what is removed nothing is left.
func TestLife(t *testing.T) {
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("PODRUN_LIFE_ROUNDS"), "6"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("PODRUN_LIFE_SEED"), fmt.Sprint(time.Now().UnixNano())), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("PODRUN_LIFE_SEED=%d", seed)
	in := alone(t)
	in.env = append(in.env, "PODRUN_BACKOFF_BASE=200ms")
	for i := range rounds {
		l := &life{T: t, in: in, rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		if !t.Run(strconv.Itoa(i), l.run) {
			break // what is left would only be found again
		}
	}
	// As after any crash: shims and containerd are killed.
	in.ok(t, "gc")
}

// life is that of one pod.
type life struct {
	*testing.T
	in    *instance
	rand  *rand.Rand
	names []string // of the containers
}

func (l *life) chance(percent int) bool { return l.rand.IntN(100) < percent }

// manifest makes a pod. Its containers end with 0 at SIGTERM and SIGUSR1, and
// with 1 at SIGUSR2.
func (l *life) manifest() string {
	const serve = `"trap 'exit 0' TERM USR1; trap 'exit 1' USR2; while :; do sleep 0.05; done"`
	var b strings.Builder
	policy := []string{"Always", "OnFailure", "Never"}[l.rand.IntN(3)]
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Pod\nmetadata: {name: life}\nspec:\n  restartPolicy: %s\n  terminationGracePeriodSeconds: 2\n", policy)
	if inits := l.rand.IntN(4); inits > 0 {
		b.WriteString("  initContainers:\n")
		for i := range inits {
			if l.chance(50) {
				fmt.Fprintf(&b, "  - {name: i%d, image: BUSYBOX, command: [sleep, \"0.1\"]}\n", i)
				continue
			}
			name := fmt.Sprintf("s%d", i)
			fmt.Fprintf(&b, "  - {name: %s, image: BUSYBOX, restartPolicy: Always, command: [sh, -c, %s]%s}\n", name, serve, l.extras())
			l.names = append(l.names, name)
		}
	}
	b.WriteString("  containers:\n")
	for i := range l.rand.IntN(3) + 1 {
		name := string(rune('a' + i))
		fmt.Fprintf(&b, "  - {name: %s, image: BUSYBOX, command: [sh, -c, %s]%s}\n", name, serve, l.extras())
		l.names = append(l.names, name)
	}
	return manifest(b.String())
}

// extras are the probes and hooks of a container.
func (l *life) extras() string {
	text := ""
	if l.chance(30) {
		text += ", readinessProbe: {exec: {command: [\"true\"]}, periodSeconds: 1, timeoutSeconds: 5}"
	}
	if l.chance(20) {
		text += ", startupProbe: {exec: {command: [\"true\"]}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 20}"
	}
	if l.chance(30) {
		text += ", lifecycle: {postStart: {exec: {command: [\"true\"]}}, preStop: {exec: {command: [sleep, \"0.2\"]}}}"
	}
	return text
}

func (l *life) run(t *testing.T) {
	l.T = t
	text := l.manifest()
	pod := l.in.later(t, text)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(text)
		}
	})
	l.in.input(t, text, "up", "-").want(t, 0)
	for range l.rand.IntN(5) + 1 {
		l.happens(pod.Name)
		time.Sleep(time.Duration(l.rand.IntN(400)) * time.Millisecond)
	}
	if l.chance(30) {
		l.in.run(t, "rm", pod.Name).want(t, 0)
		return
	}
	eventually(t, 60*time.Second, func() error { return l.settled(pod.Name) })
	l.in.run(t, "rm", pod.Name).want(t, 0)
}

// happens lets something happen to the pod.
func (l *life) happens(pod string) {
	name := l.names[l.rand.IntN(len(l.names))]
	what := l.rand.IntN(9)
	l.Logf("%d to %s", what, name)
	switch what {
	case 0, 1:
		l.signal(pod, name, "-USR1")
	case 2, 3:
		l.signal(pod, name, "-USR2")
	case 4:
		l.strike(pod, "sleep", "sh")
	case 5:
		l.strike(pod, "/pause")
	case 6:
		killAll(l.in.supervisors(l, 0))
	case 7:
		l.try("debug", pod, "--timeout", "5s", "--target", name, "--image", lab.busybox, "--", "sleep", "1000")
	case 8:
		if l.chance(50) {
			killAll(l.in.shims(l))
		} else if pid, err := l.in.PID(); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// signal has a container send its first process a signal; one that does not run
// cannot.
func (l *life) signal(pod, name, signal string) {
	l.try("exec", pod, "-c", name, "--", "kill", signal, "1")
}

// try runs podrun, which may fail.
func (l *life) try(args ...string) {
	ctx, cancel := context.WithTimeout(l.Context(), patience*lab.slowness)
	defer cancel()
	cmd := l.in.command(ctx, args...)
	if err, exit := cmd.Run(), (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		l.Fatal(err)
	}
}

// strike kills one of the pod's processes whose command is one of those.
func (l *life) strike(name string, commands ...string) {
	all, err := leakcheck.Processes()
	if err != nil {
		l.Fatal(err)
	}
	uids := l.in.uidsOf(l, name)
	for _, p := range all {
		if len(uids) == 1 && p.Of(uids[0]) && slices.Contains(commands, p.Args[0]) {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
			return
		}
	}
}

// settled says what is not yet as it has to be in the end.
func (l *life) settled(name string) error {
	pod := l.in.pod(l, name)
	running, failed := false, false
	for _, s := range pod.Status.ContainerStatuses {
		end := s.State.Terminated
		switch {
		case s.State.Running != nil && s.Ready:
			running = true
		case end == nil:
			return fmt.Errorf("%s is on its way: %+v", s.Name, s.State)
		case pod.Spec.RestartPolicy == corev1.RestartPolicyAlways, pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && end.ExitCode != 0:
			return fmt.Errorf("%s is to be started again: %+v", s.Name, s.State)
		default:
			failed = failed || end.ExitCode != 0
		}
	}
	for _, s := range pod.Status.EphemeralContainerStatuses {
		if s.State.Waiting != nil || s.RestartCount > 0 {
			return fmt.Errorf("%s is not to wait, nor to be started again: %+v", s.Name, s)
		}
	}
	want := corev1.PodSucceeded
	switch {
	case running:
		want = corev1.PodRunning
	case failed:
		want = corev1.PodFailed
	}
	if pod.Status.Phase != want {
		return fmt.Errorf("phase %s, want %s: %+v", pod.Status.Phase, want, pod.Status)
	}
	for _, s := range pod.Status.InitContainerStatuses {
		sidecar := strings.HasPrefix(s.Name, "s")
		if running && !s.Ready || !running && sidecar && s.State.Terminated == nil {
			return fmt.Errorf("%s is not as it should be while the pod is %s: %+v", s.Name, want, s)
		}
	}
	return nil
}
