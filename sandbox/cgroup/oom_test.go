package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestOOMKills(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]int{
		"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n":       2, // v1
		"low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n":           1, // v2
		"low 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n": 0,
		"": 0,
	} {
		files(t, dir, map[string]string{"memory.events": text})
		if got, _ := (&Driver{unified: true}).oomKills(dir); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestOOMKilled(t *testing.T) {
	t.Parallel()
	pod := podOf()
	pod.UID = "1"
	dir, level := t.TempDir(), "pods/besteffort/pod1"
	for cgroup, kills := range map[string]string{"killed": "oom_kill 1\n", "well": "oom_kill 0\n"} {
		files(t, filepath.Join(dir, "v1", level, cgroup), map[string]string{"memory.oom_control": kills, "memory.max_usage_in_bytes": "16777216\n"})
		files(t, filepath.Join(dir, "v2", level, cgroup), map[string]string{"memory.events": kills, "memory.peak": "16777216\n"})
	}
	files(t, filepath.Join(dir, "v2", level, "unknown"), map[string]string{"memory.events": "oom_kill 1\n"}) // before Linux 5.19
	v1 := &Driver{root: "pods", hierarchies: []hierarchy{
		{path: filepath.Join(dir, "v2"), options: []string{"pids"}}, {path: filepath.Join(dir, "v1"), options: []string{"memory"}}}}
	v2 := &Driver{root: "pods", unified: true, hierarchies: []hierarchy{{path: filepath.Join(dir, "v2")}}}
	for _, test := range []struct {
		driver *Driver
		cgroup string
		killed bool
		peak   int64
	}{
		{v1, "killed", true, 16 << 20}, {v2, "killed", true, 16 << 20}, {v2, "unknown", true, 0},
		{v1, "well", false, 0}, {v2, "well", false, 0}, {v1, "gone", false, 0}, {v2, "gone", false, 0},
	} {
		killed, peak := test.driver.OOMKilled(pod, test.cgroup, 137)
		if killed != test.killed || peak != test.peak {
			t.Errorf("%s, v2 %v: %v, %d", test.cgroup, test.driver.unified, killed, peak)
		}
	}
}

// A container whose cgroup systemd has removed is found by what its pod counts
// and nobody else has.
func TestOOMKilledWithoutCgroup(t *testing.T) {
	t.Parallel()
	pod := podOf()
	pod.UID = "1"
	dir := t.TempDir()
	d := &Driver{root: "pods", unified: true, systemd: true, hierarchies: []hierarchy{{path: dir}}}
	podDir := filepath.Join(dir, d.Path(pod))
	kills := func(cgroup string, count int) {
		t.Helper()
		files(t, filepath.Join(podDir, cgroup), map[string]string{"memory.events": fmt.Sprintf("oom_kill %d\n", count)})
	}
	check := func(container string, want bool) {
		t.Helper()
		for range 2 { // the answer stays
			if killed, _ := d.OOMKilled(pod, container, 137); killed != want {
				t.Errorf("%s: %v, want %v", container, killed, want)
			}
		}
	}
	kills("", 0)
	check("well", false)
	kills("podrun-lives.scope", 1)
	kills("", 1)
	check("ended", false)
	kills("", 3)
	check("killed", true)
	check("later", false)
	kills("podrun-seen.scope", 2)
	kills("", 5)
	check("seen", true)
	check("after", false)
	if err := os.RemoveAll(filepath.Join(podDir, "podrun-seen.scope")); err != nil {
		t.Fatal(err)
	}
	check("last", false)
	kills("", 6)
	if killed, _ := d.OOMKilled(pod, "failed", 1); killed {
		t.Error("one that failed by itself was killed")
	}
	check("last one", true)
	check("killed", true)
}
