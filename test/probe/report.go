package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"podrun/test/report"
)

// look reports what this process sees now, and the content of files.
func look(files []string) report.Report {
	r := report.Report{
		Args: os.Args, Env: os.Environ(), PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(),
		Time: time.Now(), Files: map[string]report.File{}, Mounts: map[string]string{},
	}
	r.Groups, _ = os.Getgroups()
	r.Dir, _ = os.Getwd()
	r.Hostname, _ = os.Hostname()
	for _, ns := range []string{"net", "ipc", "uts", "pid", "mnt", "cgroup"} {
		link, _ := os.Readlink("/proc/self/ns/" + ns)
		r.Namespaces = append(r.Namespaces, link)
	}
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			r.Descriptors = append(r.Descriptors, filepath.Base(fd)+" "+target)
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 3 {
			r.Mounts[f[1]] = f[2] + " " + f[3]
		}
	}
	for _, path := range files {
		r.Files[path] = file(path)
	}
	return r
}

func file(path string) report.File {
	info, err := os.Stat(path)
	if err != nil {
		return report.File{Error: err.Error()}
	}
	f := report.File{Mode: info.Mode().String()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.UID, f.GID = int(st.Uid), int(st.Gid)
	}
	if info.Mode().IsRegular() {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Error = err.Error()
		}
		f.Data = string(data)
	}
	return f
}
