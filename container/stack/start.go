package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"podrun/bundle"
)

const (
	startTimeout = 20 * time.Second     // containerd needs some 25 ms; a machine on its knees needs more
	startPoll    = 2 * time.Millisecond // how often a starting containerd is looked at
	maxLog       = 4 << 20              // the log is emptied at a start when it is larger than this, in bytes
	logTail      = 2 << 10              // how much of the log goes into an error, in bytes
)

// start brings up the bundled containerd, which must be staged, and returns when it answers:
//
//  1. take the lock and look again
//  2. write the configuration, open the log
//  3. start the process, out of the caller's session and cgroup
//  4. wait until it answers; one that does not is ended
func start(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer in %s", startTimeout))
	defer cancel()
	if err := mkdir(cfg.RunDir); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	l, err := acquire(ctx, cfg.lockFile())
	if err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	defer l.release()
	if err := answers(cfg.address()); !errors.Is(err, ErrNotRunning) {
		return err
	}
	log, err := configure(cfg)
	if err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	defer log.Close()
	if err := launch(ctx, cfg, log); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	return nil
}

// configure writes the configuration and opens the log.
func configure(cfg Config) (*os.File, error) {
	if err := mkdir(cfg.state()); err != nil {
		return nil, err
	}
	if err := os.WriteFile(cfg.configFile(), []byte(cfg.config()), 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(cfg.logFile(), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := log.Stat()
	if err == nil && info.Size() > maxLog {
		err = log.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

// launch starts the process and waits until it answers. What it writes to the log until then
// becomes part of the error.
func launch(ctx context.Context, cfg Config, log *os.File) error {
	logged, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd, ended, err := spawn(cfg, log)
	if err != nil {
		return err
	}
	err = await(ctx, cfg.address(), ended)
	pid, peerErr := peer(cfg.address())
	if err == nil && peerErr == nil && pid == cmd.Process.Pid {
		return os.Chmod(cfg.address(), 0o600)
	}
	// It did not come up, or one that was started by a podrun that did not live to see it answers in its place.
	_ = cmd.Process.Kill() // it may have ended
	select {
	case <-ended:
	case <-time.After(killTimeout):
		return errors.Join(err, fmt.Errorf("process %d is still there %s after SIGKILL", cmd.Process.Pid, killTimeout))
	}
	if err == nil {
		return peerErr
	}
	return fmt.Errorf("%w (%s)%s", err, cmd.ProcessState, tail(log, logged))
}

// spawn starts the process, in a session of its own and with nothing of the caller's but the log.
// The channel is closed when it has ended; from then on its state is known.
func spawn(cfg Config, log *os.File) (*exec.Cmd, <-chan struct{}, error) {
	if err := CloseInherited(); err != nil {
		return nil, nil, err
	}
	dir := stagedDir(cfg.Root, bundle.Digest)
	cmd := exec.Command(filepath.Join(dir, "containerd"), "--config", cfg.configFile())
	cmd.Dir = "/"
	cmd.Env = environment(dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := Start(cmd); err != nil {
		return nil, nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its state tells
		close(ended)
	}()
	return cmd, ended, nil
}

// gcPercent is Go's GOGC for containerd and what it starts: their heaps are of a few MB, and to
// collect them as often as by default costs every pod some milliseconds.
const gcPercent = 400

// environment is that of containerd, and through it of shims and runc. All that it has of the
// caller's is how to reach a registry. What they run is looked for in the bundle first.
func environment(dir string) []string {
	env := []string{
		"PATH=" + dir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		fmt.Sprintf("GOGC=%d", gcPercent),
	}
	for _, name := range []string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// CloseInherited marks every open file of this process close-on-exec. Go does so with those that it
// opens itself; one that podrun was started with would otherwise stay open in containerd, shims,
// supervisors and containers. Files that exec.Cmd hands to a child are not touched by it.
func CloseInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd) // one of them, the directory's own, is closed by now: no matter
		}
	}
	return nil
}

// await returns nil when the containerd at the address answers a question, and an error when the
// process that should has ended, or ctx.
func await(ctx context.Context, address string, ended <-chan struct{}) error {
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		if answers(address) == nil {
			if _, err := version(ctx, address); err == nil {
				return nil
			}
		}
		select {
		case <-ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// tail returns the last of what the log holds after the offset, ready to be appended to an error.
func tail(log *os.File, offset int64) string {
	info, err := log.Stat()
	if err != nil {
		return ""
	}
	text := make([]byte, min(max(info.Size()-offset, 0), logTail))
	n, _ := log.ReadAt(text, info.Size()-int64(len(text)))
	if trimmed := strings.TrimSpace(string(text[:n])); trimmed != "" {
		return ":\n" + trimmed
	}
	return ""
}
