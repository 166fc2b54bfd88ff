package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// executor runs plugins as libcni does by itself, but ends one that takes too
// long together with all that it has started, and lets them inherit a lock, so
// that they can be waited for when podrun is killed.
type executor struct {
	version.PluginDecoder
	lock *os.File // may be nil
}

var _ invoke.Exec = (*executor)(nil)

// FindInPath finds a plugin's binary.
func (e *executor) FindInPath(plugin string, paths []string) (string, error) {
	return invoke.FindInPath(plugin, paths)
}

// ExecPlugin runs a plugin; what it says is wrong becomes a *types.Error.
func (e *executor) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, bytes.NewReader(stdin), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if e.lock != nil {
		cmd.ExtraFiles = []*os.File{e.lock}
	}
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("ended: %w", context.Cause(ctx))
	}
	return nil, pluginError(err, stdout.Bytes(), stderr.Bytes())
}

// pluginError is what the plugin says on standard output, as the specification
// wants it, or else what is known.
func pluginError(err error, stdout, stderr []byte) error {
	said := &types.Error{}
	if json.Unmarshal(stdout, said) == nil && said.Msg != "" {
		return said
	}
	if text := strings.TrimSpace(string(stderr)); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("ended without a word: %w", err)
	}
	return err
}
