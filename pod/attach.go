package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/container/logs"
	"podrun/pod/status"
	"podrun/pod/supervise"
)

// ErrNoInput says that a container has no standard input.
var ErrNoInput = errors.New("has no standard input: its manifest does not say stdin: true")

// Attachment is what Attach connects with a container's main process.
type Attachment struct {
	// Stdin may be nil. A terminal sends what is typed as it is.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Resize sends the sizes that a terminal takes; may be nil.
	Resize <-chan container.Size
}

// HasTerminal says whether a container of a pod has one. name may be empty, as
// with Attach.
func (e *Engine) HasTerminal(ctx context.Context, ref Ref, name string) (bool, error) {
	v, err := e.find(ctx, ref)
	if err != nil {
		return false, err
	}
	spec, err := containerSpec(v.pod, name)
	return err == nil && spec.TTY, err
}

// Attach hands on what a container's main process writes from now on, and what
// it is to read, until it ends or ctx is done. With stdinOnce the container's
// input ends with that of the first who attaches, else never.
func (e *Engine) Attach(ctx context.Context, ref Ref, name string, a Attachment) error {
	t, err := e.attachTo(ctx, ref, name)
	if err != nil {
		return err
	}
	// Before it is told anything, for its answer to be heard.
	output, err := supervise.LogFiles(e.sandboxes, t.uid, t.spec.Name, t.instance.Attempt).Attach()
	if err != nil {
		return err
	}
	defer output.Close()
	return e.converse(ctx, t, output, a)
}

// converse connects a with a container's input and what is seen of its output.
func (e *Engine) converse(ctx context.Context, t *attachable, output *logs.Attached, a Attachment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.Stdin != nil {
		disconnect, err := e.connect(ctx, t, a.Stdin)
		if err != nil {
			return fmt.Errorf("attach to container %q of pod %q: %w", t.spec.Name, t.pod, err)
		}
		defer disconnect()
	}
	go e.resize(ctx, t.instance.ID, a.Resize)
	return output.Copy(ctx, a.Stdout, a.Stderr, e.ended(ctx, t.uid, t.instance))
}

// attachable is a running container that somebody attaches to.
type attachable struct {
	pod, uid string // its pod's name and UID
	spec     *v1.Container
	instance *status.Container
}

func (e *Engine) attachTo(ctx context.Context, ref Ref, name string) (*attachable, error) {
	v, err := e.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	spec, err := containerSpec(v.pod, name)
	if err != nil {
		return nil, err
	}
	if err := e.ensureSupervised(v); err != nil {
		return nil, err
	}
	newest := v.observed.Newest(spec.Name)
	if newest == nil || newest.State != status.Running {
		return nil, fmt.Errorf("attach to container %q of pod %q: %w", spec.Name, ref.Name, ErrNotRunning)
	}
	return &attachable{pod: ref.Name, uid: v.sandbox.UID(), spec: spec, instance: newest}, nil
}

// connect feeds a container's standard input until disconnect is called.
func (e *Engine) connect(ctx context.Context, t *attachable, from io.Reader) (disconnect func(), err error) {
	if !t.spec.Stdin {
		return nil, ErrNoInput
	}
	input, err := container.OpenInput(e.sandboxes.RunDir(t.uid), t.spec.Name)
	if err != nil {
		return nil, err
	}
	disconnect = sync.OnceFunc(func() {
		_ = input.Close()
		if t.spec.StdinOnce {
			_ = e.containers.CloseInput(context.WithoutCancel(ctx), t.instance.ID) // it may have ended
		}
	})
	go func() {
		_, _ = io.Copy(input, from)
		disconnect()
	}()
	return disconnect, nil
}

// resize hands on sizes until ctx is done. One that gets lost is no matter.
func (e *Engine) resize(ctx context.Context, id string, sizes <-chan container.Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			_ = e.containers.Resize(ctx, id, size)
		}
	}
}

// containerSpec returns the container that is meant by name, which may be empty.
func containerSpec(pod *v1.Pod, name string) (*v1.Container, error) {
	name, err := containerName(pod, name)
	if err != nil {
		return nil, err
	}
	member, _ := status.MemberOf(pod, name) // the pod has it
	return member.Container, nil
}
