package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Sweep removes what a bundled containerd that was killed left of the tasks of a namespace, and
// never looks at again: it hides a task's directory by a dot before it removes it. What another
// containerd has is left alone. Idempotent.
func Sweep(cfg Config, namespace string) error {
	if !cfg.bundled() {
		return nil
	}
	hidden, err := filepath.Glob(filepath.Join(cfg.state(), "io.containerd.runtime.v2.task", namespace, ".*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range hidden {
		// A directory that something is still mounted on cannot go, and nothing behind it must.
		err := os.Remove(filepath.Join(dir, "rootfs"))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.RemoveAll(dir)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove what is left of a task: %w", err))
		}
	}
	return errors.Join(errs...)
}
