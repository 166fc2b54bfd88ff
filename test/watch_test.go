package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ps --watch goes on with each pod that is new, changes or goes.
func watchesPods(t *testing.T, in *instance) {
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {watched: "yes"}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes: [{name: v}]
  initContainers: [{name: i, image: BUSYBOX, command: [sh, -c, "until test -e /v/go; do usleep 10000; done"], volumeMounts: [{name: v, mountPath: /v}]}]
  containers: [{name: a, image: BUSYBOX, command: [sh, -c, "echo why; exit 3"], terminationMessagePolicy: FallbackToLogsOnError}]
`
	release := func(name string) {
		eventually(t, 10*time.Second, func() error {
			r := in.run(t, "exec", name, "-c", "i", "--", "touch", "/v/go") // it may end before it is told so
			if pod := in.pod(t, name); pod.Status.Phase == corev1.PodPending {
				return fmt.Errorf("it is pending: %s", r.stderr)
			}
			return nil
		})
	}
	in.up(t, strings.ReplaceAll(pod, "NAME", "watched-first"), "--detach")
	release("watched-first")
	in.phase(t, "watched-first", corev1.PodFailed)

	table := in.command(t.Context(), "ps", "--watch", "-l", "watched=yes")
	rows := newTail()
	table.Stdout = rows
	objects := in.command(t.Context(), "ps", "--watch", "-l", "watched=yes", "-o", "json")
	stream, err := objects.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(table.Start(), objects.Start()); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(stream)
	rows.await(t, "watched-first")
	if first := decodePod(t, decoder); first.Name != "watched-first" {
		t.Errorf("the first object is %s", first.Name)
	}

	in.up(t, strings.ReplaceAll(pod, "NAME", "watched-second"), "--detach")
	for p := decodePod(t, decoder); p.Name != "watched-second" || p.Status.Phase != corev1.PodPending; {
		p = decodePod(t, decoder)
	}
	release("watched-second")
	for failed := false; !failed; {
		p := decodePod(t, decoder)
		failed = p.Name == "watched-second" && p.Status.Phase == corev1.PodFailed
		for _, s := range p.Status.ContainerStatuses {
			// How it ended is told once all of it is known.
			if end := s.State.Terminated; end != nil && (end.ExitCode != 3 || end.Message != "why\n") {
				t.Errorf("%s %s: %+v", p.Name, p.Status.Phase, end)
			}
		}
	}
	in.ok(t, "rm", "watched-second")
	rows.await(t, "Removed")

	if err := errors.Join(table.Process.Signal(syscall.SIGINT), objects.Process.Signal(syscall.SIGINT)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stream)
	_, _ = table.Wait(), objects.Wait()
	if a, b := table.ProcessState.ExitCode(), objects.ProcessState.ExitCode(); a != 130 || b != 130 {
		t.Errorf("exit codes %d and %d", a, b)
	}
	lines := strings.Split(strings.TrimSpace(rows.String()), "\n")
	if !strings.HasPrefix(lines[0], "NAME ") || strings.Count(rows.String(), "NAME ") != 1 || !strings.HasPrefix(lines[1], "watched-first ") {
		t.Errorf("table\n%s", rows.String())
	}
}

func decodePod(t *testing.T, decoder *json.Decoder) (pod corev1.Pod) {
	t.Helper()
	if err := decoder.Decode(&pod); err != nil {
		t.Fatal(err)
	}
	return pod
}
