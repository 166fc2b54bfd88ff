package pod

import (
	"context"
	"errors"
	"time"

	"github.com/containerd/errdefs"

	"podrun/container"
	"podrun/pod/status"
	"podrun/pod/supervise"
	"podrun/sandbox"
)

// lookAgain is how often a pod that is followed is looked at although nothing
// happens: an event may be missed, an owner may die.
const lookAgain = 500 * time.Millisecond

// errUnowned says that a pod that needs an owner has none.
var errUnowned = errors.New("the pod has no supervisor")

// attend sees to it that a pod is on its way, until done says so or ctx ends:
// it owns the pod or, when somebody else does, looks on. done is given nil
// when the pod is gone. Afterwards the pod may be without an owner.
func (e *Engine) attend(ctx context.Context, uid string, progress func(supervise.Progress), done func(*view) (bool, error)) error {
	for {
		lock, err := supervise.Acquire(e.sandboxes.RootDir(uid))
		switch {
		case err == nil:
			return e.bring(ctx, lock, uid, progress, done)
		case !errors.Is(err, supervise.ErrOwned):
			return err
		}
		if err := e.follow(ctx, uid, done); !errors.Is(err, errUnowned) {
			return err
		}
	}
}

// bring owns a pod until done says so.
func (e *Engine) bring(ctx context.Context, lock *supervise.Lock, uid string, progress func(supervise.Progress), done func(*view) (bool, error)) error {
	var ended bool
	var verdict error
	err := e.own(ctx, lock, uid, supervise.Parts{
		Progress: progress,
		Until: func(sb *sandbox.Sandbox, observed status.Observed) bool {
			ended, verdict = done(e.view(sb, observed))
			return ended || verdict != nil
		},
	})
	if err != nil || verdict != nil || ended {
		return errors.Join(err, verdict)
	}
	// It is gone, or over before done was satisfied.
	v, err := e.lookOrGone(ctx, uid)
	if err == nil {
		_, err = done(v)
	}
	return err
}

// follow looks at a pod whenever something happens to it, until done says so
// or ctx ends, or with errUnowned when there is nobody to make it happen.
func (e *Engine) follow(ctx context.Context, uid string, done func(*view) (bool, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := e.containers.Watch(ctx)
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		v, err := e.lookOrGone(ctx, uid)
		if err != nil {
			return err
		}
		if end, err := done(v); end || err != nil {
			return err
		}
		if err := e.happening(ctx, uid, v.known(), events, tick.C); err != nil {
			return err
		}
	}
}

// happening returns when there is a reason to look at a pod again.
func (e *Engine) happening(ctx context.Context, uid string, known map[string]bool, events <-chan string, tick <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case id := <-events:
			if id == "" || known[id] {
				return nil
			}
		case <-tick:
			owned, err := supervise.Owned(e.sandboxes.RootDir(uid))
			if err == nil && !owned {
				err = errUnowned
			}
			return err
		}
	}
}

// known are the IDs of the pod's containers, and of those that come next.
func (v *view) known() map[string]bool {
	if v == nil {
		return nil
	}
	known := map[string]bool{v.sandbox.ID: true}
	for _, c := range status.Members(v.pod) {
		attempt := 0
		if newest := v.observed.Newest(c.Name); newest != nil {
			attempt = newest.Attempt
		}
		known[container.ID(v.sandbox.UID(), c.Name, attempt)] = true
		known[container.ID(v.sandbox.UID(), c.Name, attempt+1)] = true
	}
	return known
}

// lookOrGone is look, with nil for a pod that is gone.
func (e *Engine) lookOrGone(ctx context.Context, uid string) (*view, error) {
	v, err := e.look(ctx, uid)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	return v, err
}

// followOwned is follow, and gives the pod a supervisor when it has none.
func (e *Engine) followOwned(ctx context.Context, uid string, done func(*view) (bool, error)) error {
	for {
		err := e.follow(ctx, uid, done)
		if !errors.Is(err, errUnowned) {
			return err
		}
		v, err := e.lookOrGone(ctx, uid)
		if err == nil && v != nil {
			err = e.ensureSupervised(v)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lookAgain):
		}
	}
}
