package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Whoever hastens stays where it is, in every hierarchy.
func TestHasten(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	before, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	d.Hasten()() // which moves it once at least
	after, err := os.ReadFile("/proc/self/cgroup")
	if err != nil || string(after) != string(before) {
		t.Errorf("it was in\n%sand is in\n%s%v", before, after, err)
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
