package cgroup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
)

// hastenPause is less than a grace period of RCU, which takes two ticks of the
// kernel's clock at least.
const hastenPause = 4 * time.Millisecond

// Hasten makes it quick to move processes between cgroups until stop is called.
// When none has been moved for some milliseconds, the kernel makes who moves one
// wait for all processors (a grace period of RCU, about 10 ms); who moves the
// next one shortly afterwards need not wait. While a runtime still prepares the
// process that it is going to move, Hasten is that first one: it moves this
// process to where it is. (The mount option favordynmods would have the same
// effect, on the whole machine and at all times.)
//
// It is best begun when nobody is about to make a cgroup, which waits as well.
// Where this process cannot be moved, it does nothing.
func (d *Driver) Hasten() (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		d.keepMoving(stopped)
	}()
	return func() {
		close(stopped)
		<-ended
	}
}

func (d *Driver) keepMoving(stopped <-chan struct{}) {
	procs, err := d.own()
	if err != nil {
		return
	}
	file, err := os.OpenFile(procs, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer file.Close()
	pid := []byte(strconv.Itoa(os.Getpid()))
	tick := time.NewTicker(hastenPause)
	defer tick.Stop()
	for {
		if _, err := file.Write(pid); err != nil {
			return
		}
		select {
		case <-stopped:
			return
		case <-tick.C:
		}
	}
}

// own is the list of processes that this one is in, in one of the hierarchies:
// all share the lock that is waited for.
func (d *Driver) own() (string, error) {
	paths, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	pid := strconv.Itoa(os.Getpid())
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
			procs := filepath.Join(h.path, path, "cgroup.procs")
			if pids, err := os.ReadFile(procs); err == nil && slices.Contains(strings.Fields(string(pids)), pid) {
				return procs, nil
			}
		}
	}
	return "", fmt.Errorf("find own cgroup: %w", fs.ErrNotExist)
}
