package stack

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestGivenContainerd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{Root: filepath.Join(dir, "r"), RunDir: filepath.Join(dir, "s"), Address: filepath.Join(dir, "sock")}
	if _, err := Find(t.Context(), cfg); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nothing there: %v; want ErrNotRunning", err)
	}
	listener, err := net.Listen("unix", cfg.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, address := range []string{cfg.Address, "unix://" + cfg.Address} {
		cfg := cfg
		cfg.Address = address
		s, err := Find(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if s.Address != filepath.Join(dir, "sock") || s.Bundled || s.Runc != "" {
			t.Errorf("found %+v", s)
		}
		if err := Stop(t.Context(), cfg); !errors.Is(err, ErrNotBundled) {
			t.Errorf("stop: %v; want ErrNotBundled", err)
		}
	}
	if _, err := os.Stat(cfg.Root); err == nil {
		t.Error("to look made a directory")
	}
	if pid, err := peer(cfg.Address); err != nil || pid != os.Getpid() {
		t.Errorf("peer %d, %v; want this process", pid, err)
	}
}

// A listener that died without removing its socket.
func TestStaleSocketIsNotRunning(t *testing.T) {
	t.Parallel()
	address := filepath.Join(t.TempDir(), "sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: address})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	if err := answers(address); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v; want ErrNotRunning", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]Config{
		"relative root":    {Root: "r", RunDir: "/s", Address: "/a"},
		"relative run dir": {Root: "/r", RunDir: "s", Address: "/a"},
		"relative address": {Root: "/r", RunDir: "/s", Address: "a"},
		"a TCP address":    {Root: "/r", RunDir: "/s", Address: "tcp://127.0.0.1:1"},
	}
	for name, cfg := range tests {
		if _, err := Find(t.Context(), cfg); err == nil || errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: got %v; want a refusal", name, err)
		}
	}
}

func TestShimSocketsFit(t *testing.T) {
	t.Parallel()
	const name = 64 // of a shim's socket
	seen := map[string]bool{}
	for n := range 80 {
		cfg := Config{RunDir: "/" + strings.Repeat("d", n+1)}
		dir := cfg.shimSockets()
		if seen[dir] {
			t.Errorf("%s is used by two run directories", dir)
		}
		seen[dir] = true
		if len(dir)+1+name > maxSocketPath {
			t.Errorf("%s is too long", dir)
		}
	}
	if got, want := (Config{RunDir: "/run/podrun"}).shimSockets(), "/run/podrun/containerd/s"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func TestEnvironmentIsPodrunsOwn(t *testing.T) {
	t.Setenv("PATH", "/of/the/caller:"+os.Getenv("PATH"))
	t.Setenv("NOTIFY_SOCKET", "/would/reach/runc")
	t.Setenv("https_proxy", "http://proxy")
	env := environment("/bundle")
	if !strings.HasPrefix(env[0], "PATH=/bundle:") || strings.Contains(env[0], "/of/the/caller") {
		t.Errorf("%s", env[0])
	}
	if !slices.Contains(env, "https_proxy=http://proxy") {
		t.Errorf("no proxy in %q", env)
	}
	for _, e := range env {
		if strings.HasPrefix(e, "NOTIFY_SOCKET=") {
			t.Errorf("passed %s on", e)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	before, now := "of an earlier start\n", "what happened\n"
	if _, err := log.WriteString(before + now); err != nil {
		t.Fatal(err)
	}
	if got, want := tail(log, int64(len(before))), ":\nwhat happened"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if got := tail(log, int64(len(before+now))); got != "" {
		t.Errorf("got %q; want nothing", got)
	}
	if _, err := log.WriteString(strings.Repeat("x", 2*logTail)); err != nil {
		t.Fatal(err)
	}
	if got := tail(log, 0); len(got) != len(":\n")+logTail {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestStartInOwnCgroup(t *testing.T) {
	needRoot(t)
	before, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "60")
	if err := Start(sleep); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
		if err := removeCgroup(); err != nil {
			t.Error(err)
		}
	})
	left(t, sleep.Process.Pid)
	if after, err := os.ReadFile("/proc/self/cgroup"); err != nil || string(after) != string(before) {
		t.Errorf("the caller itself was moved: %s, %v", after, err)
	}
}

// left fails the test unless the process is in podrun's own cgroup in every hierarchy.
func left(t *testing.T, pid int) {
	t.Helper()
	cgroups, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(cgroups)) {
		if !strings.HasSuffix(strings.TrimSpace(line), ":/"+leaf) {
			t.Errorf("process %d is in cgroup %s", pid, line)
		}
	}
}
