package test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"podrun/test/leakcheck"
)

// crashPod has what can be left behind: volumes, an address, a hostPort, two
// containers. They end at once when they are told, so that few of the moments
// fall into a wait.
const crashPod = `
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: disk}, {name: ram, emptyDir: {medium: Memory}}]
  containers:
  - {name: a, image: PROBE, args: ["-http=:80", -wait=-1s], ports: [{containerPort: 80, hostPort: %d}],
     volumeMounts: [{name: disk, mountPath: /disk}, {name: ram, mountPath: /ram}]}
  - {name: b, image: PROBE, args: [-wait=-1s]}
`

// A process may die at any moment: afterwards rm and gc bring back the first
// state of the machine.
func TestCrash(t *testing.T) {
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("PODRUN_CRASH_ROUNDS"), "20"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("PODRUN_CRASH_SEED"), fmt.Sprint(time.Now().UnixNano())), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("PODRUN_CRASH_SEED=%d", seed)
	in := alone(t)
	c := crash{in: in, rand: rand.New(rand.NewPCG(seed, 0)), manifest: manifest(fmt.Sprintf(crashPod, port(t)))}
	c.measure(t)
	for i := range rounds {
		name := fmt.Sprintf("%d %s during %s", i, victims[i%len(victims)], verbs[i/len(victims)%len(verbs)])
		ok := t.Run(name, func(t *testing.T) {
			c.round(t, victims[i%len(victims)], verbs[i/len(victims)%len(verbs)])
		})
		if !ok {
			break // what is left would only be found again
		}
	}
}

var (
	victims = []string{"cli", "supervisor", "shim", "containerd"}
	verbs   = []string{"up", "debug", "rm"}
)

// crash causes crashes of one instance.
type crash struct {
	in       *instance
	rand     *rand.Rand
	manifest string
	machine  leakcheck.Listing
	took     map[string]time.Duration // how long a verb takes undisturbed
}

// measure takes the listing that each round has to come back to.
func (c *crash) measure(t *testing.T) {
	t.Helper()
	c.took = map[string]time.Duration{}
	for _, verb := range verbs {
		c.took[verb] = c.in.input(t, c.manifest, c.args(verb)...).want(t, 0).took
	}
	eventually(t, settle, func() error {
		if all := c.in.supervisors(t, 0); len(all) > 0 {
			return fmt.Errorf("removed, but supervised: %v", all)
		}
		return nil
	})
	var err error
	if c.machine, err = leakcheck.Machine(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("undisturbed: %v", c.took)
}

// args are how a verb is called.
func (c *crash) args(verb string) []string {
	return map[string][]string{
		"up":    {"up", "--timeout", "10s", "-"},
		"debug": {"debug", "--timeout", "10s", "crash", "--target", "a", "--image", lab.probe, "--", "/probe", "-wait=-1s"},
		"rm":    {"rm", "--timeout", "10s", "crash"},
	}[verb]
}

// round starts a verb, kills the victim at a random moment of it, and cleans
// up.
func (c *crash) round(t *testing.T, victim, verb string) {
	if verb != "up" {
		c.in.input(t, c.manifest, "up", "-").want(t, 0)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience*lab.slowness)
	defer cancel()
	cmd := c.in.command(ctx, c.args(verb)...)
	cmd.Stdin = strings.NewReader(c.manifest)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	moment := time.Duration(c.rand.Int64N(int64(c.took[verb])))
	time.Sleep(moment)
	killed := c.kill(t, victim, cmd)
	err := cmd.Wait()
	t.Logf("killed %d of %s after %v: %v", killed, victim, moment, err)
	if ctx.Err() != nil {
		t.Errorf("%s hangs", verb)
	}
	c.in.ok(t, "rm", "--all", "--force")
	c.in.ok(t, "gc")
	c.compare(t)
}

// kill kills the processes that the victim's name stands for, and says how
// many there were.
func (c *crash) kill(t *testing.T, victim string, cli *exec.Cmd) int {
	t.Helper()
	switch victim {
	case "cli":
		_ = cli.Process.Kill()
		return 1
	case "containerd":
		pid, err := c.in.PID()
		if err != nil {
			return 0
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return 1
	case "shim":
		return killAll(c.in.shims(t))
	default:
		return killAll(c.in.supervisors(t, cli.Process.Pid))
	}
}

func killAll(all []leakcheck.Process) int {
	for _, p := range all {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	return len(all)
}

func (c *crash) compare(t *testing.T) {
	t.Helper()
	c.in.clean(t)
	ctx, cancel := context.WithTimeout(t.Context(), settle*lab.slowness)
	defer cancel()
	diff, err := leakcheck.Settle(ctx, c.machine, leakcheck.Machine)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range diff {
		t.Errorf("the machine is not as it was: %s", line)
	}
}

// shims are the instance's shims.
func (in *instance) shims(tb testing.TB) (out []leakcheck.Process) {
	tb.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range all {
		if filepath.Base(p.Exe) == "containerd-shim-runc-v2" && p.Names(in.dir, in.Socket()) {
			out = append(out, p)
		}
	}
	return out
}

// supervisors are the instance's podrun processes but for the one that the
// test itself has started.
func (in *instance) supervisors(tb testing.TB, cli int) (out []leakcheck.Process) {
	tb.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range all {
		if p.Exe == in.bin && p.PID != cli && in.calls(p) {
			out = append(out, p)
		}
	}
	return out
}

// awaitSupervisors waits until there are n supervisors: that of a pod that was
// removed may be about to leave, and that of a new one about to take over, or
// so young that it does not yet tell what it is.
func (in *instance) awaitSupervisors(t *testing.T, n int) (all []leakcheck.Process) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		if all = in.supervisors(t, 0); len(all) != n {
			return fmt.Errorf("%d supervisors: %v", len(all), all)
		}
		return nil
	})
	return all
}

// killSupervisor kills the only supervisor, and returns when it is gone: whoever
// looks at its pod from then on finds that nobody owns it.
func (in *instance) killSupervisor(t *testing.T) {
	t.Helper()
	pid := in.awaitSupervisors(t, 1)[0].PID
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	eventually(t, 5*time.Second, func() error {
		if n, err := unix.Poll(ended, 0); n != 1 {
			return fmt.Errorf("process %d is still there (%v)", pid, err)
		}
		return nil
	})
}

// calls says whether a process has the directories of the instance on its
// command line or in its environment.
func (in *instance) calls(p leakcheck.Process) bool {
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
	return p.Names(in.dir) || strings.Contains(string(environ), in.RunDir)
}

// The next podrun takes over from a supervisor that was killed, and not a line
// of the log is lost or doubled, however often that happens.
func TestTakeover(t *testing.T) {
	const lines = 1500
	in := alone(t)
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: orphan}
spec:
  restartPolicy: Never
  containers: [{name: a, image: PROBE, args: ["-lines=%d", -every=2ms]}]
`, lines))
	for range 5 {
		in.killSupervisor(t)
		time.Sleep(50 * time.Millisecond) // lines are written that nobody reads
		in.ok(t, "ps")
	}
	if a := container(t, in.phase(t, "orphan", corev1.PodSucceeded), "a"); a.RestartCount != 0 || a.State.Terminated == nil || a.State.Terminated.Reason != "Completed" {
		t.Errorf("container a: %+v", a)
	}
	r := in.run(t, "logs", "orphan").want(t, 0)
	for i, stream := range []string{r.stdout, r.stderr} {
		var want strings.Builder
		for n := i; n < lines; n += 2 {
			fmt.Fprintf(&want, "line %d\n", n)
		}
		if stream != want.String() {
			t.Errorf("stream %d has %d bytes, want %d", i, len(stream), want.Len())
		}
	}
}

// A pod keeps the settings that it was made with, whoever takes over, and when
// it begins anew.
func TestKeepsSettings(t *testing.T) {
	in := alone(t)
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: settled}
spec:
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, "exit 1"]}
  - {name: b, image: BUSYBOX, command: [sh, -c, "seq 1 10000; trap 'exit 0' TERM; while :; do sleep 0.05; done"]}
`, "--backoff-base", "20ms", "--log-max-size", "20Ki")
	restarts := func(n int32) {
		t.Helper()
		eventually(t, 10*time.Second, func() error { // with the usual settings 5 restarts take minutes
			if a := container(t, in.pod(t, "settled"), "a"); a.RestartCount < n {
				return fmt.Errorf("%d restarts, want %d", a.RestartCount, n)
			}
			return nil
		})
	}
	in.killSupervisor(t)
	restarts(container(t, in.pod(t, "settled"), "a").RestartCount + 5)
	eventually(t, 25*time.Second, func() error {
		files, err := filepath.Glob(filepath.Join(in.Root, "pods", string(pod.UID), "logs", "b", "0.log.*"))
		if err == nil && len(files) == 0 {
			err = errors.New("the log is not rotated")
		}
		return err
	})
	in.ok(t, "stop", "settled")
	in.ok(t, "start", "settled")
	restarts(5)
}

// A pod that ends while nobody watches is seen to have ended, with its exit
// code.
func TestEndsUnwatched(t *testing.T) {
	in := alone(t)
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: unwatched}
spec:
  restartPolicy: Never
  containers: [{name: a, image: PROBE, args: ["-term-code=9", -wait=-1s]}]
`)
	probe := process(t, pod, "/probe")
	in.killSupervisor(t)
	_ = syscall.Kill(probe.PID, syscall.SIGTERM)
	pod = in.phase(t, "unwatched", corev1.PodFailed)
	if a := container(t, pod, "a"); a.State.Terminated == nil || a.State.Terminated.ExitCode != 9 {
		t.Errorf("container a: %+v", a)
	}
}

// Pods outlive their containerd, and the next one finds them again.
func TestContainerdDies(t *testing.T) {
	in := alone(t)
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: survivor}
spec:
  containers:
  - {name: a, image: PROBE, args: ["-http=:80", -wait=-1s]}
  - {name: b, image: BUSYBOX, command: [sleep, "1000"]}
`)
	answers := func() {
		t.Helper()
		now := in.pod(t, "survivor")
		if ask(t, addr(pod.Status.PodIP, 80)).PID != 1 || now.Status.Phase != corev1.PodRunning {
			t.Errorf("phase %s", now.Status.Phase)
		}
		for _, name := range []string{"a", "b"} {
			was, is := container(t, pod, name), container(t, now, name)
			if is.RestartCount != 0 || is.ContainerID != was.ContainerID || !is.Ready {
				t.Errorf("container %s was %+v, is %+v", name, was, is)
			}
		}
		in.ok(t, "exec", "survivor", "-c", "b", "--", "true")
	}
	pid, err := in.PID()
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	// The supervisor notices and starts another one; podrun is not called.
	eventually(t, 5*time.Second, func() error {
		another, err := in.PID()
		if err == nil && another == pid {
			err = errors.New("it still runs")
		}
		return err
	})
	answers()
	in.ok(t, "stack", "stop")
	answers()
	in.ok(t, "stack", "stop")
	in.ok(t, "stack", "start")
	answers()
	// A container that dies afterwards is restarted: somebody watches again.
	_ = syscall.Kill(process(t, pod, "/probe").PID, syscall.SIGKILL)
	eventually(t, 10*time.Second, func() error {
		if a := container(t, in.pod(t, "survivor"), "a"); a.RestartCount != 1 || !a.Ready {
			return fmt.Errorf("container a: %+v", a)
		}
		return nil
	})
}

// A containerd that was killed may not know of tasks any more whose processes
// run and whose directories are in the way of the next ones. They are found.
func TestLostTasks(t *testing.T) {
	in := alone(t)
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: lost}
spec:
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"]}
  - {name: b, image: BUSYBOX, command: [sleep, "1000"]}
`)
	uid := in.uidsOf(t, "lost")[0]
	pid, err := in.PID()
	if err != nil {
		t.Fatal(err)
	}
	killAll(in.supervisors(t, 0)) // they would start containerd again
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killAll(in.shims(t))
	before := processesOf(t, uid)
	if len(before) != 3 {
		t.Fatalf("of the pod there are the processes %v", before)
	}
	tasks := filepath.Join(in.RunDir, "containerd", "io.containerd.runtime.v2.task", "podrun")
	if err := os.Rename(tasks, tasks+"-away"); err != nil {
		t.Fatal(err)
	}
	in.ok(t, "stack", "start")
	if err := os.Rename(tasks+"-away", tasks); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		pod := in.pod(t, "lost")
		for _, s := range pod.Status.ContainerStatuses {
			if s.RestartCount != 1 || s.State.Running == nil {
				return fmt.Errorf("container %s: %+v", s.Name, s)
			}
		}
		return nil
	})
	after := processesOf(t, uid)
	if len(after) != 3 || slices.ContainsFunc(after, func(pid int) bool { return slices.Contains(before, pid) }) {
		t.Errorf("of the pod there are the processes %v, and were %v", after, before)
	}
}

// processesOf lists the processes of a pod.
func processesOf(t *testing.T, uid string) (pids []int) {
	t.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Of(uid) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}
