package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// expandSubPath fills the variables of a container into a subPathExpr. A
// variable that is not set or empty is an error (kubelet:
// ExpandContainerVolumeMounts).
func expandSubPath(expression string, variables map[string]string) (string, error) {
	var missing []string
	expanded := expansion.Expand(expression, func(name string) string {
		if variables[name] == "" {
			missing = append(missing, name)
		}
		return variables[name]
	})
	if len(missing) > 0 {
		slices.Sort(missing)
		return "", fmt.Errorf("missing value for %s", strings.Join(slices.Compact(missing), ", "))
	}
	return expanded, nil
}

// checkSubPath refuses what leads out of a volume by its text alone; the texts
// are the kubelet's.
func checkSubPath(path string) error {
	if filepath.IsAbs(path) {
		return fmt.Errorf("error SubPath `%s` must not be an absolute path", path)
	}
	if slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("unable to provision SubPath `%s`: must not contain '..'", path)
	}
	return nil
}

// mountSubPath mounts what is at a path inside of a volume on target. The path
// is walked once, inside of the volume only, whatever is done to it meanwhile;
// what was opened then is what is mounted. A directory is made when there is
// nothing, with the mode of the volume's root.
func mountSubPath(vol Volume, path, target string) error {
	dir, err := vol.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	found, err := openBelow(dir, path)
	if errors.Is(err, fs.ErrNotExist) {
		found, err = makeBelow(dir, path)
	}
	if err != nil {
		return err
	}
	defer found.Close()
	if err := makeTarget(found, target); err != nil {
		return err
	}
	source := fmt.Sprintf("/proc/self/fd/%d", found.Fd())
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

// openTries bounds how often a path is walked again because something on it was
// renamed meanwhile.
const openTries = 100

// openBelow opens what is at a path below dir, for its place alone. Symbolic
// links are followed as long as they stay below.
func openBelow(dir *os.File, path string) (found *os.File, err error) {
	for range openTries {
		found, err = openPath(int(dir.Fd()), path, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_MAGICLINKS)
		if !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return found, err
}

func openPath(dir int, path string, resolve uint64) (*os.File, error) {
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// makeBelow makes the directories of a path that are missing below dir.
func makeBelow(dir *os.File, path string) (*os.File, error) {
	var root unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &root); err != nil {
		return nil, err
	}
	parent, err := openBelow(dir, ".")
	if err != nil {
		return nil, err
	}
	names := strings.Split(filepath.Clean(path), "/")
	for i, name := range names {
		next, err := openBelow(dir, filepath.Join(names[:i+1]...))
		if errors.Is(err, fs.ErrNotExist) {
			next, err = makeIn(parent, name, root.Mode&0o7777)
		}
		parent.Close()
		if err != nil {
			return nil, err
		}
		parent = next
	}
	return parent, nil
}

// makeIn makes a directory with exactly that mode, and opens what was made.
func makeIn(parent *os.File, name string, mode uint32) (*os.File, error) {
	fd := int(parent.Fd())
	if err := unix.Mkdirat(fd, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &fs.PathError{Op: "make", Path: name, Err: err}
	}
	made, err := openPath(fd, name, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return nil, err
	}
	// By way of /proc, since an O_PATH descriptor has no mode to change.
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", made.Fd()), mode); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return made, nil
}

// makeTarget makes what is mounted on: a directory or a file. A mount that is
// there already, of an earlier instance of the container, gives way.
func makeTarget(found *os.File, target string) error {
	for {
		err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmount: %w", err)
		}
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(found.Fd()), &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return os.Mkdir(target, 0o750)
	}
	file, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	return file.Close()
}
