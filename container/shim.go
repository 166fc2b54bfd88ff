package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// shimName is the program of the runtime's shims.
const shimName = "containerd-shim-runc-v2"

// Hung says whether an error is that of a call to a shim that does not answer.
func Hung(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errdefs.IsDeadlineExceeded(err) || errors.Is(err, context.DeadlineExceeded))
}

// KillShim kills the shim of a sandbox that does not answer. containerd then
// sees that it is gone, and takes down what it had.
func (s *Store) KillShim(sandboxID string) error {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, command := range commands {
		text, err := os.ReadFile(command)
		if err != nil || !isShim(text, sandboxID) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(command)))
		if err != nil {
			return err
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill shim %d: %w", pid, err)
		}
	}
	return nil
}

// isShim says whether a command line is that of a sandbox' shim.
func isShim(cmdline []byte, sandboxID string) bool {
	args := bytes.Split(bytes.TrimSuffix(cmdline, []byte{0}), []byte{0})
	if filepath.Base(string(args[0])) != shimName {
		return false
	}
	at := slices.IndexFunc(args, func(arg []byte) bool { return string(arg) == "-id" })
	return at >= 0 && at+1 < len(args) && string(args[at+1]) == sandboxID
}
