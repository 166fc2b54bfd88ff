package container

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// shimPrefix is what the names of shims' programs begin with.
const shimPrefix = "containerd-shim-"

// Hung says whether an error is that of a call to a shim that does not answer.
func Hung(ctx context.Context, err error) bool {
	return ctx.Err() == nil && errdefs.IsDeadlineExceeded(err)
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

// RemoveShim sees to it that nothing of a sandbox' shim is left once its tasks
// are gone. It ends by itself then; one that does not, since it was cut off
// from its containerd, is killed, and its socket removed in its place.
func (s *Store) RemoveShim(ctx context.Context, sandboxID string) error {
	socket := s.shimSocket(sandboxID)
	for deadline := time.Now().Add(shimTimeout); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(shimPoll) {
		if _, err := os.Lstat(socket); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err := s.KillShim(sandboxID); err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove socket of shim: %w", err)
	}
	return nil
}

const (
	shimTimeout = time.Second          // for a shim to end by itself
	shimPoll    = 2 * time.Millisecond // how often that is looked at
)

// shimSocket is the path of a sandbox' shim's socket (containerd:
// pkg/shim.CreateSocketAddress).
func (s *Store) shimSocket(sandboxID string) string {
	name := sha256.Sum256([]byte(filepath.Join(s.config.Address, Namespace, sandboxID)))
	return filepath.Join(s.config.ShimDir, hex.EncodeToString(name[:]))
}

// isShim says whether a command line is that of a sandbox' shim.
func isShim(cmdline []byte, sandboxID string) bool {
	args := bytes.Split(bytes.TrimSuffix(cmdline, []byte{0}), []byte{0})
	if !strings.HasPrefix(filepath.Base(string(args[0])), shimPrefix) {
		return false
	}
	at := slices.IndexFunc(args, func(arg []byte) bool { return string(arg) == "-id" })
	return at >= 0 && at+1 < len(args) && string(args[at+1]) == sandboxID
}
