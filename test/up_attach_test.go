package test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"podrun/test/leakcheck"
)

// An interrupt ends an attached pod gracefully, and what it prints at its end is
// seen; a second interrupt ends it at once. With --rm it is gone then.
func interruptedUp(t *testing.T, in *instance) {
	for name, test := range map[string]struct {
		args    string
		remove  bool
		signals int
		code    int
		last    string
	}{
		"graceful": {`-report, "-term-code=7", -wait=-1s`, false, 1, 7, "got SIGTERM"},
		"at-once":  {"-report, -ignore-term, -wait=-1s", false, 2, 137, "ignored SIGTERM"},
		"removed":  {`-report, "-term-code=7", -wait=-1s`, true, 1, 7, "got SIGTERM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: attached-` + name + `}
spec:
  terminationGracePeriodSeconds: 120
  containers: [{name: a, image: PROBE, args: [` + test.args + `]}]
`)
			in.later(t, text)
			cmd := in.command(t.Context(), "up", "--attach", fmt.Sprintf("--rm=%v", test.remove), "--progress", "none", "-")
			cmd.Stdin = strings.NewReader(text)
			out := newTail()
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out.await(t, "{") // the report: it runs
			in.supervised(t, "attached-"+name)
			for i := range test.signals {
				if i > 0 {
					out.await(t, test.last)
				}
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			err := cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code || time.Since(begin) > 30*time.Second {
				t.Errorf("exit code %d after %v, want %d: %v", code, time.Since(begin), test.code, err)
			}
			if !strings.HasSuffix(out.String(), test.last+"\n") {
				t.Errorf("the last words are missing: %q", out.String())
			}
			if test.remove {
				if uids := in.uidsOf(t, "attached-"+name); len(uids) > 0 {
					t.Errorf("the pod is still there: %v", uids)
				}
				return
			}
			if pod := in.pod(t, "attached-"+name); container(t, pod, "a").State.Terminated == nil {
				t.Errorf("status %+v", pod.Status)
			}
		})
	}
}

// An interrupt ends the wait also when nobody is there to stop the pod.
func interruptedInVain(t *testing.T, in *instance) {
	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: attached-in-vain}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: a, image: PROBE, args: [-report, -wait=-1s]}]
`)
	in.later(t, text)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute*lab.slowness)
	defer cancel()
	cmd := in.command(ctx, "up", "--attach", "--progress", "none", "-")
	cmd.Stdin = strings.NewReader(text)
	out := newTail()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "{") // the report: it runs
	in.supervised(t, "attached-in-vain")
	owner := in.ownerOf(t, string(in.pod(t, "attached-in-vain").UID))
	if err := syscall.Kill(owner, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(owner, syscall.SIGCONT) })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(out.String(), "have not ended 31s after") {
		t.Errorf("exit code %d, %v: %q", code, err, out.String())
	}
}

// supervised waits until a pod has a supervisor of its own: what made it has
// brought it up. An interrupt before that takes it back.
func (in *instance) supervised(t *testing.T, name string) {
	t.Helper()
	uid := string(in.pod(t, name).UID)
	eventually(t, 10*time.Second, func() error {
		if in.ownerOf(t, uid) == 0 {
			return fmt.Errorf("pod %s has no supervisor", name)
		}
		return nil
	})
}

// ownerOf is the process that supervises a pod, 0 for none.
func (in *instance) ownerOf(t *testing.T, uid string) int {
	t.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if slices.Contains(p.Args, "supervise") && slices.Contains(p.Args, uid) {
			return p.PID
		}
	}
	return 0
}

// tail is what a command prints, and can be waited for.
type tail struct {
	all   bytes.Buffer
	grown chan []byte
}

func newTail() *tail { return &tail{grown: make(chan []byte, 1<<10)} }

func (w *tail) Write(p []byte) (int, error) {
	w.grown <- bytes.Clone(p)
	return w.all.Write(p)
}

func (w *tail) String() string { return w.all.String() }

// await waits until a word was printed.
func (w *tail) await(t *testing.T, word string) {
	t.Helper()
	var seen []byte
	for timeout := time.After(20 * time.Second * lab.slowness); !bytes.Contains(seen, []byte(word)); {
		select {
		case p := <-w.grown:
			seen = append(seen, p...)
		case <-timeout:
			t.Fatalf("%q is not printed, but %q", word, seen)
		}
	}
}
