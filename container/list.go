package container

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/anypb"
)

// State is where a container is in its life.
type State string

// The states of a container.
const (
	// Registered: there is a record, but no task.
	Registered State = "registered"
	// Created: the task is made, the process waits to be started.
	Created State = "created"
	// Running: the process runs.
	Running State = "running"
	// Exited: the process ended; Exit says how.
	Exited State = "exited"
	// Unknown: there is a task, but its shim does not tell its state.
	Unknown State = "unknown"
)

// Container is a container as it was found.
type Container struct {
	Record
	ID         string
	Image      string // the name it was made from
	CreatedAt  time.Time
	State      State
	PID        int  // of its process, while there is one
	Recorded   bool // Exit stands in the record, all of it
	Extensions map[string][]byte
}

// queryTimeout bounds a question to one shim, so that one that hangs costs
// nobody but its own pod anything.
const queryTimeout = 3 * time.Second

// Load returns one container; errdefs.ErrNotFound when there is none.
func (s *Store) Load(ctx context.Context, id string) (*Container, error) {
	info, err := s.client.ContainerService().Get(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := fromInfo(info)
	if err != nil {
		return nil, err
	}
	return &c, s.observe(ctx, &c, nil)
}

// ListPod returns all containers of one pod, pause included. It takes less time
// when the IDs of those are given that are likely to have a process.
func (s *Store) ListPod(ctx context.Context, podUID string, likely ...string) ([]Container, error) {
	return s.list(ctx, fmt.Sprintf("labels.%q==%s", labelPodUID, podUID), likely...)
}

// List returns all containers of all pods.
func (s *Store) List(ctx context.Context) ([]Container, error) {
	return s.list(ctx, fmt.Sprintf("labels.%q", labelKind))
}

// Records returns the pause containers, which hold the records of pods,
// without asking whether they run.
func (s *Store) Records(ctx context.Context) ([]Container, error) {
	return s.records(ctx, fmt.Sprintf("labels.%q==%s", labelKind, KindPause))
}

// records reads what is written down, and nothing of what runs.
func (s *Store) records(ctx context.Context, filter string) ([]Container, error) {
	infos, err := s.client.ContainerService().List(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	list := make([]Container, 0, len(infos))
	for _, info := range infos {
		c, err := fromInfo(info)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (s *Store) list(ctx context.Context, filter string, likely ...string) ([]Container, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	early := s.askEarly(ctx, likely)
	list, err := s.records(ctx, filter)
	if err != nil {
		return nil, err
	}
	var group errgroup.Group
	removed := make([]bool, len(list))
	for i := range list {
		group.Go(func() error {
			err := s.observe(ctx, &list[i], early[list[i].ID])
			if removed[i] = errdefs.IsNotFound(err); removed[i] {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	left := list[:0]
	for i, c := range list {
		if !removed[i] {
			left = append(left, c)
		}
	}
	return left, nil
}

// answer is what came of asking for a process.
type answer struct {
	process *tasktypes.Process
	err     error
}

// askEarly asks for processes while the records are read that say whether there
// are any.
func (s *Store) askEarly(ctx context.Context, ids []string) map[string]<-chan answer {
	answers := make(map[string]<-chan answer, len(ids))
	for _, id := range ids {
		promise := make(chan answer, 1)
		answers[id] = promise
		go func() {
			process, err := s.process(ctx, id)
			promise <- answer{process, err}
		}()
	}
	return answers
}

// settled says whether an answer is as good as one that is got once the record is
// read. That there is no process is not: it may have come with what the record says.
func (a answer) settled(ctx context.Context) bool { return a.err == nil || Hung(ctx, a.err) }

func fromInfo(info containers.Container) (Container, error) {
	record, err := recordFrom(info.Labels)
	if err != nil {
		return Container{}, fmt.Errorf("read record of container %.12s: %w", info.ID, err)
	}
	c := Container{
		Record:     record,
		ID:         info.ID,
		Image:      info.Image,
		CreatedAt:  info.CreatedAt,
		State:      Registered,
		Extensions: map[string][]byte{},
	}
	if record.Exit != nil {
		c.State, c.Recorded = Exited, !record.Exit.Open
	}
	for name, value := range info.Extensions {
		c.Extensions[name] = value.GetValue()
	}
	if message := c.Extensions[extensionMessage]; c.Exit != nil && len(message) > 0 {
		c.Exit.Message = joinMessages(c.Exit.Message, string(message))
	}
	return c, nil
}

// observe asks the container's task for what is not in the record, unless early has
// an answer; errdefs.ErrNotFound when the record itself has gone meanwhile.
func (s *Store) observe(ctx context.Context, c *Container, early <-chan answer) error {
	if c.Exit != nil {
		return nil
	}
	found := answer{err: errdefs.ErrNotFound}
	if early != nil {
		found = <-early
	}
	if !found.settled(ctx) {
		found.process, found.err = s.process(ctx, c.ID)
	}
	switch err := found.err; {
	case errdefs.IsNotFound(err):
		return s.miss(ctx, c)
	case Hung(ctx, err):
		c.State = Unknown
		return nil
	case err != nil:
		return fmt.Errorf("ask for the state of container %.12s: %w", c.ID, err)
	}
	c.see(found.process)
	return nil
}

// miss says how a container that has no task ended, if it had one. How is written
// down before the task is dropped, which may be after the record was read.
func (s *Store) miss(ctx context.Context, c *Container) error {
	if c.StartedAt.IsZero() {
		return nil
	}
	info, err := s.client.ContainerService().Get(ctx, c.ID)
	if err != nil {
		return err
	}
	if *c, err = fromInfo(info); err == nil && c.Exit == nil {
		c.lose()
	}
	return err
}

// joinMessages puts what the runtime said before what the container left.
func joinMessages(runtime, left string) string {
	if runtime == "" {
		return left
	}
	return runtime + ": " + left
}

// process is what there is to know of a container's process. Of some that this
// Store is just making or starting that is known without asking; see Store.making.
func (s *Store) process(ctx context.Context, id string) (*tasktypes.Process, error) {
	made, making := s.making.Load(id)
	if !making {
		return s.ask(ctx, id)
	}
	process := made.(*tasktypes.Process)
	if process == nil {
		return nil, errdefs.ErrNotFound
	}
	return process, nil
}

// ask has a container's shim say what there is to know of its process.
func (s *Store) ask(ctx context.Context, id string) (*tasktypes.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	response, err := s.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: id})
	if err != nil {
		return nil, errgrpc.ToNative(err)
	}
	return response.Process, nil
}

func (c *Container) see(process *tasktypes.Process) {
	c.PID = int(process.Pid)
	switch process.Status {
	case tasktypes.Status_CREATED:
		c.State = Created
	case tasktypes.Status_STOPPED:
		c.State = Exited
		c.Exit = &Exit{Code: int32(process.ExitStatus), FinishedAt: process.ExitedAt.AsTime()}
		c.Exit.Reason = "Completed"
		if c.Exit.Code != 0 {
			c.Exit.Reason = "Error"
		}
	case tasktypes.Status_RUNNING, tasktypes.Status_PAUSED, tasktypes.Status_PAUSING:
		c.State = Running
	default:
		c.State = Unknown
	}
}

// lose is the end of a container that ran and of which nobody knows the end;
// code, reason and message are the kubelet's.
func (c *Container) lose() {
	c.State = Exited
	c.PID = 0
	c.Exit = &Exit{
		Code:       137,
		Reason:     "ContainerStatusUnknown",
		Message:    "The container could not be located when the pod was terminated",
		FinishedAt: time.Now(),
	}
}

// extensionType is the type URL of an extension: plain bytes of ours.
const extensionType = "podrun/extension"

func encodeExtensions(values map[string][]byte) map[string]typeurl.Any {
	extensions := make(map[string]typeurl.Any, len(values))
	for name, value := range values {
		extensions[name] = &anypb.Any{TypeUrl: extensionType, Value: value}
	}
	return extensions
}
