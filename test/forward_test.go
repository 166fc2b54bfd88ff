package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// forward runs port-forward in the background, and returns the local addresses
// in the order that it tells them.
type forward struct {
	cmd       *exec.Cmd
	stderr    *safeBuffer
	addresses []string
	ended     chan error
}

// safeBuffer may be read while it is written.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

var forwardingLine = regexp.MustCompile(`^Forwarding from (\S+) -> (\d+)\n$`)

func (in *instance) forward(t *testing.T, lines int, args ...string) *forward {
	t.Helper()
	f := &forward{cmd: in.command(t.Context(), append([]string{"port-forward"}, args...)...), stderr: &safeBuffer{}, ended: make(chan error, 1)}
	f.cmd.Stderr = f.stderr
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(stdout)
	for range lines {
		line, err := reader.ReadString('\n')
		match := forwardingLine.FindStringSubmatch(line)
		if match == nil {
			t.Errorf("says %q, %v: %s", line, err, f.stderr)
			break
		}
		f.addresses = append(f.addresses, match[1])
	}
	go func() {
		_, _ = io.Copy(io.Discard, reader)
		f.ended <- f.cmd.Wait()
	}()
	t.Cleanup(func() { _ = f.cmd.Process.Kill() })
	return f
}

// end waits for the end, and returns the exit code.
func (f *forward) end(t *testing.T) int {
	t.Helper()
	select {
	case <-f.ended:
	case <-time.After(patience * lab.slowness):
		t.Fatalf("port-forward does not end: %s", f.stderr)
	}
	return f.cmd.ProcessState.ExitCode()
}

// converse connects, says something, ends its own side, and returns the answer.
func converse(address, words string) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second * lab.slowness)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, words); err != nil {
		return "", err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// forwardsPorts: to a server that listens on the pod's loopback address alone,
// by number and by name; what is refused is told, and the rest goes on.
func forwardsPorts(t *testing.T, in *instance) {
	six, alone := 1, "127.0.0.1:82"
	if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		l.Close()
		six, alone = 2, "[::1]:82" // each port has a line for ::1 too
	}
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: forwarded}
spec:
  containers:
  - {name: a, image: PROBE, args: ["-http=127.0.0.1:80", -wait=-1s], ports: [{name: web, containerPort: 80}]}
  - {name: six, image: PROBE, args: ["-http=%s", -wait=-1s]}
  - {name: b, image: BUSYBOX, command: [nc, -ll, -p, "90", -e, wc, -c]}
`, alone))
	f := in.forward(t, 4*six, "forwarded", ":web", ":90", ":91", ":82")
	if len(f.addresses) < 4*six {
		t.FailNow()
	}
	for _, address := range append(f.addresses[:six:six], f.addresses[3*six:]...) {
		if r := ask(t, address); r.Hostname != "forwarded" {
			t.Errorf("%s leads to %q", address, r.Hostname)
		}
	}
	eventually(t, 5*time.Second, func() error {
		answer, err := converse(f.addresses[six], strings.Repeat("x", 100000))
		if strings.TrimSpace(answer) != "100000" {
			return fmt.Errorf("the answer is %q, %v", answer, err)
		}
		return nil
	})
	if answer, err := converse(f.addresses[2*six], "x"); err == nil {
		t.Errorf("nobody answers %q", answer)
	}
	eventually(t, 5*time.Second, func() error {
		if !strings.Contains(f.stderr.String(), "connect to port 91 of pod \"forwarded\": connect: connection refused") {
			return fmt.Errorf("stderr is %q", f.stderr)
		}
		return nil
	})
	before := openFiles(t, f.cmd.Process.Pid)
	for range 10 {
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, err := get(f.addresses[0]); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	eventually(t, 10*time.Second, func() error {
		if now := openFiles(t, f.cmd.Process.Pid); now > before {
			return fmt.Errorf("%d descriptors are open, %d before", now, before)
		}
		return nil
	})
	if err := f.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := f.end(t); code != 130 {
		t.Errorf("exit %d after an interrupt: %s", code, f.stderr)
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// forwardEnds: with the pod, whose failure is told by the exit code; and a pod
// in the network of the machine is reached too.
func forwardEnds(t *testing.T, in *instance) {
	p := port(t)
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: forwardhost}
spec:
  hostNetwork: true
  restartPolicy: Never
  containers: [{name: a, image: PROBE, args: ["-http=127.0.0.1:%d", -wait=-1s, -term-code=7]}]
`, p))
	f := in.forward(t, 1, "forwardhost", fmt.Sprintf(":%d", p))
	if r := ask(t, f.addresses[0]); r.PID != 1 {
		t.Errorf("answers as %d", r.PID)
	}
	if err := syscall.Kill(process(t, in.pod(t, "forwardhost"), "/probe").PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := f.end(t); code != 3 {
		t.Errorf("exit %d after the pod has failed: %s", code, f.stderr)
	}
	in.run(t, "port-forward", "forwardhost", "80").want(t, 1)
	in.run(t, "port-forward", "forwardhost", "nobody").want(t, 2)
	in.run(t, "port-forward", "forwardhost", "0").want(t, 2)
	in.run(t, "port-forward", "nowhere", "80").want(t, 1)
}

// forwardOutlived: a pod that is removed ends the forward, which is no failure.
func forwardOutlived(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: forwardgone}
spec:
  containers: [{name: a, image: PROBE, args: ["-http=:80", -wait=-1s]}]
`)
	f := in.forward(t, 1, "forwardgone", ":80")
	ask(t, f.addresses[0])
	in.ok(t, "rm", "--force", "forwardgone")
	if code := f.end(t); code != 0 {
		t.Errorf("exit %d after the pod was removed: %s", code, f.stderr)
	}
}
