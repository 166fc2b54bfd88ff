package pod

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"

	"podrun/container/stack"
	"podrun/pod/plan"
	"podrun/pod/status"
)

// RemoveOptions say how a pod is removed.
type RemoveOptions struct {
	// Grace is in seconds, nil for the pod's own; 0 kills at once.
	Grace *int64
	// UID makes sure that the pod is the one that is meant, and not another
	// one that has its name by now; empty for whichever has the name.
	UID string
}

// Remove deletes a pod and returns when nothing of it is left. ErrNotFound
// says that there is none. When something cannot be removed, the error says
// what; the pod stays on record, its supervisor keeps trying, and Remove can
// be called again. A containerd that goes away meanwhile is started again.
func (e *Engine) Remove(ctx context.Context, ref Ref, options RemoveOptions) error {
	began := false
	return e.insist(ctx, func() error {
		uid, err := e.markDeleted(ctx, ref, options)
		if began && errors.Is(err, ErrNotFound) {
			return nil // it went while containerd was away
		}
		if uid != "" {
			began, options.UID = true, uid
		}
		if err != nil {
			return err
		}
		return e.attend(ctx, uid, nil, func(v *view) (bool, error) {
			if v == nil {
				return true, nil
			}
			return false, v.stuck()
		})
	})
}

// reviveTries is how often a call is made again for want of a containerd.
const reviveTries = 5

// insist calls again what failed because containerd went away in the middle of
// it, once it is there again.
func (e *Engine) insist(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		if !errdefs.IsUnavailable(err) || try > reviveTries || stack.Revive(ctx, e.config.Stack()) != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(lookAgain):
		}
	}
}

// stuck returns why a pod cannot be removed, once that was tried a few times.
func (v *view) stuck() error {
	for _, f := range v.observed.Failures {
		switch f.Reason {
		case status.ReasonKillContainer, status.ReasonKillSandbox, status.ReasonRemovePod:
			if f.Count >= removeTries {
				return fmt.Errorf("remove pod %q: %s", v.pod.Name, f.Message)
			}
		}
	}
	return nil
}

// removeTries is how often a removal may fail before Remove gives up.
const removeTries = 3

// markDeleted writes into the record that the pod is to be deleted.
func (e *Engine) markDeleted(ctx context.Context, ref Ref, options RemoveOptions) (uid string, err error) {
	unlock, err := e.lockRecords(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	sb, err := e.record(ctx, ref)
	if err == nil && options.UID != "" && options.UID != sb.UID() {
		err = fmt.Errorf("%w: %q with UID %s", ErrNotFound, ref.Name, options.UID)
	}
	if err != nil {
		return "", err
	}
	if plan.Delete(sb.Pod, options.Grace, time.Now()) {
		err = e.sandboxes.SavePod(ctx, sb)
	}
	if errdefs.IsNotFound(err) {
		err = nil // it was being deleted, and is gone by now
	}
	return sb.UID(), err
}
