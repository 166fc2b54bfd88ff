package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

const (
	termTimeout = 10 * time.Second      // between SIGTERM and SIGKILL
	killTimeout = 5 * time.Second       // for the kernel to end a killed process
	stopPoll    = 50 * time.Millisecond // how often a wait looks at its context
)

// ErrNotBundled says that the containerd in use is not podrun's to stop.
var ErrNotBundled = errors.New("not the bundled containerd")

// Stop ends the bundled containerd and removes what it leaves in the run directory. Pods live on,
// and with them the state of their shims, which the next containerd picks up. Blocks until the
// process is gone: one that does not end on SIGTERM is killed. One that does not run is no error;
// one that is not podrun's own is ErrNotBundled.
func Stop(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	if !cfg.bundled() {
		return fmt.Errorf("stop %s: %w", cfg.address(), ErrNotBundled)
	}
	l, err := acquire(ctx, cfg.lockFile())
	if errors.Is(err, fs.ErrNotExist) { // no run directory, nothing runs in it
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop containerd: %w", err)
	}
	defer l.release()
	if err := end(ctx, cfg.address()); err != nil {
		return fmt.Errorf("stop containerd: %w", err)
	}
	if err := errors.Join(clean(cfg), l.remove(), removeCgroup()); err != nil {
		return fmt.Errorf("clean up after containerd: %w", err)
	}
	return nil
}

// end ends the process that listens at the address, if there is one.
func end(ctx context.Context, address string) error {
	pid, err := peer(address)
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, termTimeout}, {unix.SIGKILL, killTimeout}} {
		err := unix.PidfdSendSignal(fd, step.signal, nil, 0)
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("signal process %d: %w", pid, err)
		}
		if gone, err := wait(ctx, fd, step.wait); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d is still there %s after SIGKILL", pid, killTimeout)
}

// wait reports whether the process behind a pidfd ends in time. One that ended and was not reaped
// by its parent counts as ended.
func wait(ctx context.Context, pidfd int, limit time.Duration) (bool, error) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(stopPoll.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, err
		}
		if n > 0 {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
	return false, nil
}

// clean removes the files of a containerd that has ended. Its state goes only when no shim has a
// part in it and nothing is mounted there.
func clean(cfg Config) error {
	for _, file := range []string{cfg.address(), cfg.address() + ttrpcSuffix, cfg.configFile(), cfg.logFile()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if used, err := inUse(cfg.state()); used || err != nil {
		return err
	}
	if err := os.RemoveAll(cfg.state()); err != nil {
		return err
	}
	if err := os.Remove(cfg.shimSockets()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inUse reports whether there is a shim's directory or a mount in a containerd's state directory.
func inUse(state string) (bool, error) {
	for _, plugin := range []string{"io.containerd.runtime.v2.task", "io.containerd.sandbox.controller.v1.shim"} {
		shims, err := filepath.Glob(filepath.Join(state, plugin, "*", "*")) // namespace, ID
		if len(shims) > 0 || err != nil {
			return true, err
		}
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(state))
	return len(mounts) > 0, err
}
