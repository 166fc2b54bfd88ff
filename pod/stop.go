package pod

import (
	"context"
	"errors"
	"fmt"
	"time"

	"podrun/pod/status"
	"podrun/pod/supervise"
	"podrun/sandbox"
)

// Stop ends a pod's containers and takes its sandbox down. Its record, its
// volumes and its logs stay, for Start. grace is in seconds, nil for the pod's
// own; 0 kills at once. A pod that has ended already is no error.
func (e *Engine) Stop(ctx context.Context, ref Ref, grace *int64) error {
	uid, err := e.halt(ctx, ref, grace)
	if err != nil {
		return err
	}
	return e.attend(ctx, uid, nil, func(v *view) (bool, error) {
		if v == nil {
			return true, fmt.Errorf("stop pod %q: it was removed meanwhile: %w", ref.Name, ErrNotFound)
		}
		return v.over(), v.stuck()
	})
}

// halt writes into the record that the pod is to be stopped. Asked for again, it
// can only come sooner.
func (e *Engine) halt(ctx context.Context, ref Ref, grace *int64) (uid string, err error) {
	unlock, err := e.lockRecords(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	sb, err := e.record(ctx, ref)
	if err != nil || sb.Memory.Stopped || sb.Pod.DeletionTimestamp != nil {
		return uidOf(sb), err
	}
	halt := sandbox.Halt{At: time.Now(), Grace: -1}
	if grace != nil {
		halt.Grace = max(*grace, 0)
	}
	if sb.Halt != nil && halt.Grace != 0 {
		return sb.UID(), nil
	}
	sb.Halt = &halt
	return sb.UID(), e.sandboxes.SaveHalt(ctx, sb)
}

func uidOf(sb *sandbox.Sandbox) string {
	if sb == nil {
		return ""
	}
	return sb.UID()
}

// kept says whether a pod is kept from running until somebody starts it: it was
// stopped, or the machine was rebooted.
func kept(sb *sandbox.Sandbox) bool {
	end := sb.Memory.End
	return sb.Halt != nil || sb.Rebooted || end != nil && end.Reason == status.ReasonRebooted
}

// Start makes a pod that was stopped, or has ended, begin anew, in a new sandbox
// and with its volumes as they are, and returns when it has started. One that
// runs is no error.
func (e *Engine) Start(ctx context.Context, ref Ref, progress func(supervise.Progress)) error {
	record, err := e.record(ctx, ref)
	if err != nil {
		return err
	}
	if err := e.beginAnew(ctx, record.UID()); err != nil {
		return fmt.Errorf("start pod %q: %w", ref.Name, err)
	}
	v, err := e.bringUp(ctx, record.Pod, progress)
	if err != nil {
		return err
	}
	return e.ensureSupervised(v)
}

// beginAnew makes a pod that is taken down one of which nothing has run yet. One
// that is being taken down, or ends by itself, is waited for; one that runs is
// left alone.
func (e *Engine) beginAnew(ctx context.Context, uid string) error {
	for {
		v, err := e.look(ctx, uid)
		switch {
		case err != nil:
			return err
		case v.pod.DeletionTimestamp != nil:
			return errLeaving
		case v.sandbox.Memory.Stopped:
			if err := e.rewind(ctx, uid); !errors.Is(err, supervise.ErrOwned) {
				return err
			}
		case !v.observed.Ending(v.pod):
			return nil
		}
		// It is being stopped, or whoever did so is about to leave it.
		err = e.attend(ctx, uid, nil, func(v *view) (bool, error) { return v == nil || v.over(), nil })
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lookSoon):
		}
	}
}

// lookSoon is how often a pod that is about to be without an owner is looked at.
const lookSoon = 5 * time.Millisecond

// rewind writes down that a pod which is taken down begins anew: everything of
// it that there is belongs to the past. ErrOwned says that somebody owns it.
func (e *Engine) rewind(ctx context.Context, uid string) error {
	lock, err := supervise.Acquire(e.sandboxes.RootDir(uid))
	if err != nil {
		return err
	}
	defer lock.Release()
	unlock, err := e.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	sb, err := e.sandboxes.Load(ctx, uid)
	if err != nil || !sb.Memory.Stopped {
		return err
	}
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(checkHostPorts(records, sb.Pod), e.checkClaims(records, sb.Pod)); err != nil {
		return err
	}
	// Killed in between, it is one that is to be stopped, and is that already.
	begin := time.Now()
	sb.Memory = sandbox.Memory{
		Attempt:     sb.Memory.Attempt + 1,
		Systemd:     sb.Memory.Systemd,
		Settings:    sb.Memory.Settings,
		BootID:      e.sandboxes.BootID(),
		StartedAt:   begin,
		RestartedAt: begin,
		Conditions:  sb.Memory.Conditions,
	}
	if err := e.sandboxes.SaveMemory(ctx, sb); err != nil {
		return err
	}
	sb.Halt = nil
	return e.sandboxes.SaveHalt(ctx, sb)
}
