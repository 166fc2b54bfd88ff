package supervise

import (
	"context"
	"errors"

	"podrun/container"
	"podrun/pod/handler"
	"podrun/pod/plan"
	"podrun/pod/status"
	"podrun/sandbox"
)

// fellBack is the reason of the event for handler.ErrFellBack.
const fellBack = "LifecycleHTTPFallback"

// postStart runs the hook after a start and writes down how it ended. One that
// is called off, since the container has ended or is to end, has not ended.
func (s *Supervisor) postStart(ctx context.Context, action plan.Action, sb *sandbox.Sandbox) error {
	m, _ := status.MemberOf(sb.Pod, action.Container)
	id := container.ID(s.uid, action.Container, action.Attempt)
	err := handler.Hook(ctx, m.Lifecycle.PostStart, s.target(sb, m, action.Attempt), s.Clock)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	how := status.HookDone
	if errors.Is(err, handler.ErrFellBack) {
		s.warn(action.Container, fellBack, "%v", err)
		err = nil
	}
	if err != nil {
		how = status.HookFailed
	}
	return errors.Join(err, s.Containers.PostStarted(ctx, id, string(how)))
}

// beginStop runs the hook that comes before the stop signal. One that is not
// through when the grace is over goes on beside what follows, until the container
// ends; that it failed keeps nothing from going on. Its context ends when the
// container did, or when the grace is cut.
func (s *Supervisor) beginStop(ctx context.Context, action plan.Action, sb *sandbox.Sandbox) error {
	c, err := s.Containers.Load(ctx, container.ID(s.uid, action.Container, action.Attempt))
	if err != nil {
		return err
	}
	if err := s.Containers.BeginStop(ctx, c, s.Clock.Now(), action.Replace); err != nil {
		return err
	}
	if m, _ := status.MemberOf(sb.Pod, action.Container); m.Lifecycle != nil && m.Lifecycle.PreStop != nil {
		err := handler.Hook(ctx, m.Lifecycle.PreStop, s.target(sb, m, action.Attempt), s.Clock)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, handler.ErrFellBack) {
			s.warn(action.Container, fellBack, "%v", err)
		} else if err != nil {
			s.warn(action.Container, "FailedPreStopHook", "PreStopHook failed")
		}
	}
	return s.Containers.PreStopped(ctx, c.ID)
}
