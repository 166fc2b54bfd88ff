package test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// logsAreRotated: a log that has become large goes on in a new file, while it is
// followed, and is read as if it were one.
func logsAreRotated(t *testing.T, in *instance) {
	small := *in
	small.env = append(slices.Clone(in.env), "PODRUN_LOG_MAX_SIZE=20Ki")
	pod := small.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: rotated}
spec:
  restartPolicy: Never
  volumes: [{name: v}]
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "seq 1 5000; until test -e /v/go; do usleep 10000; done; seq 5001 6000"]
    volumeMounts: [{name: v, mountPath: /v}]
`)
	lines := small.follow(t, "rotated")
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(in.Root, "pods", string(pod.UID), "logs", "a", "0.log*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	eventually(t, 25*time.Second, func() error {
		if found := files(); len(found) < 2 {
			return fmt.Errorf("the log is not rotated: %s", found)
		}
		return nil
	})
	small.run(t, "exec", "rotated", "--", "touch", "/v/go") // it may end before it is told so
	small.phase(t, "rotated", "Succeeded")
	var want []string
	for i := range 6000 {
		want = append(want, fmt.Sprint(i+1))
	}
	if got := lines(); !slices.Equal(got, want) {
		t.Errorf("following gave %d lines, want %d", len(got), len(want))
	}
	for flag, n := range map[string]int{"--tail=-1": 6000, "--tail=1001": 1001, "--tail=999": 999} {
		got := small.ok(t, "logs", flag, "rotated")
		if got != strings.Join(want[6000-n:], "\n")+"\n" {
			t.Errorf("logs %s: %d lines", flag, strings.Count(got, "\n"))
		}
	}
}

// logsKeepUp: no byte of what four containers write as fast as they can is lost,
// though their supervisor is killed meanwhile.
func logsKeepUp(t *testing.T, in *instance) {
	const width = 1000
	lines, err := strconv.Atoi(cmp.Or(os.Getenv("PODRUN_LOG_LINES"), "10000"))
	if err != nil {
		t.Fatal(err)
	}
	large := *in
	large.env = append(slices.Clone(in.env), "PODRUN_LOG_MAX_SIZE=1Gi")
	names := []string{"a", "b", "c", "d"}
	var containers []string
	for _, name := range names {
		containers = append(containers, fmt.Sprintf(`{name: %s, image: PROBE, args: ["-lines=%d", "-width=%d", "-buffer=65536"]}`, name, lines, width))
	}
	pod := large.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: flood}
spec:
  restartPolicy: Never
  containers: [%s]
`, strings.Join(containers, ", ")))
	for _, p := range large.supervisors(t, 0) {
		if p.Names(string(pod.UID)) {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	large.ok(t, "wait", "flood", "--for", "completed", "--timeout", "5m")
	pod = large.pod(t, "flood")
	var begin, end time.Time
	for i, name := range names {
		ended := pod.Status.ContainerStatuses[i].State.Terminated
		if begin.IsZero() || ended.StartedAt.Time.Before(begin) {
			begin = ended.StartedAt.Time
		}
		if ended.FinishedAt.After(end) {
			end = ended.FinishedAt.Time
		}
		r := large.run(t, "logs", "flood", "-c", name).want(t, 0)
		for i, stream := range []string{r.stdout, r.stderr} {
			n := i
			for line := range strings.Lines(stream) {
				if want := fmt.Sprintf("line %-*d\n", width-len("line \n"), n); line != want {
					t.Fatalf("container %s, stream %d: %q, want %q", name, i, line, want)
				}
				n += 2
			}
			if n != lines+i {
				t.Errorf("container %s, stream %d: ends before line %d", name, i, n)
			}
		}
	}
	t.Logf("%d MB within %v, in whole seconds", len(names)*lines*width/1e6, end.Sub(begin))
}

// logsFollowARestart: who follows a container sees what its next instance writes,
// and -p what the one before wrote.
func logsFollowARestart(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  restartPolicy: OnFailure
  volumes: [{name: v}]
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "if test -e /v/again; then echo second; until test -e /v/go; do usleep 10000; done; else echo first; until test -e /v/begin; do usleep 10000; done; touch /v/again; exit 1; fi"]
    volumeMounts: [{name: v, mountPath: /v}]
`)
	lines := in.follow(t, "again")
	in.run(t, "exec", "again", "--", "touch", "/v/begin") // it may end before it is told so
	eventually(t, 10*time.Second, func() error {
		if got := in.run(t, "logs", "-p", "again"); got.stdout != "first\n" {
			return fmt.Errorf("logs -p: %q %s", got.stdout, got.stderr)
		}
		return nil
	})
	eventually(t, 10*time.Second, func() error {
		r := in.run(t, "exec", "again", "--", "touch", "/v/go") // so may this
		if phase := in.pod(t, "again").Status.Phase; phase != "Succeeded" {
			return fmt.Errorf("%s: %s", phase, r.stderr)
		}
		return nil
	})
	if got := lines(); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("following gave %q", got)
	}
	if got := in.ok(t, "logs", "again"); got != "second\n" {
		t.Errorf("logs: %q", got)
	}
}
