package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// OOMKilled says whether the kernel killed a process of a cgroup for want of
// memory, and the most that the cgroup had at a time, in bytes, zero if the
// kernel does not tell (v2 before Linux 5.19). parent is a pod's, as Parent
// returns it; a cgroup that is gone was not told of.
func (d *Driver) OOMKilled(parent, container string) (killed bool, peak int64) {
	for _, h := range d.hierarchies {
		name, most := "memory.oom_control", "memory.max_usage_in_bytes" // the first has the counter since Linux 4.13
		if d.unified {
			name, most = "memory.events", "memory.peak"
		} else if !h.has("memory") {
			continue
		}
		dir := filepath.Join(h.path, parent, container)
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || oomKills(string(text)) == 0 {
			continue
		}
		bytes, _ := os.ReadFile(filepath.Join(dir, most))
		peak, _ = strconv.ParseInt(strings.TrimSpace(string(bytes)), 10, 64)
		return true, peak
	}
	return false, 0
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
