package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

const (
	// killTimeout is for how long Kill waits for processes to be gone.
	killTimeout = 5 * time.Second
	// freezeTimeout is for how long a round of Kill waits for a freezer. A
	// process in the kernel may hold it up; the next round tries again.
	freezeTimeout = 20 * time.Millisecond
)

// Kill ends every process in a pod's cgroup and below, in every hierarchy, and
// returns when none is left; one in an uninterruptible wait makes it fail
// after 5 seconds. A pod without a cgroup has no processes.
func (d *Driver) Kill(uid string) error {
	if !isName(uid) {
		return fmt.Errorf("kill pod %q: not a name", uid)
	}
	if err := d.kill(d.dirs(uid, "")); err != nil {
		return fmt.Errorf("kill pod %q: %w", uid, err)
	}
	return nil
}

// KillContainer is Kill for one of a pod's containers.
func (d *Driver) KillContainer(uid, container string) error {
	if !isName(uid) || !isName(container) {
		return fmt.Errorf("kill container %q of pod %q: not a name", container, uid)
	}
	if err := d.kill(d.dirs(uid, container)); err != nil {
		return fmt.Errorf("kill container %.12s: %w", container, err)
	}
	return nil
}

func (d *Driver) kill(dirs []string) error {
	deadline := time.Now().Add(killTimeout)
	for wait := 500 * time.Microsecond; ; wait = min(2*wait, 50*time.Millisecond) {
		pids, err := processes(dirs)
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v are still there after %v", pids, killTimeout)
		}
		if err := d.signal(dirs); err != nil {
			return err
		}
		time.Sleep(wait)
	}
}

// signal sends SIGKILL to all processes without losing any that is just being
// forked: by one write to the kernel or, before Linux 5.14 and on v1, while
// they are frozen.
func (d *Driver) signal(dirs []string) error {
	if !d.unified {
		return freezerV1.kill(dirs)
	}
	sent := false
	for _, dir := range dirs {
		err := cgroups.WriteFile(dir, "cgroup.kill", "1")
		sent = sent || err == nil
		if err != nil && !gone(err) {
			return err
		}
	}
	if sent {
		return nil
	}
	return freezerV2.kill(dirs)
}

// freezer is how processes are kept from running.
type freezer struct {
	file, freeze, thaw string // the file to write
	state, frozen      string // the file to read, and what it says in the end
}

var (
	freezerV1 = freezer{"freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN"}
	freezerV2 = freezer{"cgroup.freeze", "1", "0", "cgroup.events", "frozen 1"}
)

// kill signals all processes at and below dirs while they are frozen, so that
// none is forked unseen, and no number that was read can come to mean another
// process.
func (f freezer) kill(dirs []string) error {
	var stopped []string
	for _, dir := range dirs {
		if f.stop(dir) {
			stopped = append(stopped, dir)
		}
	}
	var errs []error
	pids, err := processes(dirs)
	errs = append(errs, err)
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
			errs = append(errs, fmt.Errorf("signal process %d: %w", pid, err))
		}
	}
	for _, dir := range stopped { // frozen processes of v1 do not die
		errs = append(errs, f.resume(dir))
	}
	return errors.Join(errs...)
}

// stop freezes a cgroup, if it is in a hierarchy with freezers. It waits for
// a bounded time: a round with processes that still run loses but a round.
func (f freezer) stop(dir string) bool {
	if cgroups.WriteFile(dir, f.file, f.freeze) != nil {
		return false
	}
	for deadline := time.Now().Add(freezeTimeout); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		if state, err := cgroups.ReadFile(dir, f.state); err != nil || strings.Contains(state, f.frozen) {
			break
		}
	}
	return true
}

// resume thaws a cgroup and all below it: one there may have been frozen by
// somebody else.
func (f freezer) resume(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = cgroups.WriteFile(path, f.file, f.thaw)
		}
		if gone(err) {
			return nil
		}
		return err
	})
}

// processes lists all that are at and below dirs.
func processes(dirs []string) ([]int, error) {
	var pids []int
	for _, dir := range dirs {
		found, err := cgroups.GetAllPids(dir)
		if err != nil && !gone(err) {
			return nil, err
		}
		pids = append(pids, found...)
	}
	slices.Sort(pids)
	pids = slices.Compact(pids)
	if len(pids) > 0 && pids[0] <= 0 { // to signal 0 is to signal oneself
		return nil, errors.New("a process is in another pid namespace")
	}
	return pids, nil
}

// Remove kills what is left of a pod's processes and removes its cgroup with
// all below it from every hierarchy, and then the levels above if they are
// empty, whichever driver made them. A pod without a cgroup is removed already.
func (d *Driver) Remove(uid string) error {
	if !isName(uid) {
		return fmt.Errorf("remove cgroup of pod %q: not a name", uid)
	}
	var errs []error
	for _, d := range d.both() {
		if d.systemd {
			errs = append(errs, d.removeSlice(uid))
		} else {
			errs = append(errs, d.remove(uid))
		}
	}
	return errors.Join(errs...)
}

// remove is Remove for a pod's cgroups that systemd does not know.
func (d *Driver) remove(uid string) error {
	var dirs []string
	for _, h := range d.hierarchies {
		for _, level := range levels {
			dir := filepath.Join(h.path, d.path(level, uid))
			err := unix.Rmdir(dir) // all there is to do when its containers are gone
			if err != nil && !gone(err) {
				dirs = append(dirs, dir)
			}
		}
	}
	if len(dirs) > 0 {
		if err := d.Kill(uid); err != nil {
			return err
		}
	}
	var errs []error
	for _, dir := range dirs {
		if err := cgroups.RemovePath(dir); err != nil { // retries for about a second
			errs = append(errs, fmt.Errorf("remove cgroup: %w", err))
		}
	}
	return errors.Join(append(errs, d.tidy())...)
}

// tidy removes the levels that hold no pods, and weighs the one that depends
// on its pods.
func (d *Driver) tidy() error {
	for _, h := range d.hierarchies {
		for _, level := range slices.Backward(levels) {
			dir := d.path(level, "")
			err := unix.Rmdir(filepath.Join(h.path, dir))
			if err != nil && !gone(err) && err != unix.EBUSY && err != unix.ENOTEMPTY {
				return fmt.Errorf("remove cgroup %s: %w", dir, err)
			}
		}
	}
	if err := d.weigh(); err != nil && !gone(err) {
		return fmt.Errorf("weigh burstable pods: %w", err)
	}
	return nil
}
