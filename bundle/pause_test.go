//go:build bundle

package bundle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pause is the program that `make` built.
const pause = "out/pause"

func TestPauseVersion(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(pause, "-v").Output()
	if err != nil || !strings.HasPrefix(string(out), "pause 1.") {
		t.Errorf("got %q, %v", out, err)
	}
}

// The init of a PID namespace gets only the signals that it handles or waits for.
func TestPauseEndsOnSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		for _, flags := range []uintptr{0, syscall.CLONE_NEWPID} {
			var warned strings.Builder
			cmd := exec.Command(pause)
			cmd.Stderr = &warned
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waits(t, cmd.Process.Pid)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v; want exit code 0", signal, err)
			}
			if first := flags != 0; strings.Contains(warned.String(), "not the first process") == first {
				t.Errorf("first process: %t; said %q", first, &warned)
			}
		}
	}
}

func TestPauseReaps(t *testing.T) {
	t.Parallel()
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	// The child ends when the pipe is closed, and by then the shell has become pause.
	cmd := exec.Command("sh", "-c", `cat <&3 >/dev/null & echo $!; exec 3<&-; exec "$0"`, pause)
	cmd.ExtraFiles = []*os.File{theirs}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	child, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	waits(t, cmd.Process.Pid)
	ours.Close()
	until(t, "the child is reaped", func() bool {
		_, err := os.Stat(filepath.Join("/proc", strings.TrimSpace(child)))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// waits returns when the process is pause and has come to its wait.
func waits(t *testing.T, pid int) {
	t.Helper()
	until(t, "pause waits", func() bool {
		exe, _ := os.Readlink(fmt.Sprint("/proc/", pid, "/exe"))
		status, _ := os.ReadFile(fmt.Sprint("/proc/", pid, "/status"))
		return filepath.Base(exe) == "pause" && strings.Contains(string(status), "State:\tS")
	})
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for tick := time.NewTicker(time.Millisecond); !done(); {
		select {
		case <-ctx.Done():
			t.Fatalf("gave up to wait until %s", what)
		case <-tick.C:
		}
	}
}
