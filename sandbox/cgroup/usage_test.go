package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// files makes a cgroup out of plain files.
func files(t *testing.T, path string, contents map[string]string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range contents {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// drivers are one of each version, over plain files with the same usage.
func drivers(t *testing.T, limitV1, limitV2 string) map[string]*Driver {
	t.Helper()
	dir := t.TempDir()
	files(t, filepath.Join(dir, "cpu,cpuacct/p/c"), map[string]string{"cpuacct.usage": "1500000000\n"})
	files(t, filepath.Join(dir, "pids/p/c"), map[string]string{"pids.current": "7\n"})
	files(t, filepath.Join(dir, "memory/p/c"), map[string]string{
		"memory.usage_in_bytes": "5000000\n",
		"memory.stat":           "cache 4000000\nrss 1000000\ninactive_file 1\nhierarchical_memory_limit 9\ntotal_cache 4000000\ntotal_inactive_file 3000000\n",
		"memory.limit_in_bytes": limitV1,
	})
	files(t, filepath.Join(dir, "unified/p/c"), map[string]string{
		"cpu.stat":       "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
		"memory.current": "5000000\n",
		"memory.stat":    "anon 1000000\nfile 4000000\ninactive_anon 5\ninactive_file 3000000\n",
		"memory.max":     limitV2,
		"pids.current":   "7\n",
	})
	return map[string]*Driver{
		"v1": {hierarchies: []hierarchy{
			{path: filepath.Join(dir, "unified")},
			{path: filepath.Join(dir, "cpu,cpuacct"), options: []string{"rw", "cpu", "cpuacct"}},
			{path: filepath.Join(dir, "memory"), options: []string{"rw", "memory"}},
			{path: filepath.Join(dir, "pids"), options: []string{"rw", "pids"}},
		}},
		"v2": {unified: true, hierarchies: []hierarchy{{path: filepath.Join(dir, "unified")}}},
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limitV1, limitV2 string
		limit            uint64
	}{
		{"67108864\n", "67108864\n", 64 << 20},
		{"9223372036854771712\n", "max\n", 0},
		{"9223372036854710272\n", "max\n", 0}, // pages of 64 KiB
	} {
		for version, d := range drivers(t, c.limitV1, c.limitV2) {
			got, err := d.Usage("/p/c")
			want := Usage{CPU: 1500 * time.Millisecond, Memory: 5000000, WorkingSet: 2000000, Limit: c.limit, PIDs: 7}
			if err != nil || got != want {
				t.Errorf("%s: %+v, %v", version, got, err)
			}
			if _, err := d.Usage("/p/gone"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: of one that is gone: %v", version, err)
			}
		}
	}
}

// What is read before something else changes may be more than that.
func TestUsageWorkingSetIsNeverNegative(t *testing.T) {
	t.Parallel()
	u := Usage{Memory: 10}
	if err := u.readInactive("inactive_file 11\n", "inactive_file"); err != nil || u.WorkingSet != 0 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestUsageRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for version, d := range drivers(t, "soon\n", "soon\n") {
		if _, err := d.Usage("/p/c"); err == nil {
			t.Errorf("%s: no error", version)
		}
	}
}
