package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"podrun/container"
	"podrun/container/stack"
	"podrun/pod/supervise"
)

// GC removes what is left of pods of which there is no record, as crashes may
// leave it, and sees to it that every pod that needs a supervisor has one. It
// returns the UIDs of the pods whose remains it found. With dryRun it only
// looks.
func (e *Engine) GC(ctx context.Context, dryRun bool) ([]string, error) {
	uids, err := e.sandboxes.Orphans(ctx)
	if err != nil || dryRun {
		return uids, err
	}
	var errs []error
	var removed []string
	for _, uid := range uids {
		if owned, err := supervise.Owned(e.sandboxes.RootDir(uid)); owned || err != nil {
			errs = append(errs, err)
			continue
		}
		if err := e.sandboxes.RemoveOrphan(ctx, uid); err != nil {
			errs = append(errs, fmt.Errorf("remove what is left of pod %s: %w", uid, err))
			continue
		}
		removed = append(removed, uid)
	}
	errs = append(errs, e.containers.Sweep(ctx), stack.Sweep(e.config.Stack(), container.Namespace))
	_, err = e.List(ctx)
	return removed, errors.Join(append(errs, err)...)
}

// Any says whether there may be pods under a configuration's directories,
// without asking a containerd.
func Any(config Config) bool {
	entries, err := os.ReadDir(filepath.Join(config.Root, "pods"))
	return err == nil && len(entries) > 0
}
