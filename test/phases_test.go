package test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"podrun/test/leakcheck"
)

// removedInEveryPhase: a pod is removed at once and whole, wherever it is on its
// way.
func removedInEveryPhase(t *testing.T, in *instance) {
	const serve = `[sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.05; done"]`
	waits := func(reason string) func(*corev1.Pod) bool {
		return func(pod *corev1.Pod) bool {
			w := container(t, pod, "a").State.Waiting
			return w != nil && w.Reason == reason
		}
	}
	for name, c := range map[string]struct {
		spec  string
		there func(*corev1.Pod) bool
	}{
		"pull": {`{containers: [{name: a, image: "REGISTRY/slow/a:1"}]}`, waits("ContainerCreating")},
		"init": {
			`{initContainers: [{name: i, image: BUSYBOX, command: ` + serve + `}], containers: [{name: a, image: PROBE}]}`,
			func(pod *corev1.Pod) bool {
				return len(pod.Status.InitContainerStatuses) > 0 && pod.Status.InitContainerStatuses[0].State.Running != nil && traps(t, pod)
			},
		},
		"hook": {
			`{containers: [{name: a, image: BUSYBOX, command: ` + serve + `, lifecycle: {postStart: {exec: {command: [sleep, "1000"]}}}}]}`,
			func(pod *corev1.Pod) bool { return container(t, pod, "a").ContainerID != "" && traps(t, pod) },
		},
		"backoff": {`{containers: [{name: a, image: PROBE, args: ["-exit=1"]}]}`, waits("CrashLoopBackOff")},
		"sidecar": {
			`{initContainers: [{name: s, image: BUSYBOX, restartPolicy: Always, command: ` + serve + `, startupProbe: {exec: {command: ["false"]}, failureThreshold: 1000}}], containers: [{name: a, image: PROBE}]}`,
			func(pod *corev1.Pod) bool { return waits("PodInitializing")(pod) && traps(t, pod) },
		},
		"done": {
			`{restartPolicy: Never, containers: [{name: a, image: PROBE}]}`,
			func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := manifest(fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: phase-%s}\nspec: %s\n", name, c.spec))
			in.later(t, text)
			in.input(t, text, "up", "-d", "-").want(t, 0)
			eventually(t, 15*time.Second, func() error {
				if pod := in.pod(t, "phase-"+name); !c.there(pod) {
					return fmt.Errorf("status %+v", pod.Status)
				}
				return nil
			})
			if r := in.run(t, "rm", "phase-"+name).want(t, 0); r.took > 10*time.Second*lab.slowness {
				t.Errorf("removed after %v", r.took)
			}
		})
	}
}

// traps says whether a shell of the pod handles SIGTERM by now. Before, it is
// lost: the shell is the first process of its PID namespace.
func traps(t *testing.T, pod *corev1.Pod) bool {
	t.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(p leakcheck.Process) bool {
		if !p.Of(string(pod.UID)) || p.Args[0] != "sh" {
			return false
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
		_, caught, ok := strings.Cut(string(status), "\nSigCgt:\t")
		if err != nil || !ok {
			return false
		}
		mask, err := strconv.ParseUint(caught[:16], 16, 64)
		return err == nil && mask&(1<<(syscall.SIGTERM-1)) != 0
	})
}

// forceCutsShort: a removal by force takes over from a graceful one that waits
// for a hook.
func forceCutsShort(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: cut-short}
spec:
  terminationGracePeriodSeconds: 600
  containers: [{name: a, image: PROBE, args: [-ignore-term, -wait=-1s], lifecycle: {preStop: {sleep: {seconds: 600}}}}]
`)
	graceful := in.command(t.Context(), "rm", "cut-short")
	if err := graceful.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		if got := in.ok(t, "ps", "cut-short"); !strings.Contains(got, "Terminating") {
			return fmt.Errorf("ps says %s", got)
		}
		return nil
	})
	if r := in.run(t, "rm", "--force", "cut-short").want(t, 0); r.took > 5*time.Second*lab.slowness {
		t.Errorf("removed after %v", r.took)
	}
	if err := graceful.Wait(); err != nil {
		t.Errorf("the graceful removal: %v", err)
	}
}
