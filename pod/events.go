package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/pod/event"
	"podrun/sandbox"
)

// Events returns what happened to the pod that ref names or, without a name, to
// all pods of its namespace, which empty stands for all; counted, in the order
// of the last times. ErrNotFound says that there is no pod of that name.
func (e *Engine) Events(ctx context.Context, ref Ref) ([]v1.Event, error) {
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(sb *sandbox.Sandbox) bool {
		return ref.Name != "" && sb.Pod.Name != ref.Name || ref.Namespace != "" && sb.Pod.Namespace != ref.Namespace
	})
	if len(records) == 0 && ref.Name != "" {
		return nil, fmt.Errorf("%w: %q in namespace %q", ErrNotFound, ref.Name, ref.Namespace)
	}
	events := []v1.Event{}
	for _, sb := range records {
		happened, err := event.Open(e.sandboxes.RootDir(sb.UID())).Read()
		if err != nil {
			return nil, err
		}
		for _, one := range happened {
			events = append(events, one.Object(sb.Pod, e.sandboxes.NodeName()))
		}
	}
	slices.SortStableFunc(events, func(a, b v1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return events, nil
}

// FollowEvents tells of events, and again of those that are counted once more,
// until ctx ends, tell fails or the pod that ref names is gone.
func (e *Engine) FollowEvents(ctx context.Context, ref Ref, tell func(v1.Event) error) error {
	told := map[string]int32{} // counts by namespace and name
	for found := false; ; found = true {
		events, err := e.Events(ctx, ref)
		if err != nil {
			if found && errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		}
		for _, one := range events {
			key := one.Namespace + "/" + one.Name
			if told[key] == one.Count {
				continue
			}
			told[key] = one.Count
			if err := tell(one); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lookForEvents):
		}
	}
}

// lookForEvents is how often events that are followed are looked for.
const lookForEvents = 250 * time.Millisecond
