package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"podrun/container"
	"podrun/container/image"
	"podrun/container/logs"
	"podrun/pod/plan"
	"podrun/pod/status"
	"podrun/sandbox"
	"podrun/sandbox/volume"
)

// performer returns how an action is performed. It runs beside the loop, so
// all that it needs of the supervisor's state is taken here.
func (s *Supervisor) performer(action plan.Action, sb *sandbox.Sandbox, obs status.Observed) func(context.Context) result {
	switch action.Kind {
	case plan.EnsureImage:
		return s.ensureImage(action)
	case plan.CreateSandbox:
		return s.createSandbox(sb)
	case plan.CreateContainer:
		return s.createContainer(action, sb)
	case plan.RecordExit:
		return s.recordExit(action, sb, obs)
	case plan.RemoveContainer:
		return s.removeContainer(action)
	}
	return func(ctx context.Context) result {
		return result{err: s.change(ctx, action, sb)}
	}
}

// change performs the actions that only take away or start what is there.
func (s *Supervisor) change(ctx context.Context, action plan.Action, sb *sandbox.Sandbox) error {
	id := container.ID(s.uid, action.Container, action.Attempt)
	switch action.Kind {
	case plan.StartContainer:
		return s.Containers.Start(ctx, id)
	case plan.StopContainer:
		err := s.stopContainer(ctx, action, id)
		if container.Hung(ctx, err) && sb.Pod.DeletionTimestamp != nil {
			err = s.Sandboxes.KillHung(sb)
		}
		return err
	case plan.StopSandbox:
		return s.Sandboxes.Stop(ctx, sb)
	case plan.RemovePod:
		return s.Sandboxes.Remove(ctx, sb)
	}
	return fmt.Errorf("%s: no such action", action)
}

func (s *Supervisor) ensureImage(action plan.Action) func(context.Context) result {
	return func(ctx context.Context) result {
		img, err := s.Images.Ensure(ctx, action.Image.Ref, action.Image.Policy, func(p image.Progress) {
			s.tell(Progress{Action: action, State: Going, Layer: p.Layer, Current: p.Current, Total: p.Total})
		})
		return result{image: img, err: err}
	}
}

func (s *Supervisor) createSandbox(sb *sandbox.Sandbox) func(context.Context) result {
	return func(ctx context.Context) result {
		if sb.State == sandbox.Dead {
			if err := s.Sandboxes.Stop(ctx, sb); err != nil {
				return result{err: err}
			}
		}
		ips, err := s.Sandboxes.Create(ctx, sb)
		return result{ips: ips, err: err}
	}
}

func (s *Supervisor) createContainer(action plan.Action, sb *sandbox.Sandbox) func(context.Context) result {
	spec, err := specOf(sb.Pod, action.Container)
	if err != nil {
		return func(context.Context) result { return result{err: err} }
	}
	img := s.images[status.ImageOf(spec)].image
	return func(ctx context.Context) result {
		volumes, err := s.Sandboxes.Volumes(ctx, sb)
		if err != nil {
			return result{err: err}
		}
		mounts, err := volume.Mounts(spec, volumes)
		if err != nil {
			return result{err: err}
		}
		shared, err := s.Sandboxes.Shared(sb)
		if err != nil {
			return result{err: err}
		}
		files := s.logFiles(action.Container, action.Attempt)
		if err := files.Create(); err != nil {
			return result{err: err}
		}
		stdout, stderr := files.Spool()
		err = s.Containers.Create(ctx, container.CreateOptions{
			Pod:       sb.Pod,
			Container: spec,
			Attempt:   action.Attempt,
			Backoff:   action.Backoff,
			Image:     img,
			SandboxID: sb.ID,
			Shared:    shared,
			Mounts:    mounts,
			Dir:       s.Sandboxes.RunDir(s.uid),
			Stdout:    stdout,
			Stderr:    stderr,
		})
		return result{err: err}
	}
}

// stopContainer's context ends when a stop with a shorter grace takes over.
func (s *Supervisor) stopContainer(ctx context.Context, action plan.Action, id string) error {
	c, err := s.Containers.Load(ctx, id)
	if err != nil {
		return err
	}
	if action.Replace {
		if err := s.Containers.Replace(ctx, id); err != nil {
			return err
		}
	}
	var grace time.Duration
	if !action.Deadline.IsZero() {
		grace = max(action.Deadline.Sub(s.Clock.Now()), 0)
	}
	return s.Containers.Stop(ctx, c, grace)
}

// recordExit writes down the end of a container, and then the rest of its
// output: nothing more comes once its task is deleted.
func (s *Supervisor) recordExit(action plan.Action, sb *sandbox.Sandbox, obs status.Observed) func(context.Context) result {
	var instance status.Container
	for _, c := range obs.Instances(action.Container) {
		if c.Attempt == action.Attempt {
			instance = *c
		}
	}
	copier := s.copiers[instance.ID]
	return func(ctx context.Context) result {
		exit := container.Exit{
			Code:       instance.ExitCode,
			Reason:     instance.Reason,
			Message:    instance.Message,
			FinishedAt: instance.FinishedAt,
		}
		if s.Sandboxes.OOMKilled(sb, instance.ID) {
			exit.OOMKilled, exit.Reason = true, status.ReasonOOMKilled
		}
		err := s.Containers.RecordExit(ctx, instance.ID, exit)
		if err == nil && copier != nil {
			err = copier.finish(ctx)
		}
		return result{err: err}
	}
}

func (s *Supervisor) removeContainer(action plan.Action) func(context.Context) result {
	id := container.ID(s.uid, action.Container, action.Attempt)
	copier := s.copiers[id]
	return func(ctx context.Context) result {
		if err := s.Containers.Remove(ctx, id); err != nil {
			return result{err: err}
		}
		if copier != nil {
			copier.stop()
			<-copier.done
		}
		return result{err: s.logFiles(action.Container, action.Attempt).Remove()}
	}
}

func (s *Supervisor) logFiles(name string, attempt int) logs.Files {
	return LogFiles(s.Sandboxes, s.uid, name, attempt)
}

// reasonOf is why an action failed, in the words of a status; an empty reason
// stands for the usual one of the action.
func reasonOf(err error) (reason, message string) {
	var imageError *image.Error
	if errors.As(err, &imageError) {
		return imageError.Reason, imageError.Message
	}
	return "", err.Error()
}
