package test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// talk is a podrun that a test talks to.
type talk struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *lines
}

// lines gathers output as it comes.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	done chan struct{}
}

func gather(r io.Reader) *lines {
	l := &lines{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		in := bufio.NewReader(r)
		for {
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			l.mu.Lock()
			l.text.WriteByte(b)
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// until waits until the output has a text.
func (l *lines) until(t *testing.T, text string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if said := l.String(); !strings.Contains(said, text) {
			return fmt.Errorf("no %q in %q", text, said)
		}
		return nil
	})
}

// attach begins a session over pipes.
func (in *instance) attach(t *testing.T, args ...string) *talk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience*lab.slowness)
	t.Cleanup(cancel)
	s := &talk{cmd: in.command(ctx, args...)}
	input, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.input, s.output = input, gather(output)
	return s
}

// onTerminal begins a session on a terminal of the given size.
func (in *instance) onTerminal(t *testing.T, size unix.Winsize, args ...string) (*talk, *os.File) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience*lab.slowness)
	t.Cleanup(cancel)
	pty, tty := terminal(t)
	defer tty.Close()
	resize(t, pty, size)
	s := &talk{cmd: in.command(ctx, args...), input: pty, output: gather(pty)}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s, pty
}

// terminal makes a terminal: the user's side, and the programs'.
func terminal(t *testing.T) (pty, tty *os.File) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pty.Close() })
	if err := unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return pty, tty
}

func resize(t *testing.T, pty *os.File, size unix.Winsize) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		t.Fatal(err)
	}
}

func (s *talk) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.input, text); err != nil {
		t.Fatal(err)
	}
}

// end waits for the session's end and its exit code.
func (s *talk) end(t *testing.T, code int) {
	t.Helper()
	<-s.output.done
	_ = s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%s: exit %d, want %d\n%s", s.cmd, got, code, s.output)
	}
}

// interrupt leaves a session that does not end by itself.
func (s *talk) interrupt(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	s.end(t, 130)
}

const echoer = `while read line; do echo "got $line"; echo "err $line" >&2; done; echo end; sleep 1000`

// attaches: who attaches talks to the main process; the input stays for the
// next one, or with stdinOnce does not.
func attaches(t *testing.T, in *instance) {
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: attached}
spec:
  containers:
  - {name: always, image: BUSYBOX, command: [sh, -c, %[1]q], stdin: true}
  - {name: once, image: BUSYBOX, command: [sh, -c, %[1]q], stdin: true, stdinOnce: true}
  - {name: never, image: BUSYBOX, command: [sh, -c, %[1]q]}
`, echoer))
	for _, word := range []string{"one", "two"} {
		s := in.attach(t, "attach", "-i", "attached")
		s.say(t, word+"\n")
		s.output.until(t, "got "+word)
		s.output.until(t, "err "+word)
		if word == "one" {
			s.input.Close() // the end of this one's is not the container's
		}
		s.interrupt(t)
	}
	s := in.attach(t, "attach", "-i", "-c", "once", "attached")
	s.say(t, "three\n")
	s.output.until(t, "got three")
	s.input.Close()
	s.output.until(t, "end")
	s.interrupt(t)
	r := in.run(t, "attach", "-i", "-c", "once", "attached").want(t, 1)
	if !strings.Contains(r.stderr, "its standard input is closed") {
		t.Errorf("it says %s", r.stderr)
	}
	in.run(t, "attach", "-i", "-c", "never", "attached").want(t, 2)
	if logged := in.ok(t, "logs", "-c", "never", "attached"); logged != "end\n" {
		t.Errorf("without an input it says %q", logged)
	}
	if logged := in.ok(t, "logs", "attached"); logged != "got one\ngot two\n" {
		t.Errorf("the log has %q", logged)
	}
}

// attachEnds: it ends with the container, after its last words.
func attachEnds(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: attachend}
spec:
  restartPolicy: Never
  containers: [{name: a, image: BUSYBOX, command: [sh, -c, "read word; printf last; exit 3"], stdin: true}]
`)
	s := in.attach(t, "attach", "-i", "attachend")
	s.say(t, "go\n")
	s.end(t, 0)
	if said := s.output.String(); said != "last" {
		t.Errorf("it said %q", said)
	}
}

// terminals: a container with a terminal has that of who attaches, in its size.
func terminals(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: terminal}
spec:
  containers: [{name: a, image: BUSYBOX, command: [sh], stdin: true, tty: true}]
`)
	for _, args := range [][]string{{"attach", "-i", "terminal"}, {"exec", "-i", "-t", "terminal", "--", "sh"}} {
		s, pty := in.onTerminal(t, unix.Winsize{Row: 40, Col: 100}, args...)
		s.say(t, "tty; echo $TERM\n")
		s.output.until(t, "\r\n/dev/pts/")
		s.output.until(t, "\r\nxterm\r\n")
		s.hasSize(t, "40 100")
		resize(t, pty, unix.Winsize{Row: 51, Col: 122})
		s.hasSize(t, "51 122")
		if args[0] == "exec" {
			s.say(t, "exit 7\n")
			eventually(t, 10*time.Second, func() error { return exited(s.cmd) })
			continue
		}
		if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error { return exited(s.cmd) })
	}
	in.pod(t, "terminal")
	if got := in.ok(t, "exec", "terminal", "--", "cat", "/proc/1/comm"); got != "sh\n" {
		t.Errorf("the shell that was left is %q", got)
	}
}

// hasSize waits until a shell says that its terminal has a size.
func (s *talk) hasSize(t *testing.T, size string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		s.say(t, "stty size\n")
		if said := s.output.String(); !strings.Contains(said, size+"\r\n") {
			return fmt.Errorf("the size is not %s: %q", size, said)
		}
		return nil
	})
}

// exited says whether a command has ended, without waiting.
func exited(cmd *exec.Cmd) error {
	var status syscall.WaitStatus
	if pid, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WNOHANG, nil); err == nil && pid == 0 {
		return fmt.Errorf("%s still runs", cmd)
	}
	return nil
}

// execAs: an exec'd process may differ from the container's own.
func execAs(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: execas}
spec:
  containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"], env: [{name: A, value: own}, {name: B, value: own}]}]
`)
	got := in.ok(t, "exec", "-e", "B=other", "-e", "C=", "-w", "/etc", "-u", "nobody:10", "execas", "--",
		"sh", "-c", "echo $A $B ${C-unset}; pwd; id -u; id -G; grep CapEff /proc/self/status")
	if want := "own other\n/etc\n65534\n10\nCapEff:\t0000000000000000\n"; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
	if got := in.ok(t, "exec", "-u", "77", "execas", "--", "id", "-u"); got != "77\n" {
		t.Errorf("user %q", got)
	}
	for _, args := range [][]string{{"-e", "A"}, {"-e", "=x"}, {"-w", "etc"}} {
		in.run(t, append(append([]string{"exec"}, args...), "execas", "--", "true")...).want(t, 2)
	}
	for _, user := range []string{"stranger", "4294967296"} {
		if r := in.run(t, "exec", "-u", user, "execas", "--", "true").want(t, 1); !strings.Contains(r.stderr, user) {
			t.Errorf("user %s: %s", user, r.stderr)
		}
	}
}

// Exec and attach leave neither files nor descriptors, in none of
// the processes that live on.
func TestRounds(t *testing.T) {
	t.Parallel()
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("PODRUN_ROUNDS"), "200"))
	if err != nil {
		t.Fatal(err)
	}
	in := start(t)
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: rounds}
spec:
  containers: [{name: a, image: BUSYBOX, command: [cat], stdin: true}]
`)
	round := func(i int) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience*lab.slowness)
		defer cancel()
		if i%10 > 0 {
			cmd := in.command(ctx, "exec", "-i", "rounds", "--", "cat")
			cmd.Stdin = strings.NewReader("x")
			if out, err := cmd.Output(); err != nil || string(out) != "x" {
				return fmt.Errorf("exec: %q, %w", out, err)
			}
			return nil
		}
		cmd := in.command(ctx, "attach", "-i", "rounds")
		input, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		word := fmt.Sprintf("word %d\n", i)
		_, err = io.WriteString(input, word)
		for text := ""; err == nil && !strings.Contains(text, word); {
			text, err = bufio.NewReader(out).ReadString('\n')
		}
		if err != nil {
			return fmt.Errorf("attach: %w", err)
		}
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		return nil
	}
	// What is made once, or once for each round at a time, is there then.
	if err := sideBySide(40, round); err != nil {
		t.Fatal(err)
	}
	before := in.openFiles(t)
	if err := sideBySide(rounds, round); err != nil {
		t.Error(err)
	}
	// A shim closes the pidfd of a runtime that has ended when it collects garbage: every
	// 30 s if nothing happens.
	eventually(t, 45*time.Second, func() error {
		for pid, now := range in.openFiles(t) {
			if was, ok := before[pid]; ok && len(now) > len(was) {
				return fmt.Errorf("process %d has %d files open, before %d:\n%s\nbefore\n%s", pid, len(now), len(was), strings.Join(now, "\n"), strings.Join(was, "\n"))
			}
		}
		return nil
	})
	left, err := filepath.Glob(filepath.Join(in.RunDir, "pods", string(pod.UID), "exec", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// sideBySide takes rounds, four at a time, up to the first that fails.
func sideBySide(rounds int, round func(int) error) error {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(4)
	for i := range rounds {
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			return round(i)
		})
	}
	return group.Wait()
}

// openFiles are those of each process of the instance.
func (in *instance) openFiles(t *testing.T) map[int][]string {
	t.Helper()
	files := map[int][]string{}
	for _, p := range in.processes(t) {
		dir := fmt.Sprintf("/proc/%d/fd", p.PID)
		fds, err := os.ReadDir(dir)
		for _, fd := range fds {
			target, _ := os.Readlink(filepath.Join(dir, fd.Name()))
			files[p.PID] = append(files[p.PID], fd.Name()+" "+target)
		}
		if err != nil {
			delete(files, p.PID) // it has ended
		}
	}
	return files
}
