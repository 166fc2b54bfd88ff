package container

import (
	"context"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc"
)

// fakeDaemon is a containerd with one container, whose record is changed just
// before it says that there is no task.
type fakeDaemon struct {
	info   containers.Container
	gone   bool
	change func(d *fakeDaemon)
}

type fakeStore struct {
	containers.Store
	daemon *fakeDaemon
}

func (s fakeStore) List(context.Context, ...string) ([]containers.Container, error) {
	return []containers.Container{s.daemon.info}, nil
}

func (s fakeStore) Get(context.Context, string) (containers.Container, error) {
	if s.daemon.gone {
		return containers.Container{}, errdefs.ErrNotFound
	}
	return s.daemon.info, nil
}

type fakeTasks struct {
	tasks.TasksClient
	daemon *fakeDaemon
}

func (t fakeTasks) Get(context.Context, *tasks.GetRequest, ...grpc.CallOption) (*tasks.GetResponse, error) {
	t.daemon.change(t.daemon)
	return nil, errgrpc.ToGRPC(errdefs.ErrNotFound)
}

// TestEndBetweenLooks: the end of a container that is written down between the
// look at its record and the one for its task is seen as it was; so is that it
// was removed. Only one that left no word is lost.
func TestEndBetweenLooks(t *testing.T) {
	t.Parallel()
	const uid = "0c9e6d3a-2d57-4a34-9a53-f5d1a1f6f2ab"
	record := Record{Kind: KindApp, Pod: PodRef{UID: uid, Namespace: "default", Name: "web"}, Name: "a", StartedAt: time.Now()}
	waiting := record
	waiting.StartedAt = time.Time{}
	for name, c := range map[string]struct {
		record Record
		change func(d *fakeDaemon)
		state  State
		reason string
	}{
		"ended": {record, func(d *fakeDaemon) {
			d.info.Labels[labelExit] = Exit{Code: 7, Reason: "Error", FinishedAt: time.Now()}.label()
		}, Exited, "Error"},
		"removed":     {record, func(d *fakeDaemon) { d.gone = true }, "", ""},
		"lost":        {record, func(*fakeDaemon) {}, Exited, "ContainerStatusUnknown"},
		"not started": {waiting, func(*fakeDaemon) {}, Registered, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			daemon := &fakeDaemon{info: containers.Container{ID: ID(uid, "a", 0), Labels: c.record.labels()}, change: c.change}
			client, err := containerd.New("", containerd.WithServices(
				containerd.WithContainerStore(fakeStore{daemon: daemon}), containerd.WithTaskClient(fakeTasks{daemon: daemon})))
			if err != nil {
				t.Fatal(err)
			}
			list, err := New(client, Config{}).ListPod(t.Context(), uid)
			if err != nil {
				t.Fatal(err)
			}
			if c.state == "" {
				if len(list) != 0 {
					t.Errorf("found %+v", list)
				}
				return
			}
			reason := ""
			if len(list) == 1 && list[0].Exit != nil {
				reason = list[0].Exit.Reason
			}
			if len(list) != 1 || list[0].State != c.state || reason != c.reason {
				t.Errorf("found %+v, want %s for %q", list, c.state, c.reason)
			}
		})
	}
}

// earlyTasks answers the first question about a task before, and the others after
// the record is read.
type earlyTasks struct {
	tasks.TasksClient
	asked, listed chan struct{}
	first, then   *tasktypes.Process
}

func (t earlyTasks) Get(context.Context, *tasks.GetRequest, ...grpc.CallOption) (*tasks.GetResponse, error) {
	process := t.then
	select {
	case <-t.listed:
	default:
		process = t.first
		defer close(t.asked)
	}
	if process == nil {
		return nil, errgrpc.ToGRPC(errdefs.ErrNotFound)
	}
	return &tasks.GetResponse{Process: process}, nil
}

type earlyStore struct {
	containers.Store
	asked, listed chan struct{}
	info          containers.Container
}

func (s earlyStore) List(context.Context, ...string) ([]containers.Container, error) {
	<-s.asked
	close(s.listed)
	return []containers.Container{s.info}, nil
}

// TestAskEarly: what was true when the process was asked for, before the record was
// read, counts as long as the record does not speak against it.
func TestAskEarly(t *testing.T) {
	t.Parallel()
	const uid = "0c9e6d3a-2d57-4a34-9a53-f5d1a1f6f2ab"
	record := Record{Kind: KindApp, Pod: PodRef{UID: uid, Namespace: "default", Name: "web"}, Name: "a", StartedAt: time.Now()}
	ended := record
	ended.Exit = &Exit{Code: 7, Reason: "Error", FinishedAt: time.Now()}
	running := &tasktypes.Process{Pid: 42, Status: tasktypes.Status_RUNNING}
	for name, c := range map[string]struct {
		likely      string
		record      Record
		first, then *tasktypes.Process
		state       State
		pid         int
	}{
		"runs":                  {"a", record, running, nil, Running, 42},
		"started meanwhile":     {"a", record, nil, running, Running, 42},
		"ended meanwhile":       {"a", ended, running, nil, Exited, 0},
		"is being made":         {"a", Record{Kind: KindApp, Pod: record.Pod, Name: "a"}, nil, nil, Registered, 0},
		"another than expected": {"b", record, nil, running, Running, 42},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, listed := make(chan struct{}), make(chan struct{})
			info := containers.Container{ID: ID(uid, "a", 0), Labels: c.record.labels()}
			client, err := containerd.New("", containerd.WithServices(
				containerd.WithContainerStore(earlyStore{asked: asked, listed: listed, info: info}),
				containerd.WithTaskClient(earlyTasks{asked: asked, listed: listed, first: c.first, then: c.then})))
			if err != nil {
				t.Fatal(err)
			}
			list, err := New(client, Config{}).ListPod(t.Context(), uid, ID(uid, c.likely, 0))
			if err != nil || len(list) != 1 || list[0].State != c.state || list[0].PID != c.pid {
				t.Errorf("found %+v, %v, want %s with pid %d", list, err, c.state, c.pid)
			}
		})
	}
}

// TestMaking: nobody is asked for what is known of a task that is being made or
// started; but who is to kill it asks.
func TestMaking(t *testing.T) {
	t.Parallel()
	const uid = "0c9e6d3a-2d57-4a34-9a53-f5d1a1f6f2ab"
	for name, c := range map[string]struct {
		process *tasktypes.Process
		state   State
		pid     int
	}{
		"made":    {nil, Registered, 0},
		"started": {&tasktypes.Process{Pid: 42, Status: tasktypes.Status_CREATED}, Created, 42},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			record := Record{Kind: KindApp, Pod: PodRef{UID: uid, Namespace: "default", Name: "web"}, Name: "a"}
			daemon := &fakeDaemon{
				info:   containers.Container{ID: ID(uid, "a", 0), Labels: record.labels()},
				change: func(*fakeDaemon) { asked++ },
			}
			client, err := containerd.New("", containerd.WithServices(
				containerd.WithContainerStore(fakeStore{daemon: daemon}), containerd.WithTaskClient(fakeTasks{daemon: daemon})))
			if err != nil {
				t.Fatal(err)
			}
			s := New(client, Config{})
			s.making.Store(daemon.info.ID, c.process)
			list, err := s.ListPod(t.Context(), uid)
			if err != nil || len(list) != 1 || list[0].State != c.state || list[0].PID != c.pid || asked > 0 {
				t.Errorf("found %+v, %v, after %d questions, want %s with pid %d", list, err, asked, c.state, c.pid)
			}
			if err := s.Kill(t.Context(), daemon.info.ID); err != nil || asked != 1 {
				t.Errorf("kill: %v, after %d questions", err, asked)
			}
		})
	}
}
