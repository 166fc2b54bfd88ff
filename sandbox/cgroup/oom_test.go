package cgroup

import (
	"path/filepath"
	"testing"
)

func TestOOMKills(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n":       2, // v1
		"low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n":           1, // v2
		"low 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n": 0,
		"": 0,
	} {
		if got := oomKills(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestOOMKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for cgroup, kills := range map[string]string{"killed": "oom_kill 1\n", "well": "oom_kill 0\n"} {
		files(t, filepath.Join(dir, "v1", cgroup), map[string]string{"memory.oom_control": kills, "memory.max_usage_in_bytes": "16777216\n"})
		files(t, filepath.Join(dir, "v2", cgroup), map[string]string{"memory.events": kills, "memory.peak": "16777216\n"})
	}
	files(t, filepath.Join(dir, "v2", "unknown"), map[string]string{"memory.events": "oom_kill 1\n"}) // before Linux 5.19
	v1 := &Driver{hierarchies: []hierarchy{
		{path: filepath.Join(dir, "v2"), options: []string{"pids"}}, {path: filepath.Join(dir, "v1"), options: []string{"memory"}}}}
	v2 := &Driver{unified: true, hierarchies: []hierarchy{{path: filepath.Join(dir, "v2")}}}
	for _, test := range []struct {
		driver *Driver
		cgroup string
		killed bool
		peak   int64
	}{
		{v1, "killed", true, 16 << 20}, {v2, "killed", true, 16 << 20}, {v2, "unknown", true, 0},
		{v1, "well", false, 0}, {v2, "well", false, 0}, {v1, "gone", false, 0}, {v2, "gone", false, 0},
	} {
		killed, peak := test.driver.OOMKilled("", test.cgroup)
		if killed != test.killed || peak != test.peak {
			t.Errorf("%s, v2 %v: %v, %d", test.cgroup, test.driver.unified, killed, peak)
		}
	}
}
