package container

import (
	"testing"

	eventtypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/typeurl/v2"
)

func TestContainerOf(t *testing.T) {
	t.Parallel()
	type answer struct {
		id string
		ok bool
	}
	for name, c := range map[string]struct {
		event any
		want  answer
	}{
		"exit":            {&eventtypes.TaskExit{ContainerID: "a", ID: "a"}, answer{"a", true}},
		"exit of an exec": {&eventtypes.TaskExit{ContainerID: "a", ID: "probe"}, answer{"a", false}},
		"task":            {&eventtypes.TaskCreate{ContainerID: "a"}, answer{"a", true}},
		"record":          {&eventtypes.ContainerUpdate{ID: "a"}, answer{"a", true}},
		"unknown":         {&eventtypes.NamespaceCreate{Name: "a"}, answer{"", true}},
	} {
		any, err := typeurl.MarshalAny(c.event)
		if err != nil {
			t.Fatal(err)
		}
		var got answer
		if got.id, got.ok = containerOf(&events.Envelope{Event: any}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
