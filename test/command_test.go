package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// patience bounds every command that a test runs.
	patience = 60 * time.Second
	// release bounds how long after its end a command's output may stay open,
	// which happens when a process that it left behind has inherited it.
	release = 2 * time.Second
)

// result is what a command did.
type result struct {
	args           []string
	stdout, stderr string
	code           int
	took           time.Duration
}

// want fails the test when the exit code is another.
func (r result) want(tb testing.TB, code int) result {
	tb.Helper()
	if r.code != code {
		tb.Fatalf("podrun %s: exit %d, want %d\n%s%s", strings.Join(r.args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// command is podrun with args, ready to be started.
func (in *instance) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, in.bin, args...)
	cmd.Env = in.env
	cmd.Dir = in.dir
	cmd.WaitDelay = release
	return cmd
}

// ok runs podrun and returns its standard output; any exit code but 0 fails
// the test.
func (in *instance) ok(tb testing.TB, args ...string) string {
	tb.Helper()
	return in.run(tb, args...).want(tb, 0).stdout
}

func (in *instance) run(tb testing.TB, args ...string) result {
	tb.Helper()
	return in.input(tb, "", args...)
}

// input runs podrun with a standard input.
func (in *instance) input(tb testing.TB, stdin string, args ...string) result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience*lab.slowness)
	defer cancel()
	cmd := in.command(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return finish(tb, cmd)
}

// finish runs a command to its end.
func finish(tb testing.TB, cmd *exec.Cmd) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err := cmd.Run()
	r := result{
		args: cmd.Args[1:], stdout: stdout.String(), stderr: stderr.String(),
		code: cmd.ProcessState.ExitCode(), took: time.Since(begin),
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		tb.Fatalf("podrun %s: %v\n%s%s", strings.Join(r.args, " "), err, r.stdout, r.stderr)
	}
	if r.code < 0 {
		tb.Fatalf("podrun %s: killed after %v\n%s%s", strings.Join(r.args, " "), r.took, r.stdout, r.stderr)
	}
	return r
}

// up makes the pod that text says and removes it at the end of the test, when
// nothing of it may be left.
func (in *instance) up(tb testing.TB, text string, flags ...string) *corev1.Pod {
	tb.Helper()
	text = manifest(text)
	pod := in.later(tb, text)
	in.input(tb, text, append([]string{"up", "-"}, flags...)...).want(tb, 0)
	return in.pod(tb, pod.Name)
}

// later removes the pod that text says at the end of the test.
func (in *instance) later(tb testing.TB, text string) *corev1.Pod {
	tb.Helper()
	pod := decode(tb, text)
	tb.Cleanup(func() {
		uids := in.uidsOf(tb, pod.Name)
		in.ok(tb, "rm", "--force", "--ignore-not-found", pod.Name)
		in.gone(tb, uids...)
	})
	return pod
}

// pod returns what inspect says of a pod.
func (in *instance) pod(tb testing.TB, name string) *corev1.Pod {
	tb.Helper()
	return unmarshal[corev1.Pod](tb, in.ok(tb, "inspect", "-o", "json", name))
}

// pods returns what ps says of all.
func (in *instance) pods(tb testing.TB) *corev1.PodList {
	tb.Helper()
	return unmarshal[corev1.PodList](tb, in.ok(tb, "ps", "-o", "json"))
}

func (in *instance) uidsOf(tb testing.TB, name string) (uids []string) {
	tb.Helper()
	for _, pod := range in.pods(tb).Items {
		if pod.Name == name {
			uids = append(uids, string(pod.UID))
		}
	}
	return uids
}

// unmarshal reads an object strictly: what Kubernetes does not know is an error.
func unmarshal[T any](tb testing.TB, text string) *T {
	tb.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	v := new(T)
	if err := d.Decode(v); err != nil {
		tb.Fatalf("%v in %s", err, text)
	}
	return v
}
