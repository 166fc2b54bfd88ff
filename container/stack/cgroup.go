package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// leaf is the cgroup of podrun's own processes (containerd, shims, supervisors) below the root of
// every hierarchy: beside the pods', and a leaf, because on v2 a cgroup that hands controllers to
// its children can hold no processes.
const leaf = "podrun/system"

// LeaveCaller moves a process into podrun's own cgroup in every hierarchy of v1, systemd's
// included, and of v2. It then no longer ends with the session, service or script that started it.
// The processes that it starts from then on follow it.
//
// Goes on past a hierarchy that refuses and returns those refusals joined: mostly none of the
// caller's business.
func LeaveCaller(pid int) error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mounts {
		err := enter(m, pid)
		if errors.Is(err, fs.ErrNotExist) { // removed by a Stop between two of the steps
			err = enter(m, pid)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("move process %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}

// Retire takes the calling process out of podrun's own cgroup again, when it is about to end, and
// removes the cgroup if nobody else is in it.
func Retire() error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mounts {
		err := os.WriteFile(filepath.Join(m.Mountpoint, "cgroup.procs"), []byte("0"), 0)
		if err != nil {
			errs = append(errs, fmt.Errorf("leave cgroup: %w", err))
		}
	}
	return errors.Join(append(errs, removeCgroup())...)
}

// enter makes the leaf in a hierarchy and moves a process into it.
func enter(m *mountinfo.Info, pid int) error {
	dir := m.Mountpoint
	for _, name := range strings.Split(leaf, "/") {
		parent := dir
		dir = filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if m.FSType == "cgroup2" {
			continue
		}
		if err := inheritCpuset(parent, dir); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// inheritCpuset gives a cgroup of the cpuset controller of v1 its parent's processors and memory nodes:
// it starts with none, and takes no process until it has some.
func inheritCpuset(parent, dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) { // another controller
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(own)) != "" {
			continue
		}
		above, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), above, 0); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroup removes the leaf and its parent wherever they are empty.
func removeCgroup() error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mounts {
		for dir := leaf; dir != "."; dir = filepath.Dir(dir) {
			path := filepath.Join(m.Mountpoint, dir)
			err := unix.Rmdir(path)
			if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EROFS) {
				break
			}
			if err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove cgroup %s: %w", path, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// hierarchies returns one mount of each cgroup hierarchy.
func hierarchies() ([]*mountinfo.Info, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	seen := map[[2]int]bool{}
	return slices.DeleteFunc(mounts, func(m *mountinfo.Info) bool {
		device := [2]int{m.Major, m.Minor}
		again := seen[device]
		seen[device] = true
		return again
	}), nil
}
