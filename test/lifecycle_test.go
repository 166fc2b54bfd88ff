package test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// neverRestarts: exit codes decide the phase.
func neverRestarts(t *testing.T, in *instance) {
	for code, want := range map[int]corev1.PodPhase{0: corev1.PodSucceeded, 3: corev1.PodFailed} {
		pod := in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: never-%d}
spec:
  restartPolicy: Never
  containers:
  - {name: a, image: PROBE, args: ["-exit=%d"]}
  - {name: b, image: PROBE}
`, code, code))
		pod = in.phase(t, pod.Name, want)
		a := container(t, pod, "a")
		if a.State.Terminated == nil || int(a.State.Terminated.ExitCode) != code || a.RestartCount != 0 {
			t.Errorf("container a: %+v", a)
		}
	}
}

// saysOutOfMemory: a container that the kernel killed for want of memory says so,
// and not only that it was killed. systemd takes away the cgroup that knows how much
// it had, and with it what could tell it from one that is killed at the same time.
func saysOutOfMemory(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: hungry}
spec:
  restartPolicy: Never
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "exec tail /dev/zero"]
    resources: {limits: {memory: 16Mi}}
  - {name: b, image: PROBE, args: [-wait=2s, -exit=137]}
`)
	pod = in.phase(t, pod.Name, corev1.PodFailed)
	for name, want := range map[string]string{"a": "OOMKilled", "b": "Error"} {
		end := container(t, pod, name).State.Terminated
		if end == nil || end.Reason != want || end.ExitCode != 137 {
			t.Errorf("container %s: %+v, want %s", name, end, want)
		}
	}
	said := in.ok(t, "describe", pod.Name)
	_, most, ok := strings.Cut(said, "\n  container a: it ended with exit code 137 (OOMKilled: it needed more memory than its limit, 16Mi")
	if ok && os.Getenv(cgroupDriver) == "systemd" {
		return
	}
	most, ok = strings.CutPrefix(most, "; the most it had was ")
	most, _, _ = strings.Cut(most, ")")
	peak, err := resource.ParseQuantity(most)
	if !ok || err != nil || peak.Value() > 16<<20 || peak.Value() < 15<<20 {
		t.Errorf("%v, %v of\n%s", err, most, said)
	}
}

// restartsOnFailure: the first restart follows at once, and success is final.
func restartsOnFailure(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: onfailure}
spec:
  restartPolicy: OnFailure
  volumes: [{name: v}]
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, "test -e /v/again || { touch /v/again; exit 1; }"], volumeMounts: [{name: v, mountPath: /v}]}
`)
	pod = in.phase(t, pod.Name, corev1.PodSucceeded)
	if a := container(t, pod, "a"); a.RestartCount != 1 || a.State.Terminated == nil || a.State.Terminated.ExitCode != 0 {
		t.Errorf("container a: %+v", a)
	}
}

// backsOff: the second restart waits for ten seconds, and says so.
func backsOff(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: backoff}
spec:
  containers: [{name: a, image: PROBE, args: ["-exit=5"]}]
`)
	waiting := func(restarts int32) func() error {
		return func() error {
			pod = in.pod(t, "backoff")
			a := container(t, pod, "a")
			w := a.State.Waiting
			if w == nil || w.Reason != "CrashLoopBackOff" || a.RestartCount != restarts || a.LastTerminationState.Terminated == nil {
				return fmt.Errorf("container a: %+v", a)
			}
			return nil
		}
	}
	eventually(t, 5*time.Second, waiting(1))
	second := container(t, pod, "a").LastTerminationState.Terminated
	want := fmt.Sprintf("back-off 10s restarting failed container=a pod=backoff_default(%s)", pod.UID)
	if got := container(t, pod, "a").State.Waiting.Message; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if second.ExitCode != 5 || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("exit code %d, phase %s", second.ExitCode, pod.Status.Phase)
	}
	eventually(t, 15*time.Second, waiting(2))
	third := container(t, pod, "a").LastTerminationState.Terminated
	// The times of the status are whole seconds.
	if d := third.StartedAt.Sub(second.FinishedAt.Time); d < 9*time.Second || d > 10*time.Second+3*time.Second*lab.slowness {
		t.Errorf("restarted after %v, want 10 s", d)
	}
}

// endsOnTerm: a container that handles SIGTERM ends in its own way and at once.
func endsOnTerm(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: graceful}
spec:
  terminationGracePeriodSeconds: 600
  containers: [{name: a, image: PROBE, args: [-report, "-term-code=7", -wait=-1s]}]
`)
	lines := in.follow(t, "graceful")
	r := in.run(t, "rm", "graceful").want(t, 0)
	if r.stdout != "pod/graceful removed\n" || r.took > 5*time.Second*lab.slowness {
		t.Errorf("%q after %v", r.stdout, r.took)
	}
	if got := lines(); got[len(got)-1] != "got SIGTERM" {
		t.Errorf("last lines %q", got)
	}
}

// killedAfterGrace: one that does not handle it is killed, not before its time
// and soon after.
func killedAfterGrace(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  terminationGracePeriodSeconds: 3
  containers: [{name: a, image: PROBE, args: [-report, -ignore-term, -wait=-1s]}]
`)
	lines := in.follow(t, "stubborn")
	if r := in.run(t, "rm", "stubborn").want(t, 0); r.took < 3*time.Second || r.took > 3*time.Second+3*time.Second*lab.slowness {
		t.Errorf("removed after %v, want 3 s", r.took)
	}
	if got := lines(); got[len(got)-1] != "ignored SIGTERM" {
		t.Errorf("last lines %q", got)
	}
}

func killedAtOnce(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: forced}
spec:
  terminationGracePeriodSeconds: 600
  containers: [{name: a, image: PROBE, args: [-ignore-term, -wait=-1s]}]
`)
	if r := in.run(t, "rm", "--force", "forced").want(t, 0); r.took > 2*time.Second*lab.slowness {
		t.Errorf("removed after %v", r.took)
	}
}

// follow follows a pod's log, from its first line on, and returns how to get
// all lines when it has ended.
func (in *instance) follow(t *testing.T, pod string) func() []string {
	t.Helper()
	cmd := in.command(t.Context(), "logs", "-f", pod)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun, done, lines := make(chan bool, 1), make(chan error, 1), []string{}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines = append(lines, s.Text())
			select {
			case begun <- true:
			default:
			}
		}
		done <- cmd.Wait()
	}()
	<-begun
	return func() []string {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("logs -f: %v", err)
			}
		case <-time.After(10 * time.Second * lab.slowness):
			t.Fatal("logs -f does not end with the pod")
		}
		return lines
	}
}

// logsAreWhole: no line of a container that writes fast and ends is lost, out
// of order, or in the wrong stream.
func logsAreWhole(t *testing.T, in *instance) {
	const lines = 20000
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: chatty}
spec:
  restartPolicy: Never
  containers: [{name: a, image: PROBE, args: ["-lines=%d"]}]
`, lines))
	in.phase(t, "chatty", corev1.PodSucceeded)
	r := in.run(t, "logs", "chatty").want(t, 0)
	for i, stream := range []string{r.stdout, r.stderr} {
		n := i
		for line := range strings.Lines(stream) {
			if want := fmt.Sprintf("line %d\n", n); line != want {
				t.Fatalf("stream %d: %q, want %q", i, line, want)
			}
			n += 2
		}
		if n != lines+i {
			t.Errorf("stream %d: ends before line %d", i, n)
		}
	}
	r = in.run(t, "logs", "--tail", "3", "chatty").want(t, 0)
	if got := r.stdout + r.stderr; strings.Count(got, "\n") != 3 || !strings.Contains(got, fmt.Sprint(lines-2)) && !strings.Contains(got, fmt.Sprint(lines-1)) {
		t.Errorf("the tail is %q", got)
	}
}

// execStreams: standard input reaches the process, both outputs come back
// apart, and so does the exit code.
func execStreams(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: streams}
spec:
  containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"], env: [{name: FROM, value: pod}]}]
`)
	input := strings.Repeat("0123456789abcdef", 1<<14) // more than a pipe holds
	r := in.input(t, input, "exec", "-i", "streams", "--", "sh", "-c", "cat; echo $FROM >&2; exit 42").want(t, 42)
	if r.stdout != input {
		t.Errorf("%d of %d bytes came back", len(r.stdout), len(input))
	}
	if r.stderr != "pod\n" {
		t.Errorf("standard error is %q", r.stderr)
	}
}

// execInterrupted: at whichever moment a command in a container is interrupted,
// it goes away at once, and the container's end is seen at once.
func execInterrupted(t *testing.T, in *instance) {
	const moments, enough = 120, 30 * time.Second // a slow machine need not try them all
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: interrupted}
spec:
  containers: [{name: a, image: BUSYBOX, command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.05; done"]}]
`)
	eventually(t, 10*time.Second, func() error {
		if !traps(t, pod) {
			return errors.New("SIGTERM would be lost")
		}
		return nil
	})
	took := in.run(t, "exec", "interrupted", "--", "true").want(t, 0).took
	for i, began := 0, time.Now(); i < moments && time.Since(began) < enough; i++ {
		moment := i * 37 % moments // from all over its time
		cmd := in.command(t.Context(), "exec", "interrupted", "--", "true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(took * time.Duration(moment) / moments)
		_ = cmd.Process.Signal(os.Interrupt)
		begin := time.Now()
		_ = cmd.Wait()
		if took := time.Since(begin); took > 4*time.Second*lab.slowness {
			t.Fatalf("interrupted %d/%d of its time after its start, it ended after %v", moment, moments, took)
		}
	}
	if r := in.run(t, "rm", "interrupted").want(t, 0); r.took > 10*time.Second*lab.slowness {
		t.Errorf("removed after %v", r.took)
	}
}

// rolledBack: what can never start is an error, and nothing is left of it.
func rolledBack(t *testing.T, in *instance) {
	for name, text := range map[string]string{
		"no-command": `{name: a, image: PROBE, command: [/nowhere]}`,
		"no-image":   `{name: a, image: "REGISTRY/nowhere:1"}`,
		"one-of-two": `{name: a, image: PROBE, args: [-wait=-1s]}, {name: b, image: PROBE, command: [/nowhere]}`,
		"no-path":    `{name: a, image: PROBE, volumeMounts: [{name: v, mountPath: /v}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := manifest(fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [%s]%s}\n",
				name, text, map[bool]string{true: ", volumes: [{name: v, hostPath: {path: /nowhere, type: Directory}}]"}[name == "no-path"]))
			in.later(t, text)
			r := in.input(t, text, "up", "-").want(t, 1)
			if !strings.Contains(r.stderr, "nowhere") {
				t.Errorf("the cause is not named: %s", r.stderr)
			}
			if uids := in.uidsOf(t, name); len(uids) != 0 {
				t.Errorf("there is a pod %s", uids)
			}
		})
	}
}

// TestSixteenAtOnce: of many calls that wish for the same pod and ConfigMap one
// makes them, and all return when the pod runs; of many that remove it all return
// when it is gone.
func TestSixteenAtOnce(t *testing.T) {
	in := alone(t)
	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: wished}
spec:
  containers: [{name: a, image: PROBE, args: [-wait=-1s]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: wished}
data: {k: v}
`)
	t.Cleanup(func() { in.input(t, text, "down", "--force", "-").want(t, 0) })
	counts := map[string]int{}
	for _, r := range sixteen(func(int) result { return in.input(t, text, "up", "-") }) {
		r.want(t, 0)
		for line := range strings.Lines(r.stdout) {
			counts[line]++
		}
	}
	for line, want := range map[string]int{
		"pod/wished created\n": 1, "pod/wished unchanged\n": 15,
		"configmap/wished created\n": 1, "configmap/wished unchanged\n": 15,
	} {
		if counts[line] != want {
			t.Errorf("%q %d times, want %d", line, counts[line], want)
		}
	}
	uids := in.uidsOf(t, "wished")
	if len(uids) != 1 {
		t.Errorf("pods %v", uids)
	}
	if pod := in.pod(t, "wished"); container(t, pod, "a").State.Running == nil || container(t, pod, "a").RestartCount != 0 {
		t.Errorf("status %+v", pod.Status)
	}
	for _, r := range sixteen(func(i int) result {
		return in.run(t, "rm", "--ignore-not-found", "--grace-period", fmt.Sprint(30-2*i), "wished") // always a shorter one
	}) {
		r.want(t, 0)
	}
	in.gone(t, uids...)
}

// sixteen calls call as often at once, with numbers from 0 on.
func sixteen(call func(i int) result) []result {
	results := make([]result, 16)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() { results[i] = call(i) })
	}
	group.Wait()
	return results
}
