package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// lastWords: what a container leaves in its file is its message, of which the
// end counts; else, after an error, the end of its log if that is asked for.
func lastWords(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: last-words}
spec:
  restartPolicy: Never
  containers:
  - {name: file, image: BUSYBOX, command: [sh, -c, "ls -l /dev/termination-log; echo -n done > /dev/termination-log"]}
  - {name: custom, image: BUSYBOX, command: [sh, -c, "echo -n custom > /tmp/words; exit 3"], terminationMessagePath: /tmp/words, terminationMessagePolicy: FallbackToLogsOnError}
  - {name: long, image: BUSYBOX, command: [sh, -c, "yes x | head -c 9998 > /dev/termination-log; echo -n END >> /dev/termination-log"]}
  - {name: log, image: BUSYBOX, command: [sh, -c, "seq 1 200; exit 1"], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: longlog, image: BUSYBOX, command: [sh, -c, "for i in $(seq 20); do printf \"%0200d\\n\" $i; done; exit 1"], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: silent, image: BUSYBOX, command: [sh, -c, "echo no; exit 0"], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: plain, image: BUSYBOX, command: [sh, -c, "echo no; exit 1"]}
`)
	in.phase(t, "last-words", corev1.PodFailed)
	var log strings.Builder
	for i := 121; i <= 200; i++ {
		fmt.Fprintln(&log, i)
	}
	var long strings.Builder
	for i := 1; i <= 20; i++ {
		fmt.Fprintf(&long, "%0200d\n", i)
	}
	want := map[string]string{
		"file": "done", "custom": "custom", "log": log.String(), "silent": "", "plain": "",
		"longlog": long.String()[long.Len()-2048:],
		"long":    (strings.Repeat("x\n", 4999) + "END")[9998+3-4096:],
	}
	eventually(t, 5*time.Second, func() error {
		pod := in.pod(t, "last-words")
		for name, message := range want {
			end := container(t, pod, name).State.Terminated
			if end == nil || end.Message != message {
				return fmt.Errorf("container %s: %+v, want message %q", name, end, message)
			}
		}
		return nil
	})
	if got := in.ok(t, "logs", "last-words", "-c", "file"); !strings.HasPrefix(got, "-rw-rw-rw-") {
		t.Errorf("file %s", got)
	}
}

// freshWords: each instance has a file of its own.
func freshWords(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: fresh-words}
spec:
  volumes: [{name: v}]
  containers:
  - {name: a, image: BUSYBOX, volumeMounts: [{name: v, mountPath: /v}],
     command: [sh, -c, "test -e /v/again && exec sleep 1000; touch /v/again; echo -n first > /dev/termination-log; exit 1"]}
`)
	eventually(t, 10*time.Second, func() error {
		a := container(t, in.pod(t, "fresh-words"), "a")
		if last := a.LastTerminationState.Terminated; a.State.Running == nil || last == nil || last.Message != "first" {
			return fmt.Errorf("container a: %+v", a)
		}
		return nil
	})
	if got := in.ok(t, "exec", "fresh-words", "--", "cat", "/dev/termination-log"); got != "" {
		t.Errorf("the next instance finds %q", got)
	}
}
