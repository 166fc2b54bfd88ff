package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep removes what a bundled containerd that was killed left of the tasks of a namespace, and
// never looks at again: the directories of tasks of which there is no container any more. known
// returns the IDs of the containers that there are; it is asked after the directories were looked
// at, since a container comes before its task and goes after it. What another containerd has is
// left alone. Idempotent.
func Sweep(cfg Config, namespace string, known func() (map[string]bool, error)) error {
	if !cfg.bundled() {
		return nil
	}
	var dirs []string
	for _, all := range taskDirs(cfg, namespace, "*") { // the hidden ones, too
		found, err := filepath.Glob(all)
		if err != nil {
			return err
		}
		dirs = append(dirs, found...)
	}
	if len(dirs) == 0 {
		return nil
	}
	ids, err := known()
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		if !ids[filepath.Base(dir)] {
			errs = append(errs, removeTask(dir))
		}
	}
	return errors.Join(errs...)
}

// Forget removes what a bundled containerd left of one task, of which it knows no more: one that
// was killed, or one that failed to remove a directory. A containerd that sees a shim gone takes its
// tasks away by itself: it is waited for, since the next task of that ID will be in the same place.
// Idempotent.
func Forget(ctx context.Context, cfg Config, namespace, id string) error {
	if !cfg.bundled() {
		return nil
	}
	// What comes into a hidden directory while it is being removed stays, and it with that.
	dirs := slices.Concat(taskDirs(cfg, namespace, id), taskDirs(cfg, namespace, "."+id))
	for deadline := time.Now().Add(cleanUpTime); time.Now().Before(deadline); {
		dirs = slices.DeleteFunc(dirs, func(dir string) bool {
			_, err := os.Lstat(dir)
			return errors.Is(err, fs.ErrNotExist)
		})
		if len(dirs) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(cleanUpPoll):
		}
	}
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, removeTask(dir))
	}
	return errors.Join(errs...)
}

const (
	// cleanUpTime is longer than containerd itself lets the cleaning up after a shim take: 5 s.
	cleanUpTime = 6 * time.Second
	cleanUpPoll = 10 * time.Millisecond
)

// taskDirs are the two directories that containerd has for a task. It hides one by a dot before it
// removes it.
func taskDirs(cfg Config, namespace, id string) []string {
	const tasks = "io.containerd.runtime.v2.task"
	return []string{filepath.Join(cfg.state(), tasks, namespace, id), filepath.Join(cfg.data(), tasks, namespace, id)}
}

// removeTask removes the directory of a task that is gone. A directory that something is still
// mounted on cannot go, and nothing behind it must.
func removeTask(dir string) error {
	rootfs := filepath.Join(dir, "rootfs")
	err := unix.Unmount(rootfs, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		err = os.Remove(rootfs)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return fmt.Errorf("remove what is left of a task: %w", err)
	}
	return nil
}
