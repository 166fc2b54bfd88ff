package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// attachTo attaches to new spools and returns what comes out, with a function
// that appends to standard output.
func attachTo(t *testing.T) (f Files, write func(string), out *pipe) {
	t.Helper()
	f = Files{Dir: t.TempDir()}
	if err := f.Create(); err != nil {
		t.Fatal(err)
	}
	path, _ := f.Spool()
	spool, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() })
	return f, func(s string) {
		t.Helper()
		if _, err := io.WriteString(spool, s); err != nil {
			t.Fatal(err)
		}
	}, newPipe()
}

// attach is Attach, to be closed with the test.
func attach(t *testing.T, f Files) *Attached {
	t.Helper()
	a, err := f.Attach()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// pipe hands on what is written to it.
type pipe struct{ came chan string }

func newPipe() *pipe { return &pipe{came: make(chan string, 100)} }

func (p *pipe) Write(b []byte) (int, error) {
	p.came <- string(b)
	return len(b), nil
}

// until reads until all that came ends with a text.
func (p *pipe) until(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for all := ""; ; {
		select {
		case s := <-p.came:
			if all += s; strings.HasSuffix(all, text) {
				return all
			}
		case <-deadline:
			t.Fatalf("no %q in %q", text, all)
		}
	}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	f, write, out := attachTo(t)
	write("before\n")
	ended, done := make(chan struct{}), make(chan error)
	a := attach(t, f)
	write("first ")
	go func() { done <- a.Copy(t.Context(), out, io.Discard, ended) }()
	write("no newline, \r\x00 any bytes")
	if all := out.until(t, "any bytes"); all != "first no newline, \r\x00 any bytes" {
		t.Errorf("it came %q", all)
	}
	write("last")
	close(ended)
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	out.until(t, "last")
}

// Space that was given back is passed over, and is not shown as zeros.
func TestAttachPassesOverHoles(t *testing.T) {
	t.Parallel()
	f, _, _ := attachTo(t)
	path, _ := f.Spool()
	var got bytes.Buffer
	a := attach(t, f)
	a.to = [streams]io.Writer{&got, io.Discard}
	if err := os.Truncate(path, 4<<20); err != nil { // a hole
		t.Fatal(err)
	}
	spool, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	if _, err := spool.WriteString("after"); err != nil {
		t.Fatal(err)
	}
	if err := a.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := strings.TrimLeft(got.String(), "\x00"); text != "after" || got.Len() > 64<<10 {
		t.Errorf("%d bytes came, the text %.20q", got.Len(), text)
	}
}

func TestAttachTellsErrors(t *testing.T) {
	t.Parallel()
	f, write, _ := attachTo(t)
	broken := errors.New("broken")
	a := attach(t, f)
	write("x")
	if err := a.Copy(t.Context(), failing{broken}, io.Discard, nil); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

// Nothing is left of those who attached: not parallel, since it counts.
func TestAttachLeavesNothing(t *testing.T) {
	f, _, _ := attachTo(t)
	files := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	round := func() {
		a, err := f.Attach()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Copy(ctx, io.Discard, io.Discard, make(chan struct{})) }()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	round()
	goroutines, open := runtime.NumGoroutine(), files()
	for range 100 {
		round()
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > goroutines || files() > open {
		t.Errorf("%d goroutines, before %d; %d files, before %d", now, goroutines, files(), open)
	}
}
