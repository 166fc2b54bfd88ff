package pod

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"podrun/container"
	"podrun/pod/status"
)

// ErrNotRunning says that a container does not run.
var ErrNotRunning = errors.New("container is not running")

// Exec runs a command in a container of a pod, and returns its exit code; see
// container.Store.Exec.
func (e *Engine) Exec(ctx context.Context, ref Ref, name string, exec container.Exec) (int, error) {
	v, err := e.find(ctx, ref)
	if err != nil {
		return 0, err
	}
	if name, err = containerName(v.pod, name); err != nil {
		return 0, err
	}
	if err := e.ensureSupervised(v); err != nil {
		return 0, err
	}
	newest := v.observed.Newest(name)
	if newest == nil || newest.State != status.Running {
		return 0, fmt.Errorf("exec in container %q of pod %q: %w", name, ref.Name, ErrNotRunning)
	}
	exec.Dir = filepath.Join(e.sandboxes.RunDir(v.sandbox.UID()), "exec")
	return e.containers.Exec(ctx, newest.ID, exec)
}
