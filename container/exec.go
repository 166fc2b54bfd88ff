package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/google/uuid"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Exec is a process to run in a running container, beside its own.
type Exec struct {
	Args     []string
	Terminal bool
	// Env is added to the container's own, WorkingDir and User take the place of
	// its own unless they are empty. User is user[:group], each a name of the
	// container's own accounts or a number.
	Env              []string
	WorkingDir, User string
	// Stdin may be nil; with a terminal Stderr is not used.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Resize sends the sizes that the terminal takes.
	Resize <-chan Size
	// Dir is where the FIFOs are made, in a directory of their own.
	Dir string
}

// Size is the size of a terminal, in characters.
type Size struct{ Width, Height uint32 }

// The exit codes of a command that could not be run, as shells have them.
const (
	ExitCannotRun = 126
	ExitNotFound  = 127
)

// Exec runs a process with the container's own environment, user and working
// directory, as far as exec says nothing else, and returns its exit code; ExitCannotRun or ExitNotFound comes
// with the error that says why. When ctx ends, the process is killed.
func (s *Store) Exec(ctx context.Context, id string, exec Exec) (int, error) {
	stdin := newInput(exec.Stdin)
	process, err := s.newProcess(ctx, id, exec, stdin)
	if err != nil {
		return 0, err
	}
	// The process is deleted whatever happens to the caller.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
		defer cancel()
		process.Delete(ctx, containerd.WithProcessKill)
	}()
	ended, err := process.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return 0, fmt.Errorf("wait for process: %w", err)
	}
	// Were it broken off, nobody would read what the process writes any more: the
	// shim would wait for that for 30 s, and say no earlier that the container has
	// ended, should it end meanwhile.
	starting, cancel := toItsEnd(ctx)
	defer cancel()
	if err := process.Start(starting); err != nil {
		stdin.atEnd(func() {})
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return notStarted(err), fmt.Errorf("run %q: %w", exec.Args[0], err)
	}
	// The shim knows the process' input from its start on only.
	stdin.atEnd(func() { process.CloseIO(ctx, containerd.WithStdinCloser) })
	go follow(ctx, process, exec.Resize)
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case status := <-ended:
		if err := drain(ctx, process.IO()); err != nil {
			return 0, err
		}
		code, _, err := status.Result()
		return int(code), err
	}
}

// drain waits for the rest of the output. As with a kubelet that takes until
// the last process that has it open ends, but no longer than ctx.
func drain(ctx context.Context, io cio.IO) error {
	drained := make(chan struct{})
	go func() {
		io.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		io.Cancel()
		return context.Cause(ctx)
	}
}

func (s *Store) newProcess(ctx context.Context, id string, exec Exec, stdin *input) (containerd.Process, error) {
	c, err := s.client.LoadContainer(ctx, id)
	if err != nil {
		return nil, err
	}
	runtimeSpec, err := c.Spec(ctx)
	if err != nil {
		return nil, err
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(exec.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := inherit(runtimeSpec.Linux.MountLabel, exec.Dir); err != nil {
		return nil, err
	}
	spec, err := processSpec(runtimeSpec.Process, exec, fmt.Sprintf("/proc/%d/root", task.Pid()))
	if err != nil {
		return nil, err
	}
	streams := cio.WithStreams(stdin.reader(), exec.Stdout, exec.Stderr)
	options := []cio.Opt{streams, cio.WithFIFODir(exec.Dir)}
	if exec.Terminal {
		options = append(options, cio.WithTerminal)
	}
	process, err := task.Exec(ctx, "exec-"+uuid.NewString(), spec, cio.NewCreator(options...))
	if err != nil {
		stdin.atEnd(func() {})
		return nil, fmt.Errorf("make process: %w", err)
	}
	return process, nil
}

// processSpec is a container's own process with what exec changes of it. root is
// where the container's files are.
func processSpec(own *specs.Process, exec Exec, root string) (*specs.Process, error) {
	process := *own
	process.Args = exec.Args
	process.Terminal = exec.Terminal
	process.ConsoleSize = nil
	process.Env = slices.Clone(own.Env)
	if exec.Terminal {
		process.Env = append(process.Env, "TERM=xterm")
	}
	process.Env = append(process.Env, exec.Env...) // of two values the last one counts
	if exec.WorkingDir != "" {
		process.Cwd = exec.WorkingDir
	}
	if exec.User != "" {
		user, err := lookUp(exec.User, root)
		if err != nil {
			return nil, err
		}
		process.User = specs.User{UID: user.UID, GID: user.GID, AdditionalGids: user.AdditionalGids}
	}
	return &process, nil
}

// notStarted tells the reason why a process did not start. runc says it in
// words only, which reach us as such through the shim and containerd.
func notStarted(err error) int {
	text := err.Error()
	switch {
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		return ExitNotFound
	case errors.Is(err, errdefs.ErrUnavailable):
		return 0
	default:
		return ExitCannotRun
	}
}

func follow(ctx context.Context, process containerd.Process, sizes <-chan Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			process.Resize(ctx, size.Width, size.Height)
		}
	}
}

// input is a reader that does something once, when it is at its end: the
// process in the container then sees the end of its input. What that is to be
// is known only after reading has begun.
type input struct {
	io.Reader
	closer chan func()
}

func newInput(r io.Reader) *input { return &input{Reader: r, closer: make(chan func(), 1)} }

// reader is nil when there is nothing to read.
func (i *input) reader() io.Reader {
	if i.Reader == nil {
		return nil
	}
	return i
}

func (i *input) atEnd(do func()) {
	i.closer <- do
	close(i.closer)
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.Reader.Read(p)
	if err != nil {
		if do, ok := <-i.closer; ok {
			do()
		}
	}
	return n, err
}
