package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// leaf is the cgroup of podrun's own processes (containerd, shims, supervisors) below the root of
// every hierarchy: beside the pods', and a leaf, because on v2 a cgroup that hands controllers to
// its children can hold no processes.
const leaf = "podrun/system"

// Start starts a command in podrun's own cgroup, in every hierarchy of v1, systemd's included, and of
// v2: it does not end with the session, service or script that podrun was started from. The
// processes that it starts follow it.
//
// A hierarchy that refuses is passed over: it is no reason for not starting.
func Start(cmd *exec.Cmd) error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	started := make(chan error)
	go func() { started <- startOutside(cmd, mounts) }()
	return <-started
}

// startOutside takes the calling thread alone into the cgroups of v1, for the child to be born
// there: that is cheap, where moving a process makes the kernel wait for all processors. The thread
// ends with the goroutine, unless it is the main one, which must stay as it is.
func startOutside(cmd *exec.Cmd, mounts []*mountinfo.Info) error {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		started := make(chan error)
		go func() { started <- startOutside(cmd, mounts) }()
		return <-started
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	for _, m := range mounts {
		dir, err := makeLeaf(m)
		if errors.Is(err, fs.ErrNotExist) { // removed by a Stop between two of the steps
			dir, err = makeLeaf(m)
		}
		if err != nil {
			continue
		}
		if m.FSType != "cgroup2" {
			_ = os.WriteFile(filepath.Join(dir, "tasks"), []byte("0"), 0)
			continue
		}
		if file, err := os.Open(dir); err == nil {
			defer file.Close()
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(file.Fd())
		}
	}
	err := cmd.Start()
	if err != nil && cmd.SysProcAttr.UseCgroupFD { // before Linux 5.7
		cmd.SysProcAttr.UseCgroupFD = false
		err = cmd.Start()
	}
	return err
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

// makeLeaf makes the leaf in a hierarchy and returns its path.
func makeLeaf(m *mountinfo.Info) (string, error) {
	dir := m.Mountpoint
	for _, name := range strings.Split(leaf, "/") {
		parent := dir
		dir = filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		if m.FSType == "cgroup2" {
			continue
		}
		if err := inheritCpuset(parent, dir); err != nil {
			return "", err
		}
	}
	return dir, nil
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
			err := removeEmpty(path)
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

const (
	// dyingTime bounds how long a cgroup may stay busy with processes that have ended already: the
	// kernel lets go of them a moment after it has told of their end.
	dyingTime = time.Second
	dyingPoll = time.Millisecond
)

// removeEmpty removes a cgroup without processes and children. One that has either is busy, at once.
func removeEmpty(path string) error {
	for deadline := time.Now().Add(dyingTime); ; time.Sleep(dyingPoll) {
		err := unix.Rmdir(path)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) || inhabited(path) {
			return err
		}
	}
}

// inhabited reports whether a cgroup has living processes or children.
func inhabited(path string) bool {
	pids, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
	if err != nil || len(pids) > 0 {
		return true
	}
	entries, err := os.ReadDir(path)
	return err != nil || slices.ContainsFunc(entries, fs.DirEntry.IsDir)
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
