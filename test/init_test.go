package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// initOrder: each init container ends before the next begins, a sidecar runs
// before what follows it, and the app containers come last.
func initOrder(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: init-order}
spec:
  volumes: [{name: v}]
  initContainers:
  - {name: i, image: BUSYBOX, command: [sh, -c, "sleep 0.3; echo i >> /v/order; echo from i"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: s, image: BUSYBOX, restartPolicy: Always, command: [sh, -c, "cat /v/order; echo s >> /v/order; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: j, image: BUSYBOX, command: [sh, -c, "until grep -q s /v/order; do sleep 0.05; done; echo j >> /v/order"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, "echo a >> /v/order; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
`)
	eventually(t, 5*time.Second, func() error {
		if got := in.ok(t, "exec", "init-order", "-c", "s", "--", "cat", "/v/order"); got != "i\ns\nj\na\n" {
			return fmt.Errorf("order %q", got)
		}
		return nil
	})
	for _, s := range pod.Status.InitContainerStatuses {
		if !s.Ready || s.RestartCount != 0 || s.Name != "s" && (s.State.Terminated == nil || s.State.Terminated.Reason != "Completed") {
			t.Errorf("init container: %+v", s)
		}
	}
	if got := in.ok(t, "logs", "-c", "i", "init-order"); got != "from i\n" {
		t.Errorf("log of i: %q", got)
	}
	if u := pod.Status.ContainerStatuses[0].User; u == nil || u.Linux == nil || u.Linux.UID != 0 || !slices.Contains(u.Linux.SupplementalGroups, 0) {
		t.Errorf("user: %+v", u)
	}
	line := strings.Fields(in.ok(t, "ps", "init-order"))
	if !strings.Contains(strings.Join(line, " "), "init-order 2/2 Running 0") {
		t.Errorf("ps says %q", line)
	}
}

// initRetried: an init container that fails is run again until it succeeds,
// and what follows waits for it.
func initRetried(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: init-retried}
spec:
  restartPolicy: OnFailure
  volumes: [{name: v}]
  initContainers:
  - {name: i, image: BUSYBOX, command: [sh, -c, "echo >> /v/tries; test $(wc -l < /v/tries) = 3"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: a, image: BUSYBOX, command: [wc, -l, /v/tries], volumeMounts: [{name: v, mountPath: /v}]}
`, "--backoff-base", "100ms")
	if i := pod.Status.InitContainerStatuses[0]; i.RestartCount != 2 || !i.Ready {
		t.Errorf("init container: %+v", i)
	}
	in.phase(t, "init-retried", corev1.PodSucceeded)
	if got := in.ok(t, "logs", "init-retried"); got != "3 /v/tries\n" {
		t.Errorf("tries: %q", got)
	}
}

// initFails: under Never an init container that fails ends the pod, at once and
// for good.
func initFails(t *testing.T, in *instance) {
	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: init-fails}
spec:
  restartPolicy: Never
  initContainers:
  - {name: s, image: PROBE, restartPolicy: Always, args: [-wait=-1s]}
  - {name: i, image: PROBE, args: ["-exit=7"]}
  containers: [{name: a, image: PROBE}]
`)
	in.later(t, text)
	r := in.input(t, text, "up", "-").want(t, 1)
	if !strings.Contains(r.stderr, `init container "i" ended with exit code 7`) {
		t.Errorf("the cause is not named: %s", r.stderr)
	}
	in.input(t, text, "up", "-d", "-").want(t, 0)
	pod := in.phase(t, "init-fails", corev1.PodFailed)
	eventually(t, 10*time.Second, func() error {
		pod = in.pod(t, "init-fails")
		if s := pod.Status.InitContainerStatuses[0]; s.State.Terminated == nil {
			return fmt.Errorf("the sidecar goes on: %+v", s)
		}
		return nil
	})
	if i := pod.Status.InitContainerStatuses[1]; i.State.Terminated == nil || i.State.Terminated.ExitCode != 7 {
		t.Errorf("init container: %+v", i)
	}
	if a := container(t, pod, "a"); a.ContainerID != "" {
		t.Errorf("app container was made: %+v", a)
	}
	if got := in.ok(t, "ps", "init-fails"); !strings.Contains(got, "Init:Error") {
		t.Errorf("ps says %s", got)
	}
}

// sidecarsEndLast: when a pod is removed its sidecars end after the others, in
// the reverse order of their starts.
func sidecarsEndLast(t *testing.T, in *instance) {
	dir := t.TempDir()
	const ends = `trap "sleep 0.2; echo %s >> /out/order; exit 1" TERM; touch /out/%s; while :; do sleep 0.05; done`
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: sidecars-end-last}
spec:
  volumes: [{name: out, hostPath: {path: %s}}]
  initContainers:
  - {name: s1, image: BUSYBOX, restartPolicy: Always, command: [sh, -c, '%s'], volumeMounts: [{name: out, mountPath: /out}]}
  - {name: s2, image: BUSYBOX, restartPolicy: Always, command: [sh, -c, '%s'], volumeMounts: [{name: out, mountPath: /out}]}
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, '%s'], volumeMounts: [{name: out, mountPath: /out}]}
`, dir, fmt.Sprintf(ends, "s1", "s1"), fmt.Sprintf(ends, "s2", "s2"), fmt.Sprintf(ends, "a", "a")))
	eventually(t, 5*time.Second, func() error {
		for _, name := range []string{"s1", "s2", "a"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	})
	in.ok(t, "rm", "sidecars-end-last")
	if got, err := os.ReadFile(filepath.Join(dir, "order")); err != nil || string(got) != "a\ns2\ns1\n" {
		t.Errorf("order %q, %v", got, err)
	}
}

// sidecarsServe: a sidecar is started again whatever it ended with, and its end
// plays no role in the pod's.
func sidecarsServe(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: sidecars-serve}
spec:
  restartPolicy: Never
  volumes: [{name: v}]
  initContainers:
  - {name: s, image: BUSYBOX, restartPolicy: Always, volumeMounts: [{name: v, mountPath: /v}],
     command: [sh, -c, "trap 'exit 9' TERM; test -e /v/once && touch /v/twice; touch /v/once; test -e /v/twice || exit 0; while :; do sleep 0.05; done"]}
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, "until test -e /v/twice; do sleep 0.05; done"], volumeMounts: [{name: v, mountPath: /v}]}
`)
	pod := in.phase(t, "sidecars-serve", corev1.PodSucceeded)
	s := pod.Status.InitContainerStatuses[0]
	if s.RestartCount != 1 || s.State.Terminated == nil || s.State.Terminated.ExitCode == 0 {
		t.Errorf("sidecar: %+v", s)
	}
}

// newSandboxRunsInits: when pause dies, all begins with the first init
// container in a new sandbox.
func newSandboxRunsInits(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: new-sandbox}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: v}]
  initContainers:
  - {name: i, image: BUSYBOX, command: [sh, -c, "echo >> /v/runs"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.05; done"], volumeMounts: [{name: v, mountPath: /v}]}
`)
	if err := syscall.Kill(process(t, pod, "/pause").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		pod = in.pod(t, "new-sandbox")
		i, a := pod.Status.InitContainerStatuses[0], container(t, pod, "a")
		if i.RestartCount != 1 || !i.Ready || a.RestartCount != 1 || !a.Ready {
			return fmt.Errorf("i: %+v, a: %+v", i, a)
		}
		return nil
	})
	if got := in.ok(t, "exec", "new-sandbox", "--", "wc", "-l", "/v/runs"); got != "2 /v/runs\n" {
		t.Errorf("runs of the init container: %q", got)
	}
}

// restartRules: by its exit code a container is restarted under Never, or has
// all containers begin anew; volumes stay.
func restartRules(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: restart-rules}
spec:
  restartPolicy: Never
  volumes: [{name: v}]
  initContainers:
  - {name: i, image: BUSYBOX, command: [sh, -c, "echo >> /v/inits"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "echo >> /v/a; case $(wc -l < /v/a) in 1) exit 42;; 2) until test -e /v/b; do sleep 0.05; done; exit 43;; esac; exit 3"]
    restartPolicy: Never
    restartPolicyRules:
    - {action: Restart, exitCodes: {operator: In, values: [42]}}
    - {action: RestartAllContainers, exitCodes: {operator: NotIn, values: [0, 3]}}
    volumeMounts: [{name: v, mountPath: /v}]
  - {name: b, image: BUSYBOX, command: [sh, -c, "test -e /v/b && exit 0; touch /v/b; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: c, image: BUSYBOX, command: [sh, -c, "wc -l < /v/inits"], volumeMounts: [{name: v, mountPath: /v}]}
`, "--backoff-base", "100ms")
	pod := in.phase(t, "restart-rules", corev1.PodFailed)
	for name, want := range map[string][2]int32{"a": {2, 3}, "b": {1, 0}, "c": {1, 0}} {
		s := container(t, pod, name)
		if s.State.Terminated == nil || s.State.Terminated.ExitCode != want[1] || s.RestartCount != want[0] {
			t.Errorf("container %s: %+v, want exit code %d after %d restarts", name, s, want[1], want[0])
		}
	}
	if i := pod.Status.InitContainerStatuses[0]; i.RestartCount != 1 {
		t.Errorf("init container: %+v", i)
	}
	if got := in.ok(t, "logs", "restart-rules", "-c", "c"); got != "2\n" {
		t.Errorf("runs of the init container: %q", got)
	}
}

// deadline: a pod that is active for too long is ended, and says so.
func deadline(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: deadline}
spec:
  activeDeadlineSeconds: 2
  containers: [{name: a, image: PROBE, args: ["-term-code=0", -wait=-1s]}]
`)
	pod := in.phase(t, "deadline", corev1.PodFailed)
	if pod.Status.Reason != "DeadlineExceeded" || pod.Status.Message != "Pod was active on the node longer than the specified deadline" {
		t.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
	}
	eventually(t, 10*time.Second, func() error {
		pod = in.pod(t, "deadline")
		a := container(t, pod, "a")
		if a.State.Terminated == nil || a.RestartCount != 0 {
			return fmt.Errorf("container a: %+v", a)
		}
		return nil
	})
	end := container(t, pod, "a").State.Terminated
	if active := end.FinishedAt.Sub(pod.Status.StartTime.Time); active < 2*time.Second || active > 2*time.Second+4*time.Second*lab.slowness {
		t.Errorf("ended after %v", active)
	}
}
