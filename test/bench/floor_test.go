package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"podrun/test/leakcheck"
)

// The floor makes a pod that runs, and leaves nothing.
func TestFloor(t *testing.T) {
	t.Chdir("../..")
	before, err := leakcheck.Machine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "prb-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f, err := newFloor(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		begin := time.Now()
		if err := f.up(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("up: %v", time.Since(begin))
		groups, err := filepath.Glob("/sys/fs/cgroup/*/prbench/prbench-web")
		if err != nil || len(groups) == 0 {
			t.Errorf("no container runs: %v", err)
		}
		if err := f.down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	diff, err := leakcheck.Settle(ctx, before, leakcheck.Machine)
	if err != nil || len(diff) > 0 {
		t.Errorf("left: %q, %v", diff, err)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   []time.Duration
		want time.Duration
	}{{[]time.Duration{3, 1, 2}, 2}, {[]time.Duration{4, 1, 3, 2}, 2}, {[]time.Duration{7}, 7}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}
