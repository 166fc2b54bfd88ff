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

// GC removes what is left of pods of which there is no record, and of objects
// that were being written, as crashes may leave it, and sees to it that every
// pod that needs a supervisor has one. It returns what it found, a name each.
// With dryRun it only looks.
func (e *Engine) GC(ctx context.Context, dryRun bool) ([]string, error) {
	found, errObjects := e.gcObjects(ctx, dryRun)
	pods, err := e.gcPods(ctx, dryRun)
	return append(found, pods...), errors.Join(errObjects, err)
}

func (e *Engine) gcObjects(ctx context.Context, dryRun bool) ([]string, error) {
	unlock, err := e.lockRecords(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	files, err := e.objects.Leftovers()
	if err == nil && !dryRun {
		err = e.objects.Sweep(files)
	}
	var found []string
	for _, file := range files {
		found = append(found, "unfinished file "+file)
	}
	return found, err
}

func (e *Engine) gcPods(ctx context.Context, dryRun bool) ([]string, error) {
	uids, err := e.sandboxes.Orphans(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	var removed []string
	if dryRun {
		for _, uid := range uids {
			removed = append(removed, remains(uid))
		}
		return removed, nil
	}
	for _, uid := range uids {
		if owned, err := supervise.Owned(e.sandboxes.RootDir(uid)); owned || err != nil {
			errs = append(errs, err)
			continue
		}
		if err := e.sandboxes.RemoveOrphan(ctx, uid); err != nil {
			errs = append(errs, fmt.Errorf("remove what is left of pod %s: %w", uid, err))
			continue
		}
		removed = append(removed, remains(uid))
	}
	errs = append(errs, e.containers.Sweep(ctx), stack.Sweep(e.config.Stack(), container.Namespace, func() (map[string]bool, error) { return e.containerIDs(ctx) }))
	_, err = e.List(ctx)
	return removed, errors.Join(append(errs, err)...)
}

// containerIDs are those of all containers that there are records of.
func (e *Engine) containerIDs(ctx context.Context) (map[string]bool, error) {
	all, err := e.containers.List(ctx)
	ids := make(map[string]bool, len(all))
	for _, c := range all {
		ids[c.ID] = true
	}
	return ids, err
}

func remains(uid string) string { return "remains of pod " + uid }

// Any says whether there may be pods under a configuration's directories,
// without asking a containerd.
func Any(config Config) bool {
	entries, err := os.ReadDir(filepath.Join(config.Root, "pods"))
	return err == nil && len(entries) > 0
}
