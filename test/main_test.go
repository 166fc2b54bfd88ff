package test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"podrun/test/images"
	"podrun/test/leakcheck"
)

// settle bounds how long things may take to go away by themselves.
const settle = 20 * time.Second

// lab is what all tests share. TestMain sets it up before the first one.
var lab struct {
	podrun   string        // the binary under test
	slowness time.Duration // a factor: how much longer things may take
	dir      string        // for what is built, and an unpacked bundle
	bundle   sync.Mutex    // held while the unpacked bundle is linked
	registry *images.Registry
	busybox  string // reference of an image with a shell
	probe    string // reference of an image with only the probe program
	images   map[string]v1.Image
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests between two listings of the whole machine.
func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if err := findPodrun(); err != nil {
		return 0, err
	}
	if err := furnish(ctx); err != nil {
		return 0, err
	}
	// This also takes away what an earlier podrun may have left of the cgroup that all
	// of them share, once it is empty: any of them does.
	slow, err := slowness(ctx)
	if err != nil {
		return 0, err
	}
	lab.slowness = slow
	before, err := leakcheck.Machine(ctx)
	if err != nil {
		return 0, err
	}
	code = m.Run()
	lab.registry.Close()
	if err := os.RemoveAll(lab.dir); err != nil {
		return code, err
	}
	ctx, cancel := context.WithTimeout(ctx, settle*lab.slowness)
	defer cancel()
	diff, err := leakcheck.Settle(ctx, before, leakcheck.Machine)
	for _, line := range diff {
		err = errors.Join(err, errors.New(line))
	}
	if err != nil {
		return code, fmt.Errorf("the machine is not as it was: %w", err)
	}
	return code, nil
}

func findPodrun() error {
	if os.Geteuid() != 0 {
		return errors.New("these tests run pods: run them as root")
	}
	bin := os.Getenv("PODRUN_BIN")
	if bin == "" {
		bin = "../podrun"
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	if _, err := os.Stat(bin); err != nil {
		return fmt.Errorf("run make first: %w", err)
	}
	lab.podrun = bin
	return nil
}

// furnish builds the images and serves them.
func furnish(ctx context.Context) (err error) {
	if lab.dir, err = os.MkdirTemp("/tmp", "pr-lab-"); err != nil {
		return err
	}
	// Scripts call it podrun, whatever the file is named.
	if err := os.Symlink(lab.podrun, filepath.Join(lab.dir, "podrun")); err != nil {
		return err
	}
	probe, err := findProbe(ctx)
	if err != nil {
		return err
	}
	lab.images = map[string]v1.Image{}
	if lab.images["busybox:1"], err = images.Busybox(); err != nil {
		return err
	}
	if lab.images["probe:1"], err = images.Static("probe", probe); err != nil {
		return err
	}
	lab.images["probe:2"] = lab.images["probe:1"]
	// The same busybox, for somebody else.
	for name, user := range map[string]string{"nobody:1": "nobody", "number:1": "65534:5"} {
		lab.images[name], err = images.With(lab.images["busybox:1"], func(c *v1.Config) { c.User = user })
		if err != nil {
			return err
		}
	}
	if lab.registry, err = images.Serve("127.0.0.1:0"); err != nil {
		return err
	}
	for name, img := range lab.images {
		if err := lab.registry.Push(ctx, name, img); err != nil {
			return err
		}
	}
	lab.busybox, lab.probe = lab.registry.Ref("busybox:1"), lab.registry.Ref("probe:1")
	return nil
}

// findProbe returns the program that tells tests what it finds in its container.
func findProbe(ctx context.Context) (string, error) {
	if bin := os.Getenv("PODRUN_PROBE"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(lab.dir, "probe")
	return bin, goBuild(ctx, bin, "podrun/test/probe")
}

// goBuild builds a static executable.
func goBuild(ctx context.Context, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, text)
	}
	return nil
}
