package test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"

	"podrun/test/leakcheck"
)

// The first command on a machine unpacks the bundle and starts containerd, the
// next ones find it.
func TestFirstStart(t *testing.T) {
	watch(t)
	in := empty(t)
	first := in.run(t, "stack", "start").want(t, 0)
	pid, err := in.PID()
	if err != nil {
		t.Fatal(err)
	}
	in.base = in.list(t)
	in.ok(t, "stack", "start")
	if again, err := in.PID(); err != nil || again != pid {
		t.Errorf("containerd was %d, is %d: %v", pid, again, err)
	}
	t.Logf("first start %v", first.took)
	for _, dir := range []string{in.Root, in.RunDir} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v: %v", dir, info.Mode(), err)
		}
	}
}

// What is only foreseen starts no containerd, and who else has a port of the host
// is told all the same.
func TestForeseesWithoutContainerd(t *testing.T) {
	watch(t)
	in := empty(t)
	in.base = leakcheck.Listing{}
	in.kept = []string{"file", "process", "fd", "mount"} // of the containerd that its clean-up starts
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	text := manifest(fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: taken}\nspec: {containers: [{name: a, image: PROBE, ports: [{containerPort: 80, hostPort: %d}]}]}\n", taken))
	r := in.input(t, text, "up", "--dry-run", "-").want(t, 1)
	if !strings.Contains(r.stderr, fmt.Sprintf("host port %d/TCP is in use", taken)) {
		t.Errorf("standard error is %q", r.stderr)
	}
	if pid, err := in.PID(); err == nil {
		t.Errorf("containerd runs: %d", pid)
	}
}

// Many first commands at once make one containerd.
func TestStartsAtOnce(t *testing.T) {
	watch(t)
	in := empty(t)
	in.base = leakcheck.Listing{}
	in.kept = []string{"file", "process", "fd", "mount"}
	done := make(chan error)
	for range 4 {
		go func() {
			out, err := in.command(context.Background(), "ps").CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	n := 0
	for _, p := range in.processes(t) {
		if filepath.Base(p.Exe) == "containerd" {
			n++
		}
	}
	if n > 1 {
		t.Errorf("%d containerds run", n)
	}
}

// What the CLI starts belongs neither to its session nor to its cgroup: the
// end of a login or of a script does not take pods along.
func TestLeavesTheCaller(t *testing.T) {
	watch(t)
	groups := callerCgroups(t)
	in := empty(t)
	in.adoptBundle(t)
	in.base = leakcheck.Listing{}
	in.kept = []string{"file", "process", "fd", "mount", "image", "content", "snapshot", "lease"}
	const pods = 4 // one is ready while others are still made
	var text strings.Builder
	for i := range pods {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: far%d}\nspec: {containers: [{name: a, image: PROBE, args: [-wait=-1s]}]}\n", i)
	}
	script := `podrun=$1; shift; for group; do echo $$ >"$group/cgroup.procs" || exit; done; exec "$podrun" up -`
	cmd := exec.CommandContext(t.Context(), "setsid", append([]string{"--wait", "sh", "-c", script, "sh", in.bin}, groups...)...)
	cmd.Env, cmd.Stdin, cmd.WaitDelay = in.env, strings.NewReader(manifest(text.String())), release
	finish(t, cmd).want(t, 0)
	all := in.awaitSupervisors(t, pods)
	for _, group := range groups {
		left, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err != nil || len(left) > 0 {
			t.Errorf("in %s are %q: %v; supervisors: %v", group, left, err, all)
		}
	}
	pid, err := in.PID()
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, leakcheck.Process{PID: pid, Args: []string{"containerd"}})
	for _, p := range all {
		if sid := session(t, p.PID); sid != p.PID {
			t.Errorf("%d %s is in session %d", p.PID, p.Args, sid)
		}
	}
}

// callerCgroups makes a cgroup in every hierarchy and returns where they are.
func callerCgroups(t *testing.T) []string {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		t.Fatal(err)
	}
	var groups []string
	for _, m := range mounts {
		group := filepath.Join(m.Mountpoint, "podrun-test-caller")
		if err := os.Mkdir(group, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Remove(group); err != nil {
				t.Error(err)
			}
		})
		groups = append(groups, group)
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			all, err := os.ReadFile(filepath.Join(m.Mountpoint, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(group, name), all, 0)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	return groups
}

// session returns the session of a process.
func session(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	// pid (comm) state ppid pgrp session
	_, rest, _ := strings.Cut(string(stat), ") ")
	sid, err := strconv.Atoi(strings.Fields(rest)[3])
	if err != nil {
		t.Fatal(err)
	}
	return sid
}

// Two instances with pods of the same name do not meet, and neither do they
// touch what belongs to others.
func TestSideBySide(t *testing.T) {
	watch(t)
	foreign(t)
	one, two := start(t), start(t)
	text := func(p int) string {
		return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: same}
spec:
  hostname: host%d
  containers: [{name: a, image: PROBE, args: ["-http=:80", -wait=-1s], ports: [{containerPort: 80, hostPort: %d}]}]
`, p, p)
	}
	p, q := port(t), port(t)
	first, second := one.up(t, text(p)), two.up(t, text(q))
	if first.UID == second.UID || first.Status.PodIP == second.Status.PodIP {
		t.Errorf("UIDs %s and %s, addresses %s and %s", first.UID, second.UID, first.Status.PodIP, second.Status.PodIP)
	}
	two.ok(t, "rm", "--all", "--force")
	two.ok(t, "gc")
	for _, address := range []string{addr(first.Status.PodIP, 80), local(p)} {
		if got, want := ask(t, address).Hostname, fmt.Sprintf("host%d", p); got != want {
			t.Errorf("%s answers at %s, want %s", got, address, want)
		}
	}
	if n := len(two.pods(t).Items); n != 0 {
		t.Errorf("the emptied instance shows %d pods", n)
	}
}

// foreign makes things that look much like podrun's and belong to somebody
// else. They are there until the test has ended; watch must have been called
// before.
func foreign(t *testing.T) {
	t.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "podrun-other"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	nft := func(script string) {
		if out, err := exec.Command("nft", script).CombinedOutput(); err != nil {
			t.Errorf("nft %s: %v: %s", script, err, out)
		}
	}
	nft("add table ip podrun_other; add chain ip podrun_other c; add rule ip podrun_other c ip daddr 198.18.77.1 drop")
	group := "/sys/fs/cgroup/pids/podrun-other"
	if _, err := os.Stat("/sys/fs/cgroup/pids"); err != nil {
		group = "/sys/fs/cgroup/podrun-other"
	}
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(netlink.LinkDel(bridge), os.Remove(group)); err != nil {
			t.Error(err)
		}
		nft("delete table ip podrun_other")
	})
}

// An interrupt rolls back what this call has made.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	in := start(t)
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(sig.String(), func(t *testing.T) {
			name := fmt.Sprintf("interrupted-%d", sig)
			text := manifest(fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: a, image: REGISTRY/slow/a:1}]}\n", name))
			in.later(t, text)
			cmd := in.command(t.Context(), "up", "-")
			cmd.Stdin = strings.NewReader(text)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, 10*time.Second, func() error {
				if len(in.uidsOf(t, name)) == 0 {
					return errors.New("the pod is not there")
				}
				return nil
			})
			_ = cmd.Process.Signal(sig)
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != code {
				t.Errorf("exit %v, want %d", err, code)
			}
			if uids := in.uidsOf(t, name); len(uids) != 0 {
				t.Errorf("there is a pod %s", uids)
			}
		})
	}
}

// Without root there is one clear error, and no attempt.
func TestNotRoot(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "pr-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bin := filepath.Join(dir, "podrun")
	if err := errors.Join(exec.Command("cp", lab.podrun, bin).Run(), os.Chmod(dir, 0o755), os.Chmod(bin, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ps"}, {"up", "-"}, {"rm", "nothing"}, {"stack", "start"}} {
		cmd := exec.Command(bin, args...)
		cmd.Stdin = strings.NewReader(manifest("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: PROBE}]}\n"))
		cmd.Env = []string{"PODRUN_ROOT=" + filepath.Join(dir, "r"), "PODRUN_RUN_DIR=" + filepath.Join(dir, "s")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		r := finish(t, cmd).want(t, 1)
		if !strings.HasPrefix(r.stderr, "podrun: ") || !strings.Contains(r.stderr, "root") || !strings.Contains(r.stderr, "\nhint: ") {
			t.Errorf("%s: %q", args, r.stderr)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "[rs]")); len(left) > 0 {
		t.Errorf("made %v", left)
	}
}

// A containerd that is not there, or does not answer, is an error in bounded
// time.
func TestNoSuchContainerd(t *testing.T) {
	t.Parallel()
	in := empty(t)
	l, err := net.Listen("unix", filepath.Join(in.dir, "dead"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts, and never answers
	for _, address := range []string{filepath.Join(in.dir, "missing"), l.Addr().String()} {
		r := in.run(t, "--containerd", address, "ps").want(t, 1)
		if !strings.Contains(r.stderr, address) || r.took > 30*time.Second*lab.slowness {
			t.Errorf("after %v: %s", r.took, r.stderr)
		}
	}
}
