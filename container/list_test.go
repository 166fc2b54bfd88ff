package container

import (
	"context"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
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
