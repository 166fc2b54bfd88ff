package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NetNSPath is where the network namespace of a pod is mounted.
func NetNSPath(runDir, uid string) string { return filepath.Join(runDir, "netns", uid) }

// CreateNetNS makes a network namespace with lo up, and mounts it on path. One
// that is there already is kept.
func CreateNetNS(path string) error {
	if isNetNS(path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := onOwnThread(func() error { return mountNewNetNS(path) }); err != nil {
		return fmt.Errorf("make network namespace %q: %w", path, err)
	}
	return nil
}

// onOwnThread runs do on a thread that ends with it, so that nothing else is ever
// run in a namespace that do enters. The main thread never ends, and stands for the
// whole process in /proc; when it is picked, another is taken.
func onOwnThread(do func() error) error {
	done := make(chan error)
	go func() {
		defer close(done) // do may end its goroutine, as a test does that fails
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			err := onOwnThread(do)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// mountNewNetNS leaves the calling thread in the new namespace. The mount comes
// last: what is mounted is complete.
func mountNewNetNS(path string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

// RemoveNetNS unmounts a network namespace, which ends with the last process in
// it. What is not there is done.
func RemoveNetNS(path string) error {
	for {
		err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // no mount any more
			break
		}
		if err != nil {
			return fmt.Errorf("unmount network namespace %q: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isNetNS tells a mounted network namespace from a file that is only its place.
func isNetNS(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.NSFS_MAGIC
}
