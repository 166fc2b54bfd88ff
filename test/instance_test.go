package test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"podrun/test/leakcheck"
)

// instance is one podrun with directories of its own.
type instance struct {
	leakcheck.Instance
	bin  string
	dir  string   // holds Root and RunDir; short, because of sockets
	env  []string // of every command
	base leakcheck.Listing
	// kept are the classes of things that the test may leave, such as images.
	kept []string
}

// start makes an instance whose containerd runs and has the test images. It
// ends with the test: its pods are removed, nothing may be left of them, and
// then nothing of the instance.
func start(tb testing.TB) *instance {
	tb.Helper()
	in := empty(tb)
	in.adoptBundle(tb)
	in.ok(tb, "stack", "start")
	in.shareBundle(tb)
	in.prime(tb)
	return in
}

// alone is start for a test that runs alone: the whole machine has to be as it
// was when it ends.
func alone(tb testing.TB) *instance {
	tb.Helper()
	watch(tb)
	return start(tb)
}

// watch compares the whole machine when the test has ended.
func watch(tb testing.TB) {
	tb.Helper()
	before, err := leakcheck.Machine(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), settle*lab.slowness)
		defer cancel()
		diff, err := leakcheck.Settle(ctx, before, leakcheck.Machine)
		if err != nil {
			tb.Error(err)
		}
		for _, line := range diff {
			tb.Errorf("the machine is not as it was: %s", line)
		}
	})
}

// empty makes an instance that has not been used yet.
func empty(tb testing.TB) *instance {
	tb.Helper()
	dir, err := os.MkdirTemp("/tmp", "pr-")
	if err != nil {
		tb.Fatal(err)
	}
	in := &instance{
		Instance: leakcheck.Instance{Root: filepath.Join(dir, "r"), RunDir: filepath.Join(dir, "s")},
		bin:      lab.podrun,
		dir:      dir,
	}
	in.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir,
		"PODRUN_ROOT=" + in.Root, "PODRUN_RUN_DIR=" + in.RunDir,
		cgroupDriver + "=" + os.Getenv(cgroupDriver),
	}
	tb.Cleanup(func() { in.close(tb) })
	return in
}

// prime pulls the images and runs one pod, so that what stays for the next pod
// (image layers, the network's configuration) is in the first listing.
func (in *instance) prime(tb testing.TB) {
	tb.Helper()
	in.ok(tb, "pull", lab.busybox, lab.probe, lab.registry.Ref("nobody:1"), lab.registry.Ref("number:1"))
	in.input(tb, manifest(`
apiVersion: v1
kind: Pod
metadata: {name: prime}
spec:
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"]}
  - {name: b, image: PROBE, args: [-wait=-1s]}
`), "up", "-").want(tb, 0)
	in.ok(tb, "rm", "--force", "prime")
	in.base = in.list(tb)
}

func (in *instance) list(tb testing.TB) leakcheck.Listing {
	tb.Helper()
	l, err := in.List(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// close removes all pods, compares with the first listing, ends containerd and
// removes the directories.
func (in *instance) close(tb testing.TB) {
	tb.Helper()
	defer in.scrub(tb)
	if in.base == nil {
		return // the test ended before the instance was in use
	}
	uids := in.uids(tb)
	in.ok(tb, "rm", "--all", "--force")
	in.clean(tb, uids...)
	if in.Containerd == "" {
		in.ok(tb, "stack", "stop")
	}
}

// uids returns the UIDs of all pods.
func (in *instance) uids(tb testing.TB) (uids []string) {
	tb.Helper()
	for _, pod := range in.pods(tb).Items {
		uids = append(uids, string(pod.UID))
	}
	return uids
}

// clean fails the test when the instance has more than in its first listing,
// or when anything on the machine speaks of one of the pods.
func (in *instance) clean(tb testing.TB, uids ...string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), settle*lab.slowness)
	defer cancel()
	base := in.base.Without(in.kept...)
	diff, err := leakcheck.Settle(ctx, base, func(ctx context.Context) (leakcheck.Listing, error) {
		own, err := in.List(ctx)
		if err != nil {
			return nil, err
		}
		machine, err := leakcheck.Machine(ctx)
		if err != nil {
			return nil, err
		}
		return grown(base, own.Without(in.kept...), machine.Mentioning(uids...)), nil
	})
	if err != nil {
		tb.Error(err)
	}
	for _, line := range diff {
		tb.Errorf("left behind: %s", line)
	}
}

// grown returns base with what the others have in addition. What an instance
// has got rid of meanwhile is no loss.
func grown(base leakcheck.Listing, others ...leakcheck.Listing) leakcheck.Listing {
	sum := maps.Clone(base)
	for _, l := range others {
		for line, n := range l {
			sum[line] = max(n, sum[line])
		}
	}
	return sum
}

// scrub removes the instance's directories. A process or a mount that is still
// there is an error of the test; it is ended so that the next test is not
// disturbed.
func (in *instance) scrub(tb testing.TB) {
	tb.Helper()
	if tb.Failed() {
		in.explain(tb)
	}
	deadline := time.Now().Add(settle * lab.slowness)
	for len(in.processes(tb)) > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	for _, p := range in.processes(tb) {
		tb.Errorf("still running: %d %s", p.PID, p.Args)
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	for line := range in.list(tb) {
		if fields := strings.Fields(line); fields[0] == "mount" {
			tb.Errorf("still mounted: %s", line)
			_ = unix.Unmount(fields[1], unix.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(in.dir); err != nil {
		tb.Error(err)
	}
}

// processes are those that speak of the instance's directories.
func (in *instance) processes(tb testing.TB) (out []leakcheck.Process) {
	tb.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range all {
		if p.Names(in.dir) {
			out = append(out, p)
		}
	}
	return out
}

// explain logs the ends of the log files below the run directory.
func (in *instance) explain(tb testing.TB) {
	tb.Helper()
	_ = filepath.WalkDir(in.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".log" || strings.Contains(path, "snapshots") {
			return nil
		}
		if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
			tb.Logf("%s: ...%s", path, data[max(0, len(data)-4000):])
		}
		return nil
	})
}

// adoptBundle links to a bundle that an earlier instance has unpacked, which
// saves a second. The first one, and TestFirstStart, unpack theirs.
func (in *instance) adoptBundle(tb testing.TB) {
	tb.Helper()
	lab.bundle.Lock()
	defer lab.bundle.Unlock()
	link(tb, filepath.Join(lab.dir, "bundle"), filepath.Join(in.Root, "bundle"))
}

func (in *instance) shareBundle(tb testing.TB) {
	tb.Helper()
	lab.bundle.Lock()
	defer lab.bundle.Unlock()
	if _, err := os.Stat(filepath.Join(lab.dir, "bundle")); errors.Is(err, os.ErrNotExist) {
		link(tb, filepath.Join(in.Root, "bundle"), filepath.Join(lab.dir, "bundle"))
	}
}

// link makes a copy of a directory tree that shares its files.
func link(tb testing.TB, from, to string) {
	tb.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return os.Link(path, target)
	})
	if err != nil {
		tb.Fatal(err)
	}
}
