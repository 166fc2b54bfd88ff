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

	"podrun/test/leakcheck"
)

// condition returns a condition of a pod.
func condition(tb testing.TB, pod *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	tb.Helper()
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	tb.Fatalf("pod %s has no condition %s: %+v", pod.Name, kind, pod.Status.Conditions)
	return corev1.PodCondition{}
}

// ready waits until a pod is Ready, or is not.
func (in *instance) ready(tb testing.TB, name string, want corev1.ConditionStatus) (pod *corev1.Pod) {
	tb.Helper()
	eventually(tb, 15*time.Second, func() error {
		pod = in.pod(tb, name)
		if c := condition(tb, pod, corev1.PodReady); c.Status != want {
			return fmt.Errorf("Ready is %s: %+v", c.Status, pod.Status.ContainerStatuses)
		}
		return nil
	})
	return pod
}

// readinessFollows: what the readiness probe finds is what is told, with its
// time, also when the supervisor dies; the container goes on all the time.
func readinessFollows(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: readiness}
spec:
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"],
     readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, failureThreshold: 2}}
`)
	if a := container(t, pod, "a"); a.Ready || a.State.Running == nil {
		t.Errorf("before the first success: %+v", a)
	}
	if got := in.ok(t, "ps", "readiness"); !strings.Contains(strings.Join(strings.Fields(got), " "), "readiness 0/1 Running 0") {
		t.Errorf("ps says %s", got)
	}
	in.ok(t, "exec", "readiness", "--", "touch", "/tmp/ready")
	pod = in.ready(t, "readiness", corev1.ConditionTrue)
	since := condition(t, pod, corev1.PodReady).LastTransitionTime
	if age := time.Since(since.Time); age > 10*time.Second || age < -time.Second {
		t.Errorf("ready since %v", since)
	}
	for _, p := range in.supervisors(t, 0) {
		if slices.Contains(p.Args, string(pod.UID)) {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	if c := condition(t, in.pod(t, "readiness"), corev1.PodReady); c.Status != corev1.ConditionTrue || !c.LastTransitionTime.Equal(&since) {
		t.Errorf("taken over: %+v, was since %v", c, since)
	}
	in.ok(t, "exec", "readiness", "--", "rm", "/tmp/ready")
	pod = in.ready(t, "readiness", corev1.ConditionFalse)
	if c := condition(t, pod, corev1.PodReady); c.Reason != "ContainersNotReady" || c.LastTransitionTime.Before(&since) {
		t.Errorf("condition %+v", c)
	}
	if a := container(t, pod, "a"); a.State.Running == nil || a.RestartCount != 0 {
		t.Errorf("container a: %+v", a)
	}
}

// livenessRestarts: a container whose liveness probe fails is stopped gracefully
// and started anew, even if it ends with success.
func livenessRestarts(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: liveness}
spec:
  restartPolicy: OnFailure
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "trap 'exit 0' TERM; mkdir -p /tmp/www; touch /tmp/www/ok; httpd -f -p 8080 -h /tmp/www & wait"]
    ports: [{name: web, containerPort: 8080}]
    startupProbe: {tcpSocket: {port: web}, periodSeconds: 1}
    livenessProbe: {httpGet: {path: /ok, port: web}, periodSeconds: 1, failureThreshold: 1}
`)
	in.ready(t, "liveness", corev1.ConditionTrue)
	in.ok(t, "exec", "liveness", "--", "rm", "/tmp/www/ok")
	eventually(t, 15*time.Second, func() error {
		a := container(t, in.pod(t, "liveness"), "a")
		if a.RestartCount != 1 || !a.Ready || a.LastTerminationState.Terminated == nil || a.LastTerminationState.Terminated.ExitCode != 0 {
			return fmt.Errorf("container a: %+v", a)
		}
		return nil
	})
}

// startupHoldsBack: what follows a sidecar waits for its startup probe, and one
// that never succeeds ends its container.
func startupHoldsBack(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: startup}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes: [{name: v}]
  initContainers:
  - {name: s, image: BUSYBOX, restartPolicy: Always, command: [sh, -c, "sleep 1; touch /v/up; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}],
     startupProbe: {exec: {command: [test, -e, /v/up]}, periodSeconds: 1, failureThreshold: 30}}
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, "test -e /v/up && exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}],
     startupProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 2},
     livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1}}
`)
	if a := container(t, pod, "a"); a.State.Running == nil || *a.Started {
		t.Errorf("container a: %+v", a)
	}
	pod = in.phase(t, "startup", corev1.PodFailed)
	if a := container(t, pod, "a"); a.State.Terminated == nil || a.State.Terminated.ExitCode != 137 || a.RestartCount != 0 {
		t.Errorf("container a: %+v", a)
	}
}

// probesAreCutShort: a probe that hangs has failed when its time is over, and its
// process is ended before the next one begins.
func probesAreCutShort(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: hanging}
spec:
  volumes: [{name: v}]
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /v}],
     readinessProbe: {exec: {command: [sh, -c, "echo >> /v/begun; exec sleep 2000"]}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1}}
`)
	eventually(t, 30*time.Second, func() error {
		if n := strings.Count(in.run(t, "exec", "hanging", "--", "cat", "/v/begun").stdout, "\n"); n < 4 {
			return fmt.Errorf("only %d probes have begun", n)
		}
		return nil
	})
	all, err := leakcheck.Processes()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(p leakcheck.Process) bool {
		return !p.Of(string(pod.UID)) || !slices.Equal(p.Args, []string{"sleep", "2000"})
	})
	if len(all) > 1 {
		t.Errorf("more than one probe runs: %v", all)
	}
	pod = in.pod(t, "hanging")
	if a := container(t, pod, "a"); a.State.Running == nil || a.RestartCount != 0 || a.Ready {
		t.Errorf("container a: %+v", a)
	}
	if said := in.ok(t, "events", "hanging"); !strings.Contains(said, "Readiness probe failed: command timed out: ") {
		t.Errorf("events are\n%s", said)
	}
}

// probesReachPorts: probes by TCP, HTTP, with TLS or the host's network, and gRPC reach
// their ports from the outside.
func probesReachPorts(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: ports}
spec:
  containers:
  - {name: tcp, image: PROBE, args: ["-http=:80", -wait=-1s], ports: [{name: web, containerPort: 80}], readinessProbe: {tcpSocket: {port: web}, periodSeconds: 1}}
  - {name: http, image: PROBE, args: ["-http=:81", -wait=-1s], readinessProbe: {httpGet: {port: 81, path: /x, httpHeaders: [{name: Host, value: me}]}, periodSeconds: 1}}
  - {name: grpc, image: PROBE, args: ["-grpc=:82", -wait=-1s], readinessProbe: {grpc: {port: 82}, periodSeconds: 1}}
`)
	in.ready(t, "ports", corev1.ConditionTrue)
	number := port(t)
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: host-port-probe}
spec:
  hostNetwork: true
  containers: [{name: a, image: PROBE, args: ["-http=:%d", -wait=-1s], readinessProbe: {httpGet: {port: %d}, periodSeconds: 1}}]
`, number, number))
	in.ready(t, "host-port-probe", corev1.ConditionTrue)
}

// postStartComesFirst: the hook after a start is through before the next
// container is started, and before the pod counts as started.
func postStartComesFirst(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: post-start}
spec:
  restartPolicy: Never
  volumes: [{name: v}]
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /v}],
     lifecycle: {postStart: {exec: {command: [sh, -c, "sleep 0.5; touch /v/hooked"]}}}}
  - {name: b, image: BUSYBOX, command: [test, -e, /v/hooked], volumeMounts: [{name: v, mountPath: /v}],
     lifecycle: {postStart: {sleep: {seconds: 0}}}}
`)
	if a := container(t, pod, "a"); !a.Ready {
		t.Errorf("container a: %+v", a)
	}
	eventually(t, 10*time.Second, func() error {
		if b := container(t, in.pod(t, "post-start"), "b"); b.State.Terminated == nil || b.State.Terminated.ExitCode != 0 {
			return fmt.Errorf("container b: %+v", b)
		}
		return nil
	})

	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: post-start-fails}
spec:
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], lifecycle: {postStart: {exec: {command: [sh, -c, "echo nowhere; exit 3"]}}}}
  terminationGracePeriodSeconds: 1
`)
	in.later(t, text)
	r := in.input(t, text, "up", "-").want(t, 1)
	if !strings.Contains(r.stderr, "PostStartHookError") || !strings.Contains(r.stderr, "nowhere") {
		t.Errorf("the cause is not named: %s", r.stderr)
	}
}

// preStopComesFirst: the hook before the stop runs within the grace, which it
// uses up; what is left for the signal is at least two seconds.
func preStopComesFirst(t *testing.T, in *instance) {
	dir := t.TempDir()
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: pre-stop}
spec:
  os: {name: linux}
  terminationGracePeriodSeconds: 600
  volumes: [{name: out, hostPath: {path: %s}}]
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "trap 'echo signal >> /out/a; exit 0' USR1; touch /out/a; while :; do sleep 0.05; done"]
    volumeMounts: [{name: out, mountPath: /out}]
    lifecycle: {stopSignal: SIGUSR1, preStop: {exec: {command: [sh, -c, "sleep 0.3; echo hook >> /out/a"]}}}
`, dir))
	eventually(t, 5*time.Second, func() error {
		_, err := os.Stat(filepath.Join(dir, "a"))
		return err
	})
	if r := in.run(t, "rm", "pre-stop").want(t, 0); r.took > 8*time.Second*lab.slowness {
		t.Errorf("removed after %v", r.took)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(got) != "hook\nsignal\n" {
		t.Errorf("order %q, %v", got, err)
	}

	// A hook that is not through when the grace is over has the rest, too.
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: pre-stop-late}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: out, hostPath: {path: %s}}]
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "trap '' TERM; while :; do sleep 0.05; done"]
    volumeMounts: [{name: out, mountPath: /out}]
    lifecycle: {preStop: {exec: {command: [sh, -c, "sleep 1.5; echo late > /out/late"]}}}
`, dir))
	in.run(t, "rm", "pre-stop-late").want(t, 0)
	if got, err := os.ReadFile(filepath.Join(dir, "late")); err != nil || string(got) != "late\n" {
		t.Errorf("the hook that was late left %q, %v", got, err)
	}

	for name, c := range map[string]struct {
		grace int
		hook  string
		least time.Duration
	}{
		"pre-stop-short": {4, `sleep: {seconds: 1}`, 4 * time.Second},            // the hook, and what is left
		"pre-stop-long":  {1, `exec: {command: [sleep, "60"]}`, 3 * time.Second}, // the grace, and two for the signal
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: %d
  containers: [{name: a, image: BUSYBOX, command: [sh, -c, "trap 'echo ignored' TERM; echo begin; while :; do sleep 0.05; done"], lifecycle: {preStop: {%s}}}]
`, name, c.grace, c.hook))
			lines := in.follow(t, name)
			if r := in.run(t, "rm", name).want(t, 0); r.took < c.least || r.took > 30*time.Second*lab.slowness {
				t.Errorf("removed after %v, want %v", r.took, c.least)
			}
			if got := lines(); got[len(got)-1] != "ignored" {
				t.Errorf("last lines %q", got)
			}
		})
	}
}
