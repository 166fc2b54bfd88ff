package report

import "time"

// Report is one look at the world.
type Report struct {
	Args, Env   []string
	Dir         string
	PID         int
	UID, GID    int
	Groups      []int
	Hostname    string
	Namespaces  []string          // net, ipc, uts, pid, mnt, cgroup, as the kernel names them
	Descriptors []string          // number and target of each open file
	Mounts      map[string]string // type and options by mount point
	Files       map[string]File   // the files that were asked for
	Time        time.Time
}

// File is one file; Error is set when it cannot be read.
type File struct {
	Mode     string
	UID, GID int
	Data     string
	Error    string
}
