package test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"podrun/test/leakcheck"
)

// debugger returns the status of an ephemeral container.
func debugger(pod *corev1.Pod, name string) (corev1.ContainerStatus, error) {
	for _, s := range pod.Status.EphemeralContainerStatuses {
		if s.Name == name {
			return s, nil
		}
	}
	return corev1.ContainerStatus{}, fmt.Errorf("pod %s has no ephemeral container %s: %+v", pod.Name, name, pod.Status.EphemeralContainerStatuses)
}

// hasEnded waits until an ephemeral container has, with an exit code.
func (in *instance) hasEnded(t *testing.T, pod, name string, code int32) {
	t.Helper()
	eventually(t, 15*time.Second, func() error {
		s, err := debugger(in.pod(t, pod), name)
		if err == nil && (s.State.Terminated == nil || s.State.Terminated.ExitCode != code || s.RestartCount != 0) {
			err = fmt.Errorf("ephemeral container %s: %+v", name, s)
		}
		return err
	})
}

// sleeper returns the process of the pod that sleeps for so many seconds.
func sleeper(t *testing.T, pod *corev1.Pod, seconds string) leakcheck.Process {
	t.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Of(string(pod.UID)) && slices.Equal(p.Args, []string{"sleep", seconds}) {
			return p
		}
	}
	t.Fatalf("in pod %s nobody sleeps for %s seconds", pod.Name, seconds)
	return leakcheck.Process{}
}

// namespacesOf are those of a process.
func namespacesOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, kind := range []string{"net", "ipc", "uts", "pid", "mnt"} {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = link
	}
	return all
}

// debugsTarget: an ephemeral container sees the processes and the files of its
// target and shares what the pod shares; it is confined as the others are.
func debugsTarget(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: debugged}
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: 1
  containers:
  - {name: other, image: BUSYBOX, command: [sleep, "4320"]}
  - {name: server, image: BUSYBOX, command: [sh, -c, "echo deep > /secret; exec sleep 4321"]}
`)
	in.ok(t, "debug", "debugged", "--image", lab.busybox, "--target", "server", "-c", "near", "--", "sleep", "4322")
	in.ok(t, "debug", "debugged", "--image", lab.busybox, "-c", "far", "--", "sleep", "4323")
	const tell = "tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/root/secret; hostname -i; grep -h -e CapEff -e Seccomp: /proc/self/status"
	r := in.run(t, "exec", "debugged", "-c", "near", "--", "sh", "-c", tell).want(t, 0)
	server := in.ok(t, "exec", "debugged", "-c", "server", "--", "sh", "-c", tell)
	if r.stdout != server || !strings.HasPrefix(server, "sleep 4321 deep\n"+pod.Status.PodIP+"\n") || !strings.Contains(server, "Seccomp:\t2") {
		t.Errorf("the server sees %q, the debugger %q", server, r.stdout)
	}
	if seen := in.ok(t, "exec", "debugged", "-c", "near", "--", "ps", "-o", "args"); strings.Contains(seen, "4320") || strings.Contains(seen, "4323") || !strings.Contains(seen, "4322") {
		t.Errorf("the debugger sees\n%s", seen)
	}
	if first := in.ok(t, "exec", "debugged", "-c", "far", "--", "cat", "/proc/1/cmdline"); first != "sleep\x004323\x00" {
		t.Errorf("without a target the first process is %q", first)
	}
	spaces := map[string]map[string]string{}
	for _, number := range []string{"4320", "4321", "4322", "4323"} {
		p := sleeper(t, pod, number)
		spaces[number] = namespacesOf(t, p.PID)
		if !p.Of(string(pod.UID)) {
			t.Errorf("%v is in the cgroup %s", p.Args, p.Cgroup)
		}
	}
	for kind, of := range spaces["4321"] {
		shared := kind != "pid" && kind != "mnt"
		if near := spaces["4322"][kind] == of; near != (shared || kind == "pid") {
			t.Errorf("the debugger shares the %s namespace of its target: %v", kind, near)
		}
		if far := spaces["4323"][kind] == of; far != shared {
			t.Errorf("the other debugger shares the %s namespace: %v", kind, far)
		}
	}
	file := filepath.Join(t.TempDir(), "hostname")
	in.ok(t, "cp", "-c", "near", "debugged:/etc/hostname", file)
	if name, err := os.ReadFile(file); err != nil || string(name) != "debugged\n" {
		t.Errorf("copied %q, %v", name, err)
	}
	if stats := in.ok(t, "stats", "debugged", "-o", "json"); !strings.Contains(stats, `"near"`) {
		t.Errorf("stats are\n%s", stats)
	}
	// The namespace ends with its first process, and what is in it.
	if err := syscall.Kill(sleeper(t, pod, "4321").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	in.hasEnded(t, "debugged", "near", 137)
	eventually(t, 15*time.Second, func() error {
		if s := container(t, in.pod(t, "debugged"), "server"); s.RestartCount != 1 || !s.Ready {
			return fmt.Errorf("server: %+v", s)
		}
		return nil
	})
	in.ok(t, "rm", "debugged")
	in.gone(t, string(pod.UID))
}

// debugsSharedProcesses: where a pod's containers share their processes, an
// ephemeral one does, with a target and without.
func debugsSharedProcesses(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: debugged-shared}
spec:
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 1
  containers: [{name: a, image: BUSYBOX, command: [sleep, "4330"]}]
`)
	for _, flags := range [][]string{{}, {"--target", "a"}} {
		args := append([]string{"debug", "debugged-shared", "-i", "--image", lab.busybox}, flags...)
		seen := in.ok(t, append(args, "--", "ps", "-o", "pid,args")...)
		if !strings.Contains(seen, "    1 /pause") || !strings.Contains(seen, "sleep 4330") {
			t.Errorf("%v: it sees\n%s", flags, seen)
		}
	}
}

// debugsBlockedPod: a pod whose init container hangs can be looked into; what it
// is made of decides who the ephemeral container runs as.
func debugsBlockedPod(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: debugged-init}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1234, runAsNonRoot: true}
  initContainers: [{name: i, image: BUSYBOX, command: [sleep, "4340"]}]
  containers: [{name: a, image: BUSYBOX, command: [sleep, "4341"]}]
`, "--detach")
	eventually(t, 10*time.Second, func() error {
		if s := in.pod(t, "debugged-init").Status.InitContainerStatuses; len(s) == 0 || s[0].State.Running == nil {
			return fmt.Errorf("init containers: %+v", s)
		}
		return nil
	})
	if got := in.ok(t, "debug", "debugged-init", "-i", "--target", "i", "--image", lab.busybox, "--", "sh", "-c", "id -u; cat /proc/1/cmdline"); got != "1234\nsleep\x004340\x00" {
		t.Errorf("it says %q", got)
	}
	if r := in.run(t, "debug", "debugged-init", "--target", "a", "--image", lab.busybox, "--", "sh").want(t, 1); !strings.Contains(r.stderr, `target "a": container is not running`) {
		t.Errorf("it says %s", r.stderr)
	}
	if pod := in.pod(t, "debugged-init"); pod.Status.Phase != corev1.PodPending || len(pod.Spec.EphemeralContainers) != 1 {
		t.Errorf("phase %s, %+v", pod.Status.Phase, pod.Spec.EphemeralContainers)
	}
}

// debugsAsNobodyButRoot: an ephemeral container that may not be root is none.
func debugsAsNobodyButRoot(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: debugged-nonroot}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true}
  containers: [{name: a, image: BUSYBOX, command: [sleep, "4350"], securityContext: {runAsUser: 7}}]
`)
	r := in.run(t, "debug", "debugged-nonroot", "--image", lab.busybox, "--", "sh").want(t, 1)
	if !strings.Contains(r.stderr, "CreateContainerConfigError: container has runAsNonRoot and image will run as root") {
		t.Errorf("it says %s", r.stderr)
	}
	if pod := in.pod(t, "debugged-nonroot"); len(pod.Spec.EphemeralContainers) != 0 {
		t.Errorf("it was left: %+v", pod.Spec.EphemeralContainers)
	}
}

// debugsOnTerminal: an ephemeral container has the terminal of who debugs, in its
// size.
func debugsOnTerminal(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: debugged-tty}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: a, image: BUSYBOX, command: [sleep, "4360"]}]
`)
	s, pty := in.onTerminal(t, unix.Winsize{Row: 40, Col: 100}, "debug", "debugged-tty", "-it", "-c", "shell", "--image", lab.busybox, "--", "sh")
	s.output.until(t, "# ") // the first prompt is not lost
	s.say(t, "tty\n")
	s.output.until(t, "\r\n/dev/pts/")
	s.hasSize(t, "40 100")
	resize(t, pty, unix.Winsize{Row: 51, Col: 122})
	s.hasSize(t, "51 122")
	s.say(t, "exit 7\n")
	in.hasEnded(t, "debugged-tty", "shell", 7)
	eventually(t, 10*time.Second, func() error { return exited(s.cmd) })
}

// debugsNothing: a container that cannot be pulled is taken away when debug is
// interrupted, and does its pod no harm when that was killed.
func debugsNothing(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: debugged-not}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: a, image: BUSYBOX, command: [sleep, "4370"]}]
`)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		ctx, cancel := context.WithTimeout(t.Context(), patience*lab.slowness)
		defer cancel()
		cmd := in.command(ctx, "debug", "debugged-not", "--image", silent.Addr().String()+"/x:1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			if now := in.pod(t, "debugged-not"); len(now.Spec.EphemeralContainers) != 1 {
				return fmt.Errorf("it has %+v", now.Spec.EphemeralContainers)
			}
			return nil
		})
		_ = cmd.Process.Signal(signal)
		_ = cmd.Wait()
		now := in.pod(t, "debugged-not")
		if interrupted := signal == syscall.SIGINT; interrupted != (len(now.Spec.EphemeralContainers) == 0) || now.Status.Phase != corev1.PodRunning || !container(t, now, "a").Ready {
			t.Errorf("after %v: %+v, phase %s", signal, now.Spec.EphemeralContainers, now.Status.Phase)
		}
	}
	in.ok(t, "rm", "debugged-not")
	in.gone(t, string(pod.UID))
}

// An ephemeral container is a part of its pod whoever dies: it outlives the
// supervisor, can be added when there is none, and does not come back with the
// next sandbox.
func TestDebugOutlives(t *testing.T) {
	in := alone(t)
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: outlived}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: a, image: BUSYBOX, command: [sleep, "4380"]}]
`)
	debug := func(name string) {
		in.ok(t, "debug", "outlived", "--image", lab.busybox, "-c", name, "--", "sleep", "438"+name[1:])
	}
	debug("e1")
	in.killSupervisor(t)
	debug("e2")
	for range 2 {
		now := in.pod(t, "outlived")
		for _, name := range []string{"e1", "e2"} {
			if s, err := debugger(now, name); err != nil || s.State.Running == nil {
				t.Errorf("%s: %+v, %v", name, s, err)
			}
			sleeper(t, pod, "438"+name[1:])
		}
		in.killSupervisor(t)
	}
	in.ok(t, "ps")
	if err := syscall.Kill(process(t, pod, "/pause").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		if a := container(t, in.pod(t, "outlived"), "a"); a.RestartCount != 1 || !a.Ready {
			return fmt.Errorf("a: %+v", a)
		}
		return nil
	})
	for _, name := range []string{"e1", "e2"} {
		s, err := debugger(in.pod(t, "outlived"), name)
		if err != nil || s.State.Terminated == nil || s.RestartCount != 0 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	debug("e3")
	in.ok(t, "rm", "outlived")
	in.gone(t, string(pod.UID))
}
