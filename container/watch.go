package container

import (
	"context"
	"fmt"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/typeurl/v2"
)

const (
	// resubscribe is how long a daemon that does not answer is left alone.
	resubscribe = 250 * time.Millisecond
	// inForce is how long after it was asked for a subscription is surely in
	// force: the daemon does not confirm it.
	inForce = 250 * time.Millisecond
)

// TopicStart is what starts of containers are told under.
const TopicStart = "/tasks/start"

// Watch sends the ID of each container that something happened to, until ctx
// is done. An empty ID says that anything may have happened until then: watching
// has begun, or the daemon is away, which is said again and again. What is received
// is a reason to look, and tells nothing else. Of the topics in without, and of
// processes that are run in a container beside its own, nothing is sent.
func (s *Store) Watch(ctx context.Context, without ...string) <-chan string {
	filter := fmt.Sprintf(`namespace==%s,topic~="^/(tasks|containers)/"`, Namespace)
	for _, topic := range append(without, "/tasks/exec-added", "/tasks/exec-started") {
		filter += fmt.Sprintf(",topic!=%q", topic)
	}
	ids := make(chan string)
	go func() {
		for ctx.Err() == nil {
			s.watch(ctx, filter, ids)
			select {
			case <-ctx.Done():
			case <-time.After(resubscribe):
			}
		}
	}()
	return ids
}

// watch sends until the subscription breaks, and that it did.
func (s *Store) watch(ctx context.Context, filter string, ids chan<- string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received, broken := s.client.EventService().Subscribe(ctx, filter)
	settled := time.After(inForce)
	for watching := true; watching; {
		id, happened := "", true
		select {
		case <-broken:
			watching = false
		case <-settled:
		case envelope := <-received:
			id, happened = containerOf(envelope)
		}
		if !happened {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case ids <- id:
		}
	}
}

// containerOf returns the ID of the container that an event is about, or false
// when nothing has happened to that.
func containerOf(envelope *events.Envelope) (id string, ok bool) {
	event, err := typeurl.UnmarshalAny(envelope.Event)
	if err != nil {
		return "", true
	}
	switch event := event.(type) {
	case *eventtypes.TaskExit:
		return event.ContainerID, event.ID == event.ContainerID
	case interface{ GetContainerID() string }:
		return event.GetContainerID(), true
	case interface{ GetID() string }:
		return event.GetID(), true
	}
	return "", true
}
