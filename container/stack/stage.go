package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"podrun/bundle"
)

// stagedDir is where the bundle with the given digest is unpacked to.
func stagedDir(root, digest string) string { return filepath.Join(root, "bundle", digest[:16]) }

// stage makes sure that the archive's files are in stagedDir, and that nobody but root can have put
// them there. Does nothing when there is no archive. Idempotent and safe to call from many
// processes at once: the directory appears as a whole or not at all.
//
//  1. check, and make, the directories on the way
//  2. done when it is there
//  3. take the lock and look again
//  4. unpack beside it, dropping what an interrupted attempt left
//  5. rename
func stage(ctx context.Context, root, archive, digest string) error {
	if archive == "" {
		return nil
	}
	dir := stagedDir(root, digest)
	parent := filepath.Dir(dir)
	for _, d := range []string{root, parent} {
		if err := mkdir(d); err != nil {
			return fmt.Errorf("stage bundle: %w", err)
		}
	}
	if err := trust(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := acquire(ctx, filepath.Join(parent, "lock"))
	if err != nil {
		return fmt.Errorf("stage bundle: %w", err)
	}
	defer l.release()
	if err := trust(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := unpack(dir, archive, digest); err != nil {
		return fmt.Errorf("stage bundle: %w", err)
	}
	return nil
}

// unpack makes dir with the archive's files, all at once. The caller holds the lock.
func unpack(dir, archive, digest string) error {
	tmp := dir + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	if err := bundle.Unpack(tmp, archive, digest); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return bundle.SyncDir(filepath.Dir(dir))
}

// mkdir makes a directory for root alone, and those above it, and refuses one that others can write to.
func mkdir(dir string) error {
	err := trust(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return trust(dir)
}

// trust refuses a directory whose content somebody other than root could have put there.
func trust(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.IsDir():
		return fmt.Errorf("use %s: not a directory", dir)
	case owner != 0 && int(owner) != os.Geteuid():
		return fmt.Errorf("use %s: it belongs to user %d; what is run from it must be root's alone", dir, owner)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("use %s: others may write to it (mode %04o); what is run from it must be root's alone", dir, info.Mode().Perm())
	}
	return nil
}
