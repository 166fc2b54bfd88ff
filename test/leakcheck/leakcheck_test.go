package leakcheck_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"podrun/test/leakcheck"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	before := leakcheck.Listing{"link a": 1, "link b": 1, "fd socket": 3, "fd pipe": 1}
	after := leakcheck.Listing{"link a": 1, "link c": 2, "fd socket": 2, "fd pipe": 3}
	want := []string{"+2 fd pipe", "+2 link c", "- link b"}
	if got := leakcheck.Diff(before, after); !slices.Equal(got, want) {
		t.Errorf("Diff = %q, want %q", got, want)
	}
}

func TestSettleWaitsForWhatGoesAway(t *testing.T) {
	t.Parallel()
	left := 3
	take := func(context.Context) (leakcheck.Listing, error) {
		left--
		return leakcheck.Listing{"snapshot x": left}, nil
	}
	diff, err := leakcheck.Settle(t.Context(), leakcheck.Listing{}, take)
	if err != nil || len(diff) != 0 || left != 0 {
		t.Errorf("Settle = %q, %v after %d more listings, want no difference after the third", diff, err, left)
	}
}

func TestSettleReportsWhatStays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(context.Context) (leakcheck.Listing, error) { return leakcheck.Listing{"link x": 1}, nil }
	diff, err := leakcheck.Settle(ctx, leakcheck.Listing{}, take)
	if err != nil || !slices.Equal(diff, []string{"+ link x"}) {
		t.Errorf("Settle = %q, %v", diff, err)
	}
}

// leak makes one thing, that is reported by a line with all the words in it,
// and returns how to remove it.
type leak struct {
	name  string
	words []string
	make  func(t *testing.T, in leakcheck.Instance) (undo func())
}

const link = "lctest0"

// leaks are one of each class that needs no containerd.
var leaks = []leak{
	{"link", []string{"link " + link, "bridge"}, makeLink},
	{"address", []string{"addr 198.18.77.1/32", link}, func(t *testing.T, in leakcheck.Instance) func() {
		undo := makeLink(t, in)
		run(t, "ip", "addr", "add", "198.18.77.1/32", "dev", link)
		return undo
	}},
	{"route", []string{"route 198.18.78.0/24"}, func(t *testing.T, in leakcheck.Instance) func() {
		undo := makeLink(t, in)
		run(t, "ip", "link", "set", link, "up")
		run(t, "ip", "route", "add", "198.18.78.0/24", "dev", link)
		return undo
	}},
	{"network namespace", []string{"mount ", "/lctest-netns nsfs net:["}, func(t *testing.T, in leakcheck.Instance) func() {
		return makeMount(t, "/proc/self/ns/net", makeFile(t, in.RunDir, "lctest-netns"), "", unix.MS_BIND)
	}},
	{"mount", []string{"mount ", "/s/lctest-shm tmpfs /"}, func(t *testing.T, in leakcheck.Instance) func() {
		return makeMount(t, "shm", makeDir(t, filepath.Join(in.RunDir, "lctest-shm")), "tmpfs", 0)
	}},
	{"cgroup of a controller", []string{"cgroup pids:/podrun-lctest"}, makeCgroup("/sys/fs/cgroup/pids")},
	{"named cgroup", []string{"cgroup systemd:/podrun-lctest"}, makeCgroup("/sys/fs/cgroup/systemd")},
	{"cgroup of the unified tree", []string{"cgroup ", ":/podrun-lctest"}, makeCgroup(unified())},
	{"nft table", []string{"nft table ip lctest"}, makeTable},
	{"nft chain", []string{"nft table ip lctest chain c"}, makeTable},
	{"nft rule", []string{"nft table ip lctest chain c: ip daddr 198.18.77.1 drop"}, makeTable},
	{"nft table of IPv6", []string{"nft table ip6 lctest"}, makeTable6},
	{"address of IPv6", []string{"addr 2001:db8:1c::1/128 dev=lo"}, makeAddress6},
	{"iptables chain", []string{"iptables iptables-nft filter chain LCTEST"}, makeChain("iptables-nft")},
	{"iptables rule", []string{"iptables iptables-nft filter -A LCTEST -d 198.18.77.1/32"}, makeChain("iptables-nft")},
	{"legacy chain", []string{"iptables iptables-legacy filter chain LCTEST"}, makeChain("iptables-legacy")},
	{"legacy rule", []string{"iptables iptables-legacy filter -A LCTEST -d 198.18.77.1/32"}, makeChain("iptables-legacy")},
	{"process", []string{"process ", "/r/program 1000"}, func(t *testing.T, in leakcheck.Instance) func() {
		program := filepath.Join(in.Root, "program")
		run(t, "cp", "/bin/sleep", program)
		cmd := exec.Command(program, "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = os.Remove(program) }
	}},
	{"fifo", []string{"file ", "/s/fifo fifo"}, func(t *testing.T, in leakcheck.Instance) func() {
		path := filepath.Join(in.RunDir, "fifo")
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return func() { _ = os.Remove(path) }
	}},
	{"address of the IPAM", []string{"file ", "/s/cni/10.88.0.2 regular"}, func(t *testing.T, in leakcheck.Instance) func() {
		dir := makeDir(t, filepath.Join(in.RunDir, "cni"))
		makeFile(t, dir, "10.88.0.2")
		return func() { _ = os.RemoveAll(dir) }
	}},
	{"file of another tool", []string{"file /run/netns/lctest regular"}, func(t *testing.T, in leakcheck.Instance) func() {
		path := makeFile(t, makeDir(t, "/run/netns"), "lctest")
		return func() { _ = os.Remove(path) }
	}},
}

// Each class of thing is seen when it is there, and not when it is gone.
func TestFinds(t *testing.T) {
	for _, leak := range leaks {
		t.Run(leak.name, func(t *testing.T) {
			isolate(t)
			in := instance(t)
			undo := leak.make(t, in)
			seen := find(t, in, leak.words)
			undo()
			if !seen {
				t.Errorf("no line with %q", leak.words)
			}
			if seen && find(t, in, leak.words) {
				t.Errorf("a line with %q after it was removed", leak.words)
			}
		})
	}
}

// A shared directory is opened for listing only: what is below a mount belongs
// to somebody else, and an unpacked layer is one thing.
func TestDoesNotLookInside(t *testing.T) {
	in := instance(t)
	mounted := makeDir(t, filepath.Join(in.Root, "volume"))
	undo := makeMount(t, "none", mounted, "tmpfs", 0)
	defer undo()
	makeFile(t, mounted, "theirs")
	makeFile(t, makeDir(t, filepath.Join(in.Root, "snapshots", "7", "fs")), "etc")
	l, err := in.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Mentioning("theirs", "snapshots/7/fs"); len(got) != 0 {
		t.Errorf("lists %v", got)
	}
	if got := l.Mentioning("snapshots/7 dir", "volume dir", "volume tmpfs"); len(got) != 3 {
		t.Errorf("lists %v", got)
	}
}

func TestIsFast(t *testing.T) {
	in := instance(t)
	best := time.Hour
	for range 5 {
		start := time.Now()
		if _, err := leakcheck.Take(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if best > 150*time.Millisecond {
		t.Errorf("a listing takes %v, it runs twice for each test", best)
	}
	t.Logf("a listing takes %v", best)
}

// instance makes the two directories of an instance, with paths that are short
// enough for sockets.
func instance(t *testing.T) leakcheck.Instance {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes links, mounts and cgroups: run it as root")
	}
	dir, err := os.MkdirTemp("/tmp", "lc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return leakcheck.Instance{Root: makeDir(t, filepath.Join(dir, "r")), RunDir: makeDir(t, filepath.Join(dir, "s"))}
}

// isolate gives the test a network namespace of its own, so that the machine's
// links and rules stay as they are. The goroutine keeps its thread to the end,
// which takes the namespace with it.
func isolate(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, in leakcheck.Instance, words []string) bool {
	t.Helper()
	l, err := leakcheck.Take(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for line := range l {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}

func makeLink(t *testing.T, _ leakcheck.Instance) func() {
	t.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: link}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	return func() { _ = netlink.LinkDel(bridge) }
}

func makeMount(t *testing.T, source, target, fstype string, flags uintptr) func() {
	t.Helper()
	if err := unix.Mount(source, target, fstype, flags, ""); err != nil {
		t.Fatal(err)
	}
	return func() { _ = unix.Unmount(target, unix.MNT_DETACH) }
}

func makeCgroup(tree string) func(*testing.T, leakcheck.Instance) func() {
	return func(t *testing.T, _ leakcheck.Instance) func() {
		t.Helper()
		if _, err := os.Stat(tree); err != nil {
			tree = unified() // a machine with nothing but the unified tree
		}
		dir := makeDir(t, filepath.Join(tree, "podrun-lctest"))
		return func() { _ = os.Remove(dir) }
	}
}

// unified is where the v2 tree is mounted.
func unified() string {
	if _, err := os.Stat("/sys/fs/cgroup/unified"); err == nil {
		return "/sys/fs/cgroup/unified"
	}
	return "/sys/fs/cgroup"
}

func makeTable(t *testing.T, _ leakcheck.Instance) func() {
	t.Helper()
	run(t, "nft", "add table ip lctest; add chain ip lctest c; add rule ip lctest c ip daddr 198.18.77.1 drop")
	return func() { run(t, "nft", "delete table ip lctest") }
}

func makeTable6(t *testing.T, _ leakcheck.Instance) func() {
	t.Helper()
	run(t, "nft", "add table ip6 lctest")
	return func() { run(t, "nft", "delete table ip6 lctest") }
}

func makeAddress6(t *testing.T, _ leakcheck.Instance) func() {
	t.Helper()
	run(t, "ip", "addr", "add", "2001:db8:1c::1/128", "dev", "lo")
	return func() { run(t, "ip", "addr", "del", "2001:db8:1c::1/128", "dev", "lo") }
}

func makeChain(program string) func(*testing.T, leakcheck.Instance) func() {
	return func(t *testing.T, _ leakcheck.Instance) func() {
		t.Helper()
		run(t, program, "-N", "LCTEST")
		run(t, program, "-A", "LCTEST", "-d", "198.18.77.1", "-j", "DROP")
		return func() { run(t, program, "-F", "LCTEST"); run(t, program, "-X", "LCTEST") }
	}
}

func makeDir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeFile(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("run %q: %w: %s", argv, err, out))
	}
}

// dial keeps a connection to the socket open. That it was accepted shows in the
// first bytes of the answer.
func dial(t *testing.T, socket string) func() {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close() }
}
