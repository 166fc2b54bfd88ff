package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// OOMKilled says whether the kernel killed a process of a cgroup for want of
// memory. parent is a pod's, as Parent returns it; a cgroup that is gone was
// not told of.
func (d *Driver) OOMKilled(parent, container string) bool {
	for _, h := range d.hierarchies {
		name := "memory.oom_control" // it has the counter since Linux 4.13
		if d.unified {
			name = "memory.events"
		} else if !h.has("memory") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(h.path, parent, container, name))
		if err == nil {
			return oomKills(string(text)) > 0
		}
	}
	return false
}

// oomKills reads the counter of a file of "name value" lines.
func oomKills(text string) int {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
			count, _ := strconv.Atoi(strings.TrimSpace(value))
			return count
		}
	}
	return 0
}
