package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Whoever hastens stays where it is, with all threads and in every hierarchy; and
// it can be moved there, which is what hastens.
func TestHasten(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	before, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	d.Hasten()() // which moves it once at least
	threads, err := filepath.Glob("/proc/self/task/*/cgroup")
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	for _, thread := range threads {
		after, err := os.ReadFile(thread)
		if err == nil && string(after) != string(before) { // it may have ended
			t.Errorf("%s: it was in\n%sand is in\n%s", thread, before, after)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	list, id, err := d.own()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := os.ReadFile(list)
	if err != nil || !slices.Contains(strings.Fields(string(ids)), id) {
		t.Errorf("%s is not in %s: %q, %v", id, list, ids, err)
	}
	if err := os.WriteFile(list, []byte(id), 0); err != nil {
		t.Error(err)
	}
}

// A hierarchy that is mounted somewhere else is not taken for the own one.
func TestHastenElsewhere(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	for i := range d.hierarchies {
		d.hierarchies[i].path = t.TempDir()
	}
	if list, id, err := d.own(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("own: %q, %q, %v", list, id, err)
	}
	d.Hasten()()
}
