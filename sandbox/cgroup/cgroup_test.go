package cgroup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// These tests make cgroups on the machine, which takes root.

// newDriver returns a driver with a root of its own, which has to be gone
// from every hierarchy when the test is over.
func newDriver(tb testing.TB) *Driver {
	tb.Helper()
	d, err := Detect("podrun-test-" + uuid.NewString()[:8])
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		left, err := d.Pods()
		if err != nil {
			tb.Error(err)
		}
		for _, uid := range left {
			if err := d.Remove(uid); err != nil {
				tb.Error(err)
			}
		}
		// Not through the driver, which may overlook a hierarchy.
		for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/", "/run/systemd/transient/", "/run/systemd/system.control/"} {
			for _, root := range []string{d.root, strings.ReplaceAll(d.root, "-", "_")} {
				left, err := filepath.Glob(pattern + root + "*")
				if err != nil || len(left) > 0 {
					tb.Errorf("left behind: %v, %v", left, err)
				}
			}
		}
	})
	return d
}

// Whoever makes or removes a pod may be killed when there are the levels alone: they go
// with it all the same, and not with another pod in them.
func TestRemoveEmptyLevels(t *testing.T) { eachDriver(t, removesEmptyLevels) }

func removesEmptyLevels(t *testing.T, d *Driver) {
	pod := newPod(resources("cpu=100m", ""))
	leave := func() {
		t.Helper()
		if d.systemd {
			for _, level := range []string{"", burstable} {
				if err := startSlice(d.path(level, ""), Limits{CPUShares: minShares}); err != nil {
					t.Fatal(err)
				}
			}
			return
		}
		for _, h := range d.hierarchies {
			if err := d.mkdir(h, d.path(burstable, "")); err != nil {
				t.Fatal(err)
			}
		}
	}
	here := func() bool {
		dir, err := d.dir("cpu", d.path("", ""))
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(dir)
		return err == nil
	}
	leave()
	other := newPod(resources("", ""))
	create(t, d, other)
	for _, remove := range []struct {
		uid  string
		here bool
	}{{string(pod.UID), true}, {string(other.UID), false}} {
		if err := d.Remove(remove.uid); err != nil {
			t.Fatal(err)
		}
		if here() != remove.here {
			t.Errorf("after the removal of %s: the root is there: %v", remove.uid, here())
		}
	}
	leave()
	if err := d.Remove(string(pod.UID)); err != nil {
		t.Fatal(err)
	}
	if here() {
		t.Error("levels without a pod stay")
	}
}

// eachDriver runs a test with every driver that works on this machine.
func eachDriver(t *testing.T, test func(*testing.T, *Driver)) {
	t.Parallel()
	for name, systemd := range map[string]bool{"cgroupfs": false, "systemd": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := newDriver(t).With(systemd)
			if errors.Is(err, ErrNoSystemd) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			test(t, d)
		})
	}
}

func newPod(containers ...v1.ResourceRequirements) *v1.Pod {
	pod := podOf(containers...)
	pod.UID = types.UID(uuid.NewString())
	return pod
}

func create(tb testing.TB, d *Driver, pod *v1.Pod) {
	tb.Helper()
	if err := d.Create(pod); err != nil {
		tb.Fatal(err)
	}
}

// start runs a shell script that is in the pod's cgroup, or in the one named
// child below it, in every hierarchy.
func start(t *testing.T, d *Driver, pod *v1.Pod, child, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read go; "+script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for _, h := range d.hierarchies {
		if err := d.mkdir(h, d.Path(pod)+"/"+child); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(h.path, d.Path(pod), child, "cgroup.procs")
		if err := os.WriteFile(file, []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stdin.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// killed waits for a process, which must have been killed.
func killed(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("process %d: %v, want it killed", cmd.Process.Pid, cmd.ProcessState)
	}
}

// read returns a file of a cgroup, in the hierarchy of a controller.
func read(t *testing.T, d *Driver, controller, cgroup, file string) string {
	t.Helper()
	dir, err := d.dir(controller, cgroup)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestCreate(t *testing.T) { eachDriver(t, makesAndRemoves) }

func makesAndRemoves(t *testing.T, d *Driver) {
	pod := newPod(resources("cpu=250m,memory=64Mi", "cpu=500m,memory=128Mi"))
	for range 2 { // the second time changes nothing
		create(t, d, pod)
		for _, s := range Resources(pod, nil).settings(d.unified) {
			if got := read(t, d, s.controller, d.Path(pod), s.file); got != s.value {
				t.Errorf("%s: got %s, want %s", s.file, got, s.value)
			}
		}
	}
	for _, h := range d.hierarchies {
		if _, err := os.Stat(filepath.Join(h.path, d.Path(pod))); err != nil {
			t.Error(err)
		}
	}
	if uids, err := d.Pods(); err != nil || !slices.Equal(uids, []string{string(pod.UID)}) {
		t.Errorf("pods: %v, %v", uids, err)
	}
	for range 2 {
		if err := d.Remove(string(pod.UID)); err != nil {
			t.Fatal(err)
		}
	}
	if uids, err := d.Pods(); err != nil || len(uids) > 0 {
		t.Errorf("pods after removal: %v, %v", uids, err)
	}
}

// Pods of all classes side by side: levels appear with their first pod, get
// their shares, and go with their last.
func TestLevels(t *testing.T) { eachDriver(t, keepsLevels) }

func keepsLevels(t *testing.T, d *Driver) {
	guaranteed := newPod(resources("cpu=1,memory=64Mi", "cpu=1,memory=64Mi"))
	small, large := newPod(resources("cpu=100m", "")), newPod(resources("cpu=2", ""))
	none := newPod(resources("", ""))
	for _, pod := range []*v1.Pod{guaranteed, small, large, none} {
		create(t, d, pod)
	}
	file, shares := "cpu.shares", map[*v1.Pod]uint64{small: 102, large: 2048, none: 2}
	if d.unified {
		file, shares = "cpu.weight", map[*v1.Pod]uint64{small: 4, large: 79, none: 1}
	}
	expect := func(cgroup string, want uint64) {
		t.Helper()
		if got := read(t, d, "cpu", cgroup, file); got != fmt.Sprint(want) {
			t.Errorf("%s of %s: got %s, want %d", file, cgroup, got, want)
		}
	}
	expect(d.path(level(none), ""), shares[none])
	expect(d.path(level(small), ""), together(d.unified, []uint64{shares[small], shares[large]}))
	if err := d.Remove(string(large.UID)); err != nil {
		t.Fatal(err)
	}
	expect(d.path(level(small), ""), shares[small])

	for _, pod := range []*v1.Pod{small, none} {
		if err := d.Remove(string(pod.UID)); err != nil {
			t.Fatal(err)
		}
		for _, h := range d.hierarchies {
			if _, err := os.Stat(filepath.Join(h.path, d.path(level(pod), ""))); err == nil {
				t.Errorf("%s stays without pods in %s", d.path(level(pod), ""), h.path)
			}
		}
	}
	if uids, err := d.Pods(); err != nil || !slices.Equal(uids, []string{string(guaranteed.UID)}) {
		t.Errorf("pods: %v, %v", uids, err)
	}
}

// With v2 a process in the pod's own cgroup keeps controllers from those below,
// but not processes.
func TestKill(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	pod, other := newPod(resources("", "")), newPod(resources("", ""))
	create(t, d, pod)
	create(t, d, other)
	bystander := start(t, d, other, "container", "exec sleep 1000")
	victims := []*exec.Cmd{
		start(t, d, pod, "", "exec sleep 1000"),
		start(t, d, pod, "container", "trap '' TERM INT; sleep 1000; sleep 1000"),
		start(t, d, pod, "container/below", "exec sleep 1000"),
	}
	one := start(t, d, pod, "one", "exec sleep 1000")
	if err := d.KillContainer(string(pod.UID), "one"); err != nil {
		t.Fatal(err)
	}
	killed(t, one)
	for _, cmd := range victims {
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("a process of another container: %v", err)
		}
	}
	if err := d.Kill(string(pod.UID)); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range victims {
		killed(t, cmd)
	}
	if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("another pod's process: %v", err)
	}
	if err := d.Kill(string(pod.UID)); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := d.Remove(string(pod.UID)); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(string(other.UID)); err != nil {
		t.Fatal(err)
	}
	killed(t, bystander)
}

// relay is chains of processes, each of which starts the next and exits.
const relay = "r() { r & }; r & r & r & r"

// What is signalled is a list of processes that stays true: nothing is forked
// and nothing exits while a pod is frozen. Then even a relay is caught.
func TestKillRelay(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	pod := newPod(resources("", ""))
	create(t, d, pod)
	dirs := d.dirs(string(pod.UID), "")
	list := func() []int {
		pids, err := processes(dirs)
		if err != nil {
			t.Fatal(err)
		}
		return pids
	}
	_ = start(t, d, pod, "container", relay).Wait() // its children run on

	f := freezerV1
	if d.unified {
		f = freezerV2
	}
	frozen := slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool { return !f.stop(dir) })
	if len(frozen) != 1 {
		t.Fatalf("frozen: %v", frozen)
	}
	before := list()
	if len(before) == 0 {
		t.Fatal("the relay does not run")
	}
	for range 100 {
		if now := list(); !slices.Equal(now, before) {
			t.Fatalf("processes %v became %v", before, now)
		}
	}
	if err := f.resume(frozen[0]); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(string(pod.UID)); err != nil {
		t.Fatal(err)
	}
}

// A container that was paused, and so is frozen by itself, dies as well.
func TestKillPaused(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	pod := newPod(resources("", ""))
	create(t, d, pod)
	cmd := start(t, d, pod, "container", "exec sleep 1000")
	dir, err := d.dir("freezer", d.Path(pod)+"/container")
	if err != nil {
		t.Fatal(err)
	}
	f := freezerV1
	if d.unified {
		f = freezerV2
	}
	if !f.stop(dir) {
		t.Fatal("the container cannot be frozen")
	}
	t.Cleanup(func() { _ = f.resume(dir) }) // or the clean-up of start waits for ever
	if err := d.Kill(string(pod.UID)); err != nil {
		t.Fatal(err)
	}
	killed(t, cmd)
}

// On machines with both, the v2 hierarchy can be killed in as on pure v2, with
// the kernel's cgroup.kill and as it was done before there was one.
func TestKillV2(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	unified := *d
	unified.unified = true
	unified.hierarchies = slices.DeleteFunc(slices.Clone(d.hierarchies), func(h hierarchy) bool {
		_, err := os.Stat(filepath.Join(h.path, "cgroup.controllers"))
		return err != nil
	})
	if len(unified.hierarchies) != 1 {
		t.Skipf("v2 hierarchies: %v", unified.hierarchies)
	}
	for name, kill := range map[string]func(dirs []string) error{
		"cgroup.kill": unified.signal,
		"freezer":     freezerV2.kill,
	} {
		pod := newPod(resources("", ""))
		create(t, d, pod)
		cmd := start(t, d, pod, "container", "exec sleep 1000")
		if err := kill(unified.dirs(string(pod.UID), "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		killed(t, cmd)
		if err := d.Remove(string(pod.UID)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a runtime leaves behind, in one hierarchy or another, is removed.
func TestRemoveLeftovers(t *testing.T) {
	t.Parallel()
	d := newDriver(t)
	uid := uuid.NewString()
	for i, h := range d.hierarchies {
		level := levels[i%len(levels)]
		if err := os.MkdirAll(filepath.Join(h.path, d.root, level, "pod"+uid, "a", "b"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if uids, err := d.Pods(); err != nil || !slices.Equal(uids, []string{uid}) {
		t.Errorf("pods: %v, %v", uids, err)
	}
	if err := d.Remove(uid); err != nil {
		t.Fatal(err)
	}
}

// Levels come and go while pods are made: no Create may fail for it, and no
// pod may lose its cgroup in any hierarchy.
func TestConcurrent(t *testing.T) { eachDriver(t, sharesLevels) }

func sharesLevels(t *testing.T, d *Driver) {
	kinds := []v1.ResourceRequirements{
		resources("", ""), resources("cpu=100m", ""), resources("cpu=1,memory=64Mi", "cpu=1,memory=64Mi"),
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for round := range 20 {
				pod := newPod(kinds[rand.IntN(len(kinds))])
				if err := d.Create(pod); err != nil {
					t.Errorf("worker %d, round %d: %v", worker, round, err)
				}
				for _, h := range d.hierarchies {
					if _, err := os.Stat(filepath.Join(h.path, d.Path(pod))); err != nil {
						t.Error(err)
					}
				}
				if err := d.Remove(string(pod.UID)); err != nil {
					t.Errorf("worker %d, round %d: %v", worker, round, err)
				}
			}
		})
	}
	wg.Wait()
}

// With all pods made at once, the level ends up with the shares of all.
func TestConcurrentShares(t *testing.T) { eachDriver(t, weighsTogether) }

func weighsTogether(t *testing.T, d *Driver) {
	var wg sync.WaitGroup
	pods := make([]*v1.Pod, 40)
	for i := range pods {
		pods[i] = newPod(resources("cpu=100m", ""))
		wg.Go(func() {
			if err := d.Create(pods[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	file, each := "cpu.shares", uint64(102)
	if d.unified {
		file, each = "cpu.weight", 4
	}
	want := together(d.unified, slices.Repeat([]uint64{each}, len(pods)))
	if got := read(t, d, "cpu", d.path(level(pods[0]), ""), file); got != fmt.Sprint(want) {
		t.Errorf("%s: got %s, want %d", file, got, want)
	}
}

func BenchmarkDetect(b *testing.B) {
	for b.Loop() {
		if _, err := Detect("podrun"); err != nil {
			b.Fatal(err)
		}
	}
}

// The first pod makes the levels, and the last one removes them.
func BenchmarkFirstAndLast(b *testing.B) {
	benchmark(b, newDriver(b))
}

func BenchmarkOneMore(b *testing.B) {
	d := newDriver(b)
	for range 10 {
		create(b, d, newPod(resources("cpu=100m,memory=64Mi", "cpu=1,memory=64Mi")))
	}
	benchmark(b, d)
}

func benchmark(b *testing.B, d *Driver) {
	var creating, removing time.Duration
	for b.Loop() {
		pod := newPod(resources("cpu=100m,memory=64Mi", "cpu=1,memory=64Mi"))
		begin := time.Now()
		create(b, d, pod)
		made := time.Now()
		if err := d.Remove(string(pod.UID)); err != nil {
			b.Fatal(err)
		}
		creating += made.Sub(begin)
		removing += time.Since(made)
	}
	b.ReportMetric(float64(creating.Microseconds())/float64(b.N), "µs-create")
	b.ReportMetric(float64(removing.Microseconds())/float64(b.N), "µs-remove")
}
