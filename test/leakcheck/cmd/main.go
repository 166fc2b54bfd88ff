// Command cmd saves a listing of what is on the machine, or prints how it
// differs from a saved one, waiting a little for what goes away by itself.
//
//	go run ./test/leakcheck/cmd -root DIR -run-dir DIR save FILE
//	go run ./test/leakcheck/cmd -root DIR -run-dir DIR diff FILE
//
// diff exits with 1 when there is a difference.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"podrun/test/leakcheck"
)

func main() {
	in := leakcheck.Instance{}
	flag.StringVar(&in.Root, "root", "/var/lib/podrun", "podrun's --root")
	flag.StringVar(&in.RunDir, "run-dir", "/run/podrun", "podrun's --run-dir")
	flag.StringVar(&in.Containerd, "containerd", "", "podrun's --containerd")
	wait := flag.Duration("wait", 10*time.Second, "how long diff waits for the difference to vanish")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: cmd [flags] save|diff FILE")
		os.Exit(2)
	}
	clean, err := run(in, flag.Arg(0), flag.Arg(1), *wait)
	if err != nil {
		fmt.Fprintln(os.Stderr, "leakcheck:", err)
		os.Exit(2)
	}
	if !clean {
		os.Exit(1)
	}
}

func run(in leakcheck.Instance, verb, file string, wait time.Duration) (clean bool, err error) {
	ctx := context.Background()
	switch verb {
	case "save":
		return true, save(ctx, in, file)
	case "diff":
		return diff(ctx, in, file, wait)
	default:
		return false, fmt.Errorf("no such verb: %q", verb)
	}
}

func save(ctx context.Context, in leakcheck.Instance, file string) error {
	l, err := steady(ctx, in)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(l, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// steady takes listings until one stays the same for a second, so that what is
// just going away is in none.
func steady(ctx context.Context, in leakcheck.Instance) (leakcheck.Listing, error) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last, err := leakcheck.Take(ctx, in)
	for same := 0; err == nil && same < 4; {
		<-tick.C
		var now leakcheck.Listing
		if now, err = leakcheck.Take(ctx, in); err != nil {
			break
		}
		same++
		if len(leakcheck.Diff(last, now)) > 0 {
			last, same = now, 0
		}
	}
	return last, err
}

func diff(ctx context.Context, in leakcheck.Instance, file string, wait time.Duration) (bool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	var before leakcheck.Listing
	if err := json.Unmarshal(data, &before); err != nil {
		return false, fmt.Errorf("read %s: %w", file, err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	lines, err := leakcheck.Settle(ctx, before, func(ctx context.Context) (leakcheck.Listing, error) {
		return leakcheck.Take(ctx, in)
	})
	for _, line := range lines {
		fmt.Println(line)
	}
	return len(lines) == 0, err
}
