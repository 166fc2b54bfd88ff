package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childEnv makes the test binary copy the log in the directory that it names.
const childEnv = "PODRUN_TEST_COPY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
		defer stop()
		if err := (Files{Dir: dir}).Copy(ctx, nil, Limits{MaxSize: 64 << 10, MaxFiles: 1 << 20}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func create(t testing.TB) Files {
	t.Helper()
	f := Files{Dir: filepath.Join(t.TempDir(), "c")}
	if err := f.Create(); err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t testing.TB, f Files, s stream, text string) {
	t.Helper()
	file, err := os.OpenFile(f.spools()[s], os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(text)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func copyAll(t testing.TB, f Files) {
	t.Helper()
	if err := f.Copy(t.Context(), closed(), DefaultLimits); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, f Files) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if err := f.Read(t.Context(), &out, &err, Options{Tail: -1}, nil); err != nil {
		t.Fatal(err)
	}
	return out.String(), err.String()
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	f := create(t)
	write(t, f, stdout, "kept\n")
	if err := f.Create(); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{f.Log(): 0o640, f.spools()[0]: 0o600, f.spools()[1]: 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("%s: mode %v, want %v", path, info.Mode(), mode)
		}
	}
	copyAll(t, f)
	if out, _ := content(t, f); out != "kept\n" {
		t.Errorf("content %q", out)
	}
}

func TestFinishAndRemove(t *testing.T) {
	t.Parallel()
	f := create(t)
	write(t, f, stdout, "a\n")
	write(t, f, stderr, "b\n")
	copyAll(t, f)
	if f.Finished() {
		t.Error("finished before Finish")
	}
	for range 2 {
		if err := f.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	if !f.Finished() {
		t.Error("not finished after Finish")
	}
	copyAll(t, f) // nothing to do
	if out, err := content(t, f); out != "a\n" || err != "b\n" {
		t.Errorf("content %q, %q", out, err)
	}
	for range 2 {
		if err := f.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(f.Dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCopyWhileRunning(t *testing.T) {
	t.Parallel()
	f := create(t)
	ended, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- f.Copy(context.Background(), ended, DefaultLimits) }()
	read := func() string {
		out, err := content(t, f)
		return out + "|" + err
	}
	write(t, f, stdout, "one\n")
	eventually(t, "a line", func() bool { return read() == "one\n|" })
	write(t, f, stderr, "name: ")
	eventually(t, "a prompt", func() bool { return read() == "one\n|name: " })
	write(t, f, stderr, "me\r")
	eventually(t, "its continuation", func() bool { return read() == "one\n|name: me" })
	write(t, f, stderr, "\n")
	eventually(t, "its end", func() bool { return read() == "one\n|name: me\n" })
	write(t, f, stdout, "last")
	close(ended)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "one\nlast|name: me\n" {
		t.Errorf("content %q", got)
	}
}

// A supervisor that is told to leave leaves the rest of a line to the next one.
func TestCopyCancelled(t *testing.T) {
	t.Parallel()
	f := create(t)
	write(t, f, stdout, "one\ntw")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Copy(ctx, nil, DefaultLimits); err != nil {
		t.Fatal(err)
	}
	if out, _ := content(t, f); out != "one\n" {
		t.Errorf("content %q", out)
	}
	write(t, f, stdout, "o\n")
	copyAll(t, f)
	log, err := os.ReadFile(f.Log())
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(log), "\n"); len(lines) != 3 || !strings.HasSuffix(lines[1], " stdout F two") {
		t.Errorf("log %q", log)
	}
}

// A log that a killed copier left at any length is completed.
func TestResumeFromAnyLength(t *testing.T) {
	t.Parallel()
	const out, err = "one\r\ntwo\n\nthree", "err\n\r\n"
	whole := create(t)
	write(t, whole, stdout, out)
	write(t, whole, stderr, err)
	copyAll(t, whole)
	log, _ := os.ReadFile(whole.Log())
	for size := range len(log) + 1 {
		f := create(t)
		write(t, f, stdout, out)
		write(t, f, stderr, err)
		checkpoint, e := os.Create(f.path("checkpoint"))
		if e == nil {
			e = errors.Join(position{}.store(checkpoint), checkpoint.Close(), os.WriteFile(f.Log(), log[:size], 0))
		}
		if e != nil {
			t.Fatal(e)
		}
		copyAll(t, f)
		if o, e := content(t, f); o != "one\ntwo\n\nthree" || e != "err\n\n" {
			t.Fatalf("from %d bytes: %q, %q", size, o, e)
		}
	}
}

func TestSpaceIsGivenBack(t *testing.T) {
	t.Parallel()
	f := create(t)
	write(t, f, stdout, strings.Repeat(strings.Repeat("x", 99)+"\n", 100_000))
	copyAll(t, f)
	var s unix.Stat_t
	if err := unix.Stat(f.spools()[stdout], &s); err != nil {
		t.Fatal(err)
	}
	if s.Size != 10_000_000 || s.Blocks*512 > 2*releaseSize {
		t.Errorf("%d bytes of a spool of %d are still in use", s.Blocks*512, s.Size)
	}
	// Without its checkpoint, what is a hole is known to have been copied.
	if err := os.Remove(f.path("checkpoint")); err != nil {
		t.Fatal(err)
	}
	write(t, f, stdout, "end\n")
	copyAll(t, f)
	if out, _ := content(t, f); strings.Contains(out, "\x00") || !strings.HasSuffix(out, "x\nend\n") {
		t.Error("a hole was copied")
	}
}

// Not beside other tests: a process that one of them starts has this one's files
// open for a moment, and they keep the file system busy.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a small file system: run it as root")
	}
	f := Files{Dir: t.TempDir()}
	if err := unix.Mount("tmpfs", f.Dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(f.Dir, 0); err != nil {
			t.Error(err)
		}
	})
	if err := f.Create(); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("0123456789\n", 3000)
	write(t, f, stdout, want) // 33 kB, as a log about 160 kB
	filler := filepath.Join(f.Dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	// Giving up: the rest stays for the next.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Copy(ctx, nil, DefaultLimits); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("want ENOSPC, got %v", err)
	}
	// Waiting until there is space again.
	done := make(chan error, 1)
	go func() { done <- f.Copy(context.Background(), closed(), DefaultLimits) }()
	select {
	case err := <-done:
		t.Fatalf("copied to a full disk: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if out, _ := content(t, f); out != want {
		t.Errorf("%d bytes, want %d", len(out), len(want))
	}
}

// Copying processes are killed at random moments while a container writes and
// somebody follows the log, which is rotated all the time.
func TestKilledCopiers(t *testing.T) {
	t.Parallel()
	const rounds = 60
	f := create(t)
	var out, err bytes.Buffer // what was written
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for s, all := range []*bytes.Buffer{&out, &err} {
		writers.Go(func() { scribble(t, f.spools()[s], all, stop) })
	}
	var followedOut, followedErr bytes.Buffer
	ended, followed := make(chan struct{}), make(chan error, 1)
	go func() {
		followed <- f.Read(context.Background(), &followedOut, &followedErr, Options{Tail: -1, Follow: true}, ended)
	}()

	for range rounds {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+f.Dir)
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // when to kill
		child.Process.Kill()
		child.Wait()
	}
	close(stop)
	writers.Wait()
	copyAll(t, f)
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	close(ended)
	if err := <-followed; err != nil {
		t.Fatal(err)
	}
	if rotated, err := f.rotated(); err != nil || len(rotated) < 3 {
		t.Errorf("rotated logs: %d, %v", len(rotated), err)
	}
	readOut, readErr := content(t, f)
	t.Logf("%d kB of output", (out.Len()+err.Len())>>10)
	for name, pair := range map[string][2]string{
		"stdout": {readOut, out.String()}, "stderr": {readErr, err.String()},
		"followed stdout": {followedOut.String(), out.String()}, "followed stderr": {followedErr.String(), err.String()},
	} {
		if got, want := pair[0], strings.ReplaceAll(pair[1], "\r\n", "\n"); got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s: %d bytes, want %d, the first difference is at %d", name, len(got), len(want), i)
		}
	}
}

// scribble writes all sorts of output until it is stopped.
func scribble(t *testing.T, path string, all io.Writer, stop chan struct{}) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	ends := []string{"\n", "\n", "\n", "\r\n", "\r", "", "\n\n\n"}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		size := rand.IntN(200)
		if n%50 == 0 {
			size = rand.IntN(3 * maxLine)
		}
		text := fmt.Appendf(nil, "%d %s%s", n, strings.Repeat("x", size), ends[rand.IntN(len(ends))])
		all.Write(text)
		if _, err := file.Write(text); err != nil {
			t.Error(err)
			return
		}
		time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, size := range []int{20, 100, 1000, 100_000} {
		b.Run(fmt.Sprintf("line=%d", size), func(b *testing.B) {
			text := strings.Repeat(strings.Repeat("x", size-1)+"\n", 64<<20/size)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				b.StopTimer()
				f := create(b)
				write(b, f, stdout, text)
				b.StartTimer()
				copyAll(b, f)
				b.StopTimer()
				if err := f.Remove(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
