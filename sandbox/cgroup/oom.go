package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// OOMKilled says whether the kernel killed a process of a pod's container for
// want of memory, and the most that the container had at a time, in bytes, zero
// if that cannot be told (v2 before Linux 5.19; with systemd). It is asked once
// the container has ended, with its exit code, and may be asked again. With
// systemd, two that are killed at the same moment cannot be told apart: either
// may be the one.
func (d *Driver) OOMKilled(pod *v1.Pod, container string, exitCode int) (killed bool, peak int64) {
	dir, err := d.dir("memory", d.ContainerPath(pod, container))
	if err != nil {
		return false, 0
	}
	kills, err := d.oomKills(dir)
	if d.systemd && gone(err) {
		return exitCode == killedCode && d.blamed(filepath.Dir(dir), container), 0
	}
	if kills == 0 {
		return false, 0
	}
	if d.systemd {
		blame(filepath.Dir(dir), container, kills)
	}
	name := "memory.max_usage_in_bytes"
	if d.unified {
		name = "memory.peak"
	}
	text, _ := os.ReadFile(filepath.Join(dir, name))
	peak, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return true, peak
}

// killedCode is how a container ends of which all processes are killed at once, as
// for want of memory on v2.
const killedCode = 128 + int(unix.SIGKILL)

// oomKills is how many processes of a cgroup, and on v2 of those below it, the
// kernel killed for want of memory. v1 tells since Linux 4.13.
func (d *Driver) oomKills(dir string) (int, error) {
	name := "memory.oom_control"
	if d.unified {
		name = "memory.events"
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, err
	}
	value, err := field(string(text), "oom_kill")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(value))
}

// blamePrefix begins the extended attributes of a pod's cgroup that say how many
// processes a container had killed whose own cgroup is gone, or soon will be.
const blamePrefix = "user.podrun.oom_kill."

// blamed is for containers whose cgroup systemd removes at once when they have
// ended: the pod's still counts whom the kernel killed. What neither the cgroups
// that there are nor the containers that were asked for before account for, was
// this container's. That is kept with the pod's cgroup, so that the answer stays.
func (d *Driver) blamed(podDir, container string) bool {
	rest, err := d.oomKills(podDir)
	if err != nil || rest == 0 {
		return false
	}
	known, err := blames(podDir)
	if err != nil {
		return false
	}
	if kills, ok := known[container]; ok {
		return kills > 0
	}
	for _, kills := range known {
		rest -= kills
	}
	entries, err := os.ReadDir(podDir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		id := strings.TrimSuffix(strings.TrimPrefix(e.Name(), scopePrefix+"-"), ".scope")
		if _, counted := known[id]; e.IsDir() && !counted {
			kills, _ := d.oomKills(filepath.Join(podDir, e.Name()))
			rest -= kills
		}
	}
	rest = max(rest, 0)
	blame(podDir, container, rest)
	return rest > 0
}

// blame keeps how many processes of a container were killed.
func blame(podDir, container string, kills int) {
	_ = unix.Setxattr(podDir, blamePrefix+container, []byte(strconv.Itoa(kills)), 0)
}

// blames is what was kept, by container.
func blames(podDir string) (map[string]int, error) {
	size, err := unix.Listxattr(podDir, nil)
	if err != nil {
		return nil, err
	}
	names := make([]byte, size)
	if size, err = unix.Listxattr(podDir, names); err != nil {
		return nil, err
	}
	known := map[string]int{}
	for name := range strings.SplitSeq(string(names[:size]), "\x00") {
		container, ok := strings.CutPrefix(name, blamePrefix)
		if !ok {
			continue
		}
		var value [32]byte
		n, err := unix.Getxattr(podDir, name, value[:])
		if err != nil {
			return nil, err
		}
		if known[container], err = strconv.Atoi(string(value[:n])); err != nil {
			return nil, err
		}
	}
	return known, nil
}
