package container

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/typeurl/v2"

	_ "github.com/containerd/containerd/api/events" // the types of what is received
)

const (
	// resubscribe is how long a daemon that does not answer is left alone.
	resubscribe = 250 * time.Millisecond
	// inForce is how long after it was asked for a subscription is surely in
	// force: the daemon does not confirm it.
	inForce = 50 * time.Millisecond
)

// Watch sends the ID of each container that something happened to, until ctx
// is done. An empty ID says that anything may have happened: watching begins,
// or begins again after the daemon was away. What is received is a reason to
// look, and tells nothing else.
func (s *Store) Watch(ctx context.Context) <-chan string {
	ids := make(chan string)
	go func() {
		for ctx.Err() == nil {
			s.watch(ctx, ids)
			select {
			case <-ctx.Done():
			case <-time.After(resubscribe):
			}
		}
	}()
	return ids
}

// watch sends until the subscription breaks.
func (s *Store) watch(ctx context.Context, ids chan<- string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	filter := fmt.Sprintf(`namespace==%s,topic~="^/(tasks|containers)/"`, Namespace)
	received, broken := s.client.EventService().Subscribe(ctx, filter)
	settled := time.After(inForce)
	id := ""
	for {
		select {
		case <-ctx.Done():
			return
		case ids <- id:
		}
		select {
		case <-broken:
			return
		case <-settled:
			id = ""
		case envelope := <-received:
			id = containerOf(envelope)
		}
	}
}

// containerOf returns the ID of the container that an event is about.
func containerOf(envelope *events.Envelope) string {
	event, err := typeurl.UnmarshalAny(envelope.Event)
	if err != nil {
		return ""
	}
	switch event := event.(type) {
	case interface{ GetContainerID() string }:
		return event.GetContainerID()
	case interface{ GetID() string }:
		return event.GetID()
	}
	return ""
}
