package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

const (
	// usualStart is what a start of containerd takes, with podrun's own, on a machine
	// that is not slow. It needs processor and disk alike.
	usualStart = 25 * time.Millisecond
	starts     = 5
	maxSlow    = 10
)

// slowness says how many times longer than usual things may take: PODRUN_SLOWNESS
// or, without it, what this machine is seen to need. Whatever waits, and whatever
// must not take longer than it says, is multiplied by it.
func slowness(ctx context.Context) (time.Duration, error) {
	if text := os.Getenv("PODRUN_SLOWNESS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("PODRUN_SLOWNESS=%s: not a positive number", text)
		}
		return time.Duration(n), nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir := filepath.Join(lab.dir, "pace")
	stack := func(verb string) (time.Duration, error) {
		cmd := exec.CommandContext(ctx, lab.podrun, "stack", verb)
		cmd.Env = append(os.Environ(), "PODRUN_ROOT="+filepath.Join(dir, "r"), "PODRUN_RUN_DIR="+filepath.Join(dir, "s"))
		begin := time.Now()
		if text, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("stack %s: %w: %s", verb, err, text)
		}
		return time.Since(begin), nil
	}
	var took []time.Duration
	for range starts + 1 {
		start, err := stack("start")
		if err != nil {
			return 0, err
		}
		took = append(took, start)
		if _, err := stack("stop"); err != nil {
			return 0, err
		}
	}
	slowest := slices.Max(took[1:]) // the first one unpacks the bundle
	n := min(max((slowest+usualStart-1)/usualStart, 1), maxSlow)
	fmt.Printf("a start of containerd takes up to %v: things may take %d times longer than usual\n", slowest.Round(time.Millisecond), n)
	return n, os.RemoveAll(dir)
}
