package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
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
	procs, err := d.own()
	if err != nil {
		t.Fatal(err)
	}
	pids, err := os.ReadFile(procs)
	if err != nil || !strings.Contains("\n"+string(pids), "\n"+strconv.Itoa(os.Getpid())+"\n") {
		t.Errorf("%s has %q, %v", procs, pids, err)
	}
}

// A hierarchy that is mounted somewhere else is not taken for the own one.
func TestHastenElsewhere(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	for i := range d.hierarchies {
		d.hierarchies[i].path = t.TempDir()
	}
	if procs, err := d.own(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("own: %q, %v", procs, err)
	}
	d.Hasten()()
}
