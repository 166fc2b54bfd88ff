package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

const (
	// busyTimeout is for how long a mount that is in use is waited for, before it
	// is unmounted lazily.
	busyTimeout = time.Second
	busyPause   = 20 * time.Millisecond
)

// Remove takes away dir with all that is in it. What is mounted below is
// unmounted first, the deepest mount first, and never removed; symbolic links are
// removed and not followed. A directory that is not there is done. Remove can be
// repeated after an error.
func Remove(ctx context.Context, dir string) error {
	if err := unmountBelow(ctx, dir); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := removeAt(parent, filepath.Base(dir)); err != nil {
		return fmt.Errorf("remove %q: %w", dir, err)
	}
	return nil
}

// unmountBelow unmounts what is mounted on dir and below it.
func unmountBelow(ctx context.Context, dir string) error {
	real, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(filepath.Join(real, filepath.Base(dir))))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	// Mounts on top of each other come in the order in which they were mounted.
	slices.Reverse(mounts)
	slices.SortStableFunc(mounts, func(a, b *mountinfo.Info) int {
		return cmp.Compare(strings.Count(b.Mountpoint, "/"), strings.Count(a.Mountpoint, "/"))
	})
	for _, mount := range mounts {
		if err := unmount(ctx, mount.Mountpoint); err != nil {
			return fmt.Errorf("unmount %q: %w", mount.Mountpoint, err)
		}
	}
	return nil
}

// unmount waits for a mount that is busy, but not for ever.
func unmount(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // no mount any more
			return nil
		case !errors.Is(err, unix.EBUSY):
			return err
		}
		select {
		case <-ctx.Done():
			return unix.Unmount(path, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		case <-time.After(busyPause):
		}
	}
}

// removeAt removes the entry name of the directory parent, with all below it.
func removeAt(parent *os.File, name string) error {
	fd := int(parent.Fd())
	err := unix.Unlinkat(fd, name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) {
		return &fs.PathError{Op: "unlink", Path: name, Err: err}
	}
	if err := removeContents(parent, name); err != nil {
		return err
	}
	if err := unix.Unlinkat(fd, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return &fs.PathError{Op: "rmdir", Path: name, Err: err}
	}
	return nil
}

func removeContents(parent *os.File, name string) error {
	dir, err := openDir(parent, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range names {
		errs = append(errs, removeAt(dir, entry))
	}
	return errors.Join(errs...)
}

// openDir opens a directory in parent that is neither a symbolic link nor a mount
// point (EXDEV). Kernels before 5.6 lack openat2; there, only mounts of another
// file system are told apart.
func openDir(parent *os.File, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat2(int(parent.Fd()), name, &unix.OpenHow{
		Flags:   flags,
		Resolve: unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	})
	old := errors.Is(err, unix.ENOSYS)
	if old {
		fd, err = unix.Openat(int(parent.Fd()), name, flags, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	dir := os.NewFile(uintptr(fd), filepath.Join(parent.Name(), name))
	if old && !sameFileSystem(parent, dir) {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: name, Err: unix.EXDEV}, dir.Close())
	}
	return dir, nil
}

func sameFileSystem(a, b *os.File) bool {
	var statA, statB unix.Stat_t
	return unix.Fstat(int(a.Fd()), &statA) == nil && unix.Fstat(int(b.Fd()), &statB) == nil && statA.Dev == statB.Dev
}
