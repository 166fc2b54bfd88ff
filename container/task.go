package container

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/moby/sys/signal"
	"golang.org/x/sys/unix"
)

const (
	// killTimeout bounds the wait for a process that was sent SIGKILL.
	killTimeout = 10 * time.Second
	// createTimeout bounds the making and the start of a process, and
	// afterTimeout how much longer than its caller wants either may take.
	createTimeout = 30 * time.Second
	afterTimeout  = 3 * time.Second
)

// toItsEnd is the context of a call that is not to be broken off at once when
// ctx is done: containerd would go on, and clean up later behind our back.
func toItsEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(afterTimeout, cancel) })
	return calling, func() {
		stop()
		cancel()
	}
}

// startError is the failure of the runtime to make or start the process, as
// opposed to one of containerd.
type startError struct{ error }

// IO says what a process reads and writes: files that exist, empty for none.
type IO struct {
	// Stdin is a FIFO; Stdout and Stderr are files that are appended to. With a
	// terminal Stderr is not used.
	Stdin, Stdout, Stderr string
	Terminal              bool
}

// CreateTask makes a registered container's process, which then waits for
// Start, and returns its pid. A task that exists already is used as it is.
func (s *Store) CreateTask(ctx context.Context, id string, rootfs []mount.Mount, streams IO) (int, error) {
	request := &tasks.CreateTaskRequest{
		ContainerID: id,
		Rootfs:      mount.ToProto(rootfs),
		Stdin:       streams.Stdin,
		Stdout:      streams.Stdout,
		Stderr:      streams.Stderr,
		Terminal:    streams.Terminal,
	}
	if streams.Terminal {
		request.Stderr = ""
	}
	calling, cancel := toItsEnd(ctx)
	defer cancel()
	response, err := s.client.TaskService().Create(calling, request)
	if err == nil {
		return int(response.Pid), nil
	}
	err = errgrpc.ToNative(err)
	if errdefs.IsAlreadyExists(err) {
		process, err := s.ask(ctx, id)
		if err != nil {
			return 0, fmt.Errorf("ask for task: %w", err)
		}
		return int(process.Pid), nil
	}
	return 0, runtimeError(ctx, err)
}

// Start runs the process of a created container and writes down when. That the
// runtime cannot is the container's end, as with Create.
func (s *Store) Start(ctx context.Context, id string) error {
	// Side by side: as long as the process has not started, its task says so,
	// whatever the record does.
	recorded := make(chan error, 1)
	go func() { recorded <- s.setLabel(ctx, id, labelStartedAt, formatTime(time.Now())) }()
	err := s.recordStartError(ctx, id, s.start(ctx, id))
	if noted := <-recorded; noted != nil {
		err = errors.Join(err, fmt.Errorf("record start: %w", noted))
	}
	return err
}

// StartPause runs the process of a pause container that was just created, of
// which nothing more is written down: a sandbox that was made has addresses in
// its record. Meanwhile it is said to be Created: its shim would let everybody
// wait who wants to know, and its namespaces are there.
func (s *Store) StartPause(ctx context.Context, id string, pid int) error {
	s.making.Store(id, &tasktypes.Process{ID: id, Pid: uint32(pid), Status: tasktypes.Status_CREATED})
	defer s.making.Delete(id)
	return s.start(ctx, id)
}

// start runs the process of a created container. One that runs already is left
// alone.
func (s *Store) start(ctx context.Context, id string) error {
	calling, cancel := toItsEnd(ctx)
	defer cancel()
	_, err := s.client.TaskService().Start(calling, &tasks.StartRequest{ContainerID: id})
	if err == nil {
		return nil
	}
	if process, lost := s.ask(ctx, id); lost == nil && process.Status == tasktypes.Status_RUNNING {
		return nil
	}
	return runtimeError(ctx, errgrpc.ToNative(err))
}

// runtimeError tells what the runtime says from what containerd, or the way
// to it, does. One that says nothing in time has not failed: as with a kubelet
// it is asked again.
func runtimeError(ctx context.Context, err error) error {
	if ctx.Err() != nil || errdefs.IsDeadlineExceeded(err) || errdefs.IsUnavailable(err) || errdefs.IsNotFound(err) || errdefs.IsCanceled(err) {
		return err
	}
	return &startError{err}
}

// RecordExit writes down at once how a container ended and the message that it
// left, empty for none, and drops its task; when it returns, all output of the
// process has been written.
func (s *Store) RecordExit(ctx context.Context, id string, exit Exit, message string) error {
	c := containers.Container{ID: id, Labels: map[string]string{labelExit: exit.label()}}
	fields := []string{"labels." + labelExit}
	if message != "" { // the label is too short for it
		c.Extensions = encodeExtensions(map[string][]byte{extensionMessage: []byte(message)})
		fields = append(fields, "extensions."+extensionMessage)
	}
	if _, err := s.client.ContainerService().Update(ctx, c, fields...); err != nil {
		return fmt.Errorf("record exit: %w", err)
	}
	return s.DeleteTask(ctx, id)
}

// DeleteTask drops the task of an ended container; none is no error.
func (s *Store) DeleteTask(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	_, err := s.client.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
	if err = errgrpc.ToNative(err); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// Stop ends a container: its stop signal, then, when it still runs after
// grace, SIGKILL. A grace of zero kills at once. It returns when the process
// has ended; one that has already is no error.
func (s *Store) Stop(ctx context.Context, c *Container, grace time.Duration) error {
	if grace <= 0 || c.State == Created {
		return s.Kill(ctx, c.ID)
	}
	number := unix.SIGTERM
	if c.StopSignal != "" {
		if parsed, err := signal.ParseSignal(c.StopSignal); err == nil {
			number = parsed
		}
	}
	if err := s.signal(ctx, c.ID, number, false); err != nil {
		return ignoreNotFound(err)
	}
	err := s.await(ctx, c.ID, grace)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return s.Kill(ctx, c.ID)
	}
	return ignoreNotFound(err)
}

// Replace writes down that the container is going to be stopped in order to
// be started anew.
func (s *Store) Replace(ctx context.Context, id string) error {
	return s.setLabel(ctx, id, labelReplaced, "true")
}

// BeginStop writes down that the graceful end of a container begins now, and
// whether it is to be started anew afterwards. When it had begun before stays.
func (s *Store) BeginStop(ctx context.Context, c *Container, now time.Time, replace bool) error {
	labels := map[string]string{}
	if c.StoppingAt.IsZero() {
		labels[labelStoppingAt] = formatTime(now)
	}
	if replace && !c.Replaced {
		labels[labelReplaced] = "true"
	}
	if len(labels) == 0 {
		return nil
	}
	return s.setLabels(ctx, c.ID, labels)
}

// PreStopped writes down that what comes before the stop signal is through.
func (s *Store) PreStopped(ctx context.Context, id string) error {
	return s.setLabel(ctx, id, labelPreStopped, "true")
}

// PostStarted writes down how the hook after the start ended.
func (s *Store) PostStarted(ctx context.Context, id, how string) error {
	return s.setLabel(ctx, id, labelPostStart, how)
}

// Kill ends a container at once, bounded; no task is no error.
func (s *Store) Kill(ctx context.Context, id string) error {
	process, err := s.ask(ctx, id)
	if err != nil {
		return ignoreNotFound(err)
	}
	c := Container{}
	if c.see(process); c.State == Exited {
		return nil
	}
	if err := s.signal(ctx, id, unix.SIGKILL, true); err != nil {
		return ignoreNotFound(err)
	}
	if err := s.await(ctx, id, killTimeout); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("wait for the end of container %.12s: %w", id, err)
	}
	return nil
}

func (s *Store) signal(ctx context.Context, id string, number unix.Signal, all bool) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	_, err := s.client.TaskService().Kill(ctx, &tasks.KillRequest{ContainerID: id, Signal: uint32(number), All: all})
	return errgrpc.ToNative(err)
}

// await returns when the process has ended, with context.DeadlineExceeded
// when it has not within d.
func (s *Store) await(ctx context.Context, id string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_, err := s.client.TaskService().Wait(ctx, &tasks.WaitRequest{ContainerID: id})
	if err = errgrpc.ToNative(err); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func ignoreNotFound(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
