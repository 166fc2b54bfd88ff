package leakcheck

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// runtimes are the programs that podrun or a containerd may start; a process
// of one of them is listed wherever it came from.
var runtimes = []string{
	"podrun", "containerd", "containerd-shim-runc-v2", "runc", "pause",
	"bridge", "host-local", "loopback", "portmap",
}

// Process is what /proc says of one process. Everything that cannot be read,
// because the process is a zombie or just went away, is empty.
type Process struct {
	PID    int
	Exe    string   // the executable's path
	Args   []string // the command line
	Cgroup string   // the first of its cgroups that is not the root
}

// Of says whether the process is in a cgroup of a pod, by the pod's UID.
func (p Process) Of(uid string) bool { return mentions(p.Cgroup, uid) }

// Processes lists all processes but kernel threads, zombies (which hold
// nothing any more) and this one.
func Processes() ([]Process, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var out []Process
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p := process(pid); len(p.Args) > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

func process(pid int) Process {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	if len(cmdline) == 0 {
		return Process{PID: pid}
	}
	exe, _ := os.Readlink(filepath.Join(dir, "exe"))
	groups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
	return Process{
		PID:    pid,
		Exe:    strings.TrimSuffix(exe, " (deleted)"),
		Args:   strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00"),
		Cgroup: podCgroup(string(groups)),
	}
}

// podCgroup returns the cgroup of a pod that a process is in, out of the lines
// of /proc/PID/cgroup; "" when it is in none.
func podCgroup(lines string) string {
	for line := range strings.Lines(lines) {
		// hierarchy-ID:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && strings.HasPrefix(parts[2], "/podrun") {
			return parts[2]
		}
	}
	return ""
}

// add puts the process into the listing. Its number is left out: the same
// program in the same place is the same thing, started anew or not.
func (p Process) add(l Listing) {
	l.addf("process %s cgroup=%s", strings.Join(p.Args, " "), p.Cgroup)
}

// Names says whether the executable or the command line lies in, or speaks of,
// one of dirs.
func (p Process) Names(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return strings.HasPrefix(p.Exe, dir+"/") ||
			slices.ContainsFunc(p.Args, func(arg string) bool { return strings.Contains(arg, dir) })
	})
}

// addRuntimes lists the processes in podrun's cgroups and those of container
// software.
func addRuntimes(_ context.Context, l Listing) error {
	all, err := Processes()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Cgroup != "" || slices.Contains(runtimes, filepath.Base(p.Exe)) {
			p.add(l)
		}
	}
	return nil
}
