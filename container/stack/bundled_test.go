//go:build bundle

package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"

	"podrun/bundle"
)

// instance returns the configuration of a bundled containerd of the test's own. At the end it is
// stopped, and must have left nothing. The directory's name is short: sockets are in it.
func instance(t *testing.T) Config {
	t.Helper()
	needRoot(t)
	dir, err := os.MkdirTemp("/tmp", "pr-")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Root: filepath.Join(dir, "r"), RunDir: filepath.Join(dir, "s")}
	t.Cleanup(func() {
		if err := Stop(context.Background(), cfg); err != nil {
			t.Error(err)
		}
		if entries, _ := os.ReadDir(cfg.RunDir); len(entries) != 0 {
			t.Errorf("left in the run directory: %v", entries)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return cfg
}

// open opens the stack and returns it with its status.
func open(t *testing.T, cfg Config) (*Stack, Status) {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	status, err := Inspect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, status
}

func TestBundledContainerd(t *testing.T) {
	cfg := instance(t)
	if _, err := Find(t.Context(), cfg); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before: %v; want ErrNotRunning", err)
	}
	if status, err := Inspect(t.Context(), cfg); err != nil || status.Running {
		t.Errorf("before: %+v, %v", status, err)
	}
	if err := Stop(t.Context(), cfg); err != nil {
		t.Errorf("stop before: %v", err)
	}
	if _, err := os.Stat(cfg.Root); err == nil {
		t.Error("looking made a directory")
	}

	// A file that podrun was started with must not reach containerd.
	leaky, err := syscall.Open("/etc/hostname", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leaky)

	s, status := open(t, cfg)
	for _, file := range []string{s.Runc, s.Pause, filepath.Join(s.CNIBinDirs[0], "bridge")} {
		if err := unix.Access(file, unix.X_OK); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if !status.Running || !strings.HasPrefix(status.Version, "v2.") || status.Digest != bundle.Digest {
		t.Errorf("status %+v", status)
	}
	detached(t, status.PID)
	private(t, s.Address)

	again, err := Find(t.Context(), cfg)
	if err != nil || again.Address != s.Address {
		t.Errorf("found %+v, %v", again, err)
	}
	if _, second := open(t, cfg); second.PID != status.PID {
		t.Errorf("opened twice: process %d, then %d", status.PID, second.PID)
	}
	if err := Stop(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fmt.Sprint("/proc/", status.PID, "/exe")); err == nil {
		t.Errorf("process %d is still there", status.PID)
	}
	if _, err := Find(t.Context(), cfg); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after: %v; want ErrNotRunning", err)
	}
}

// detached fails the test unless the process has its own session, podrun's cgroup, and no file but its own.
func detached(t *testing.T, pid int) {
	t.Helper()
	left(t, pid)
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d, %v; want its own", sid, err)
	}
	files, err := filepath.Glob(fmt.Sprint("/proc/", pid, "/fd/*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		if target, _ := os.Readlink(file); target == "/etc/hostname" {
			t.Errorf("%s is %s", file, target)
		}
	}
}

// private fails the test unless nobody but root can reach the socket.
func private(t *testing.T, socket string) {
	t.Helper()
	for path, want := range map[string]os.FileMode{socket: 0o600, filepath.Dir(socket): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestOpenFromManySides(t *testing.T) {
	cfg := instance(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := Open(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	running, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range running {
		if cmdline, _ := os.ReadFile(file); strings.HasSuffix(string(cmdline), "--config\x00"+cfg.configFile()+"\x00") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d containerds run; want 1", n)
	}
}

func TestOpenAfterCrash(t *testing.T) {
	cfg := instance(t)
	_, first := open(t, cfg)
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for answers(first.Address) == nil { // until the kernel has closed the socket
		if ctx.Err() != nil {
			t.Fatal("it lives on")
		}
	}
	if _, second := open(t, cfg); second.PID == first.PID {
		t.Error("the dead containerd was found")
	}
}

func TestOpenSaysWhyItFails(t *testing.T) {
	cfg := instance(t)
	if err := os.MkdirAll(cfg.Root, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.data(), nil, 0o600); err != nil { // a file where its data should be
		t.Fatal(err)
	}
	_, err := Open(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), cfg.data()+": not a directory") {
		t.Errorf("got %v; want the reason", err)
	}
}

// A container outlives containerd, its sockets are podrun's, and the next containerd takes it over.
func TestContainerOutlivesContainerd(t *testing.T) {
	cfg := instance(t)
	s, _ := open(t, cfg)
	ctx := namespaces.WithNamespace(t.Context(), "test")
	pid := run(ctx, t, s)
	if sockets, _ := filepath.Glob(filepath.Join(cfg.state(), "s", "*")); len(sockets) == 0 {
		t.Error("the shim's socket is not in podrun's directory")
	}
	if err := Stop(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the container ended with containerd: %v", err)
	}
	s, _ = open(t, cfg)
	finish(ctx, t, s)
}

// run starts a container that has the bundled pause program for a root, and returns its PID.
func run(ctx context.Context, t *testing.T, s *Stack) int {
	t.Helper()
	c := dial(t, s)
	root := t.TempDir()
	program, err := os.ReadFile(s.Pause)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "pause"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	container, err := c.NewContainer(ctx, "pause",
		client.WithRuntime("io.containerd.runc.v2", &options.Options{BinaryName: s.Runc, Root: filepath.Join(root, "runc")}),
		client.WithNewSpec(oci.WithRootFSPath(root), oci.WithProcessArgs("/pause"), withoutLimits))
	if err != nil {
		t.Fatal(err)
	}
	task, err := container.NewTask(ctx, cio.NullIO)
	if err != nil {
		t.Fatal(err)
	}
	if err := task.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return int(task.Pid())
}

// withoutLimits drops what a machine without CAP_SYS_RESOURCE refuses.
func withoutLimits(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	s.Process.Rlimits = nil
	return nil
}

// finish ends and removes the container. The pause program must end with 0 on SIGTERM.
func finish(ctx context.Context, t *testing.T, s *Stack) {
	t.Helper()
	container, err := dial(t, s).LoadContainer(ctx, "pause")
	if err != nil {
		t.Fatal(err)
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	exited, err := task.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := task.Kill(ctx, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit := <-exited; exit.Error() != nil || exit.ExitCode() != 0 {
		t.Errorf("exit code %d, %v; want 0", exit.ExitCode(), exit.Error())
	}
	if _, err := task.Delete(ctx); err != nil {
		t.Error(err)
	}
	if err := container.Delete(ctx); err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, s *Stack) *client.Client {
	t.Helper()
	c, err := client.New(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func BenchmarkOpenRunning(b *testing.B) {
	dir, err := os.MkdirTemp("/tmp", "pr-")
	if err != nil {
		b.Fatal(err)
	}
	cfg := Config{Root: filepath.Join(dir, "r"), RunDir: filepath.Join(dir, "s")}
	defer os.RemoveAll(dir)
	defer Stop(context.Background(), cfg)
	start := time.Now()
	if _, err := Open(b.Context(), cfg); err != nil {
		b.Fatal(err)
	}
	b.Logf("staged and started in %s", time.Since(start))
	for b.Loop() {
		if _, err := Open(b.Context(), cfg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	dir, err := os.MkdirTemp("/tmp", "pr-")
	if err != nil {
		b.Fatal(err)
	}
	cfg := Config{Root: filepath.Join(dir, "r"), RunDir: filepath.Join(dir, "s")}
	defer os.RemoveAll(dir)
	defer Stop(context.Background(), cfg)
	if err := stage(b.Context(), cfg.Root, bundle.Archive, bundle.Digest); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Open(b.Context(), cfg); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := Stop(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// What containerd leaves of a task is removed, hidden or not, and nothing else.
func TestForget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{Root: filepath.Join(dir, "r"), RunDir: filepath.Join(dir, "s")}
	var left []string
	for _, name := range []string{"id", ".id", "other"} {
		for _, task := range taskDirs(cfg, "ns", name) {
			if err := os.MkdirAll(filepath.Join(task, "rootfs"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(task, "exit.json"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "other" {
				left = append(left, task)
			}
		}
	}
	if err := Forget(t.Context(), cfg, "ns", "id"); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, all := range taskDirs(cfg, "ns", "*") {
		tasks, err := filepath.Glob(all)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, tasks...)
	}
	if !slices.Equal(found, left) {
		t.Errorf("left are %q, want %q", found, left)
	}
}
