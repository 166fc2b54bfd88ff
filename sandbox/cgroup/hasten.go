package cgroup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

const (
	// hastenPause is less than a grace period of RCU, which takes two ticks of the
	// kernel's clock at least.
	hastenPause = 4 * time.Millisecond
	// hastenTime is when a runtime is slow for other reasons, and how long a move
	// that hangs is waited for.
	hastenTime = time.Second
)

// Hasten makes it quick to move processes between cgroups, until stop is called
// or a second has passed. When none has been moved for some milliseconds, the
// kernel makes who moves one wait for all processors (a grace period of RCU, about
// 10 ms); who moves the next one shortly afterwards need not wait. While a runtime
// still prepares the process that it is going to move, Hasten is that first one:
// it moves a thread of this process to where it is. (The mount option favordynmods
// would have the same effect, on the whole machine and at all times.)
//
// It is best begun when nobody is about to make a cgroup, which waits as well.
// Where nothing can be moved, it does nothing.
func (d *Driver) Hasten() (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		d.keepMoving(stopped)
	}()
	return func() {
		close(stopped)
		select {
		case <-ended:
		case <-time.After(hastenTime):
		}
	}
}

func (d *Driver) keepMoving(stopped <-chan struct{}) {
	// With v1 it is this thread alone: others may just be on their way into
	// podrun's own cgroup, to start a process there.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	list, id, err := d.own()
	if err != nil {
		return
	}
	file, err := os.OpenFile(list, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer file.Close()
	tick := time.NewTicker(hastenPause)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < hastenTime; {
		if _, err := file.WriteString(id); err != nil {
			return
		}
		select {
		case <-stopped:
			return
		case <-tick.C:
		}
	}
}

// own is the list of a cgroup, and what to write there to move the calling thread,
// with v2 its process, to where it is. Any hierarchy will do: all share the lock
// that is waited for.
func (d *Driver) own() (list, id string, err error) {
	paths, err := cgroups.ParseCgroupFile("/proc/thread-self/cgroup")
	if err != nil {
		return "", "", err
	}
	pid := strconv.Itoa(os.Getpid())
	list, id = "tasks", strconv.Itoa(unix.Gettid())
	if d.unified {
		list, id = "cgroup.procs", pid
	}
	for _, h := range d.hierarchies {
		names := h.options
		if d.unified {
			names = []string{""}
		}
		for _, name := range names {
			path, ok := paths[name]
			if !ok {
				continue
			}
			// What is mounted may be another part of the tree than is told.
			dir := filepath.Join(h.path, path)
			if pids, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err == nil && slices.Contains(strings.Fields(string(pids)), pid) {
				return filepath.Join(dir, list), id, nil
			}
		}
	}
	return "", "", fmt.Errorf("find own cgroup: %w", fs.ErrNotExist)
}
