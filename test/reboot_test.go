package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"github.com/google/uuid"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"podrun/test/leakcheck"
)

// After a reboot nothing is claimed to run that does not, and nothing runs again
// before somebody starts it: then from the first init container on.
func TestReboot(t *testing.T) {
	in := alone(t)
	const again = `
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  volumes: [{name: disk}, {name: ram, emptyDir: {medium: Memory}}]
  initContainers:
  - {name: i, image: BUSYBOX, command: [sh, -c, "echo >> /disk/inits"], volumeMounts: [{name: disk, mountPath: /disk}]}
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: disk, mountPath: /disk}, {name: ram, mountPath: /ram}]}
`
	in.up(t, again)
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: once}
spec:
  restartPolicy: Never
  containers: [{name: a, image: PROBE, args: [-wait=-1s]}]
`)
	in.reboot(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in.run(t, "events").stdout)
			in.explain(t)
		}
	})
	for _, pod := range in.pods(t).Items {
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Running != nil || s.Ready {
				t.Errorf("pod %s: %+v", pod.Name, s)
			}
		}
		if c := condition(t, &pod, corev1.PodReady); c.Status == corev1.ConditionTrue {
			t.Errorf("pod %s: %+v", pod.Name, c)
		}
		if pod.Status.Phase != corev1.PodFailed || pod.Status.Reason != "NodeRebooted" {
			t.Errorf("pod %s: %s, %s", pod.Name, pod.Status.Phase, pod.Status.Reason)
		}
	}
	// Supervisors have come, and go when all is taken down.
	eventually(t, settle, func() error {
		if n := len(in.supervisors(t, 0)); n > 0 {
			return fmt.Errorf("%d supervisors", n)
		}
		return nil
	})
	for _, name := range []string{"again", "once"} {
		if line := in.ok(t, "ps", name); !strings.Contains(line, "NodeRebooted") {
			t.Errorf("ps says\n%s", line)
		}
		end := container(t, in.pod(t, name), "a").State.Terminated
		if end == nil || end.ExitCode != 137 || end.Reason != "ContainerStatusUnknown" {
			t.Errorf("end of pod %s: %+v", name, end)
		}
	}
	in.ok(t, "start", "again")
	pod := in.ready(t, "again", corev1.ConditionTrue)
	if a := container(t, pod, "a"); a.RestartCount != 1 {
		t.Errorf("container a: %+v", a)
	}
	if got := in.ok(t, "exec", "again", "--", "wc", "-l", "/disk/inits"); got != "2 /disk/inits\n" {
		t.Errorf("runs of the init container: %q", got)
	}

	in.reboot(t)
	up := in.input(t, manifest(again), "up", "-")
	up.want(t, 0)
	if up.stdout != "pod/again configured\n" {
		t.Errorf("up says %q", up.stdout)
	}
	in.ready(t, "again", corev1.ConditionTrue)
}

// reboot does to the instance what a reboot does: all processes end at once, and
// what is mounted or in the run directory is gone.
func (in *instance) reboot(t *testing.T) {
	t.Helper()
	uids, bridge := in.uids(t), bridgeOf(t, in.pods(t).Items[0].Status.PodIP)
	pid, err := in.PID()
	if err != nil {
		t.Fatal(err)
	}
	newBoot(t)
	killAll(in.supervisors(t, 0)) // they would start containerd again
	_ = syscall.Kill(pid, syscall.SIGKILL)
	killAll(in.shims(t))
	eventually(t, settle, func() error {
		all, err := leakcheck.Processes()
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(all, func(p leakcheck.Process) bool {
			return !slices.ContainsFunc(uids, func(uid string) bool { return p.Of(uid) })
		})
		if killAll(left) > 0 {
			return fmt.Errorf("%d processes are left", len(left))
		}
		return nil
	})
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	slices.Reverse(lines)
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], in.dir+"/") {
			if err := unix.Unmount(fields[1], unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.RemoveAll(in.RunDir); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(bridge); err != nil {
		t.Fatal(err)
	}
	forgetRules(t, uids)
	// containerd does not look for what it kept elsewhere of tasks that it lost
	// with its state: empty directories, one a task.
	if err := os.RemoveAll(filepath.Join(in.Root, "containerd", "io.containerd.runtime.v2.task", "podrun")); err != nil {
		t.Fatal(err)
	}
}

// newBoot gives the machine another boot ID until the test ends.
func newBoot(t *testing.T) {
	t.Helper()
	const id = "/proc/sys/kernel/random/boot_id"
	file := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(file, []byte(uuid.NewString()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(file, id, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(id, 0); err != nil {
			t.Error(err)
		}
	})
}

// bridgeOf returns the bridge by which a pod's address is reached.
func bridgeOf(t *testing.T, ip string) netlink.Link {
	t.Helper()
	routes, err := netlink.RouteGet(net.ParseIP(ip))
	if err != nil || len(routes) == 0 {
		t.Fatalf("route to %s: %v", ip, err)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		t.Fatal(err)
	}
	if link.Type() != "bridge" {
		t.Fatalf("%s is reached by %s, a %s", ip, link.Attrs().Name, link.Type())
	}
	return link
}

// forgetRules removes the tables of nftables of pods.
func forgetRules(t *testing.T, uids []string) {
	t.Helper()
	rules, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := rules.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if slices.ContainsFunc(uids, func(uid string) bool { return strings.Contains(table.Name, uid) }) {
			rules.DelTable(table)
		}
	}
	if err := rules.Flush(); err != nil {
		t.Fatal(err)
	}
}
