package pod

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
)

// lookAgain is how often a pod that is followed is looked at although nothing
// happens: an event may be missed, a supervisor may die.
const lookAgain = 500 * time.Millisecond

// follow looks at a pod whenever something happens to it, until done says so
// or ctx ends. done is given nil when the pod is gone. A pod that loses its
// supervisor meanwhile is given a new one.
func (e *Engine) follow(ctx context.Context, uid string, done func(*view) (bool, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := e.containers.Watch(ctx)
	for {
		v, err := e.lookOrGone(ctx, uid)
		if err != nil {
			return err
		}
		if end, err := done(v); end || err != nil {
			return err
		}
		timer := time.NewTimer(lookAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-events:
			timer.Stop()
		case <-timer.C:
			if v != nil {
				if err := e.ensureSupervised(v); err != nil {
					return err
				}
			}
		}
	}
}

// lookOrGone is look, with nil for a pod that is gone.
func (e *Engine) lookOrGone(ctx context.Context, uid string) (*view, error) {
	v, err := e.look(ctx, uid)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	return v, err
}
