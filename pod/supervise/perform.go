package supervise

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/container/image"
	"podrun/container/logs"
	"podrun/pod/plan"
	"podrun/pod/status"
	"podrun/sandbox"
)

// performer returns how an action is performed. It runs beside the loop, so
// all that it needs of the supervisor's state is taken here.
func (s *Supervisor) performer(action plan.Action, sb *sandbox.Sandbox, obs status.Observed) func(context.Context) result {
	switch action.Kind {
	case plan.EnsureImage:
		return s.ensureImage(action, sb, obs)
	case plan.CreateSandbox:
		return s.createSandbox(sb)
	case plan.CreateContainer:
		return s.createContainer(action, sb, obs)
	case plan.StartContainer:
		return s.startContainer(action, sb, obs)
	case plan.RecordExit:
		return s.recordExit(action, sb, obs)
	case plan.RemoveContainer:
		return s.removeContainer(action)
	}
	return func(ctx context.Context) result {
		return result{err: s.change(ctx, action, sb)}
	}
}

// change performs the actions that only take away what is there, or run a hook.
func (s *Supervisor) change(ctx context.Context, action plan.Action, sb *sandbox.Sandbox) error {
	id := container.ID(s.uid, action.Container, action.Attempt)
	switch action.Kind {
	case plan.BeginStop:
		return s.beginStop(ctx, action, sb)
	case plan.PostStart:
		return s.postStart(ctx, action, sb)
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

func (s *Supervisor) ensureImage(action plan.Action, sb *sandbox.Sandbox, obs status.Observed) func(context.Context) result {
	begun, pulled := s.Clock.Now(), false
	pulling := sync.OnceFunc(func() {
		pulled = true
		s.normal(action.Container, "Pulling", "Pulling image %q", action.Image.Ref)
	})
	return func(ctx context.Context) result {
		sb, err := s.given(sb)
		if err != nil {
			return result{err: err}
		}
		if action.Image.Policy == v1.PullAlways {
			pulling()
		}
		want := image.Want{Ref: action.Image.Ref, Policy: action.Image.Policy, Secrets: pullSecrets(sb)}
		img, err := s.Images.Ensure(ctx, want, func(p image.Progress) {
			pulling()
			s.tell(Progress{Action: action, State: Going, Layer: p.Layer, Current: p.Current, Total: p.Total})
		})
		if err != nil {
			return result{err: err}
		}
		if pulled {
			s.normal(action.Container, "Pulled", "Successfully pulled image %q in %s. Image size: %d bytes.",
				action.Image.Ref, s.Clock.Since(begun).Round(time.Millisecond), img.Size)
		} else {
			s.normal(action.Container, "Pulled", "Container image %q already present on machine", action.Image.Ref)
		}
		s.layOut(ctx, action.Image, img, sb, &obs)
		return result{image: img}
	}
}

// layOut makes the root filesystems of the containers whose image has come, while
// their sandbox is being made. Each of them makes its own, should this fail, and
// tells of it then.
func (s *Supervisor) layOut(ctx context.Context, of status.Image, img *image.Image, sb *sandbox.Sandbox, obs *status.Observed) {
	for _, m := range status.Members(sb.Pod) {
		if status.ImageOf(m.Container) != of || obs.Newest(m.Name) != nil {
			continue
		}
		if err := s.Containers.LayOut(ctx, container.ID(s.uid, m.Name, 0), s.uid, img); err != nil {
			s.Log.Debug("make root filesystem ahead", "container", m.Name, "error", err)
		}
	}
}

func (s *Supervisor) createSandbox(sb *sandbox.Sandbox) func(context.Context) result {
	return func(ctx context.Context) result {
		if sb.State == sandbox.Dead {
			if err := s.Sandboxes.Stop(ctx, sb); err != nil {
				return result{err: err}
			}
		}
		sb, err := s.given(sb)
		if err != nil {
			return result{err: err}
		}
		ips, err := s.Sandboxes.Create(ctx, sb)
		return result{ips: ips, err: err}
	}
}

func (s *Supervisor) createContainer(action plan.Action, sb *sandbox.Sandbox, obs status.Observed) func(context.Context) result {
	m, _ := status.MemberOf(sb.Pod, action.Container)
	spec := m.Container
	target, missed := joined(sb.Pod, m, &obs)
	img := s.images[status.ImageOf(spec)].image
	return func(ctx context.Context) result {
		if missed != nil {
			return result{err: missed}
		}
		defer s.Sandboxes.Hasten()()
		made, err := s.furnish(ctx, sb, spec)
		if err != nil {
			return result{err: err}
		}
		message, err := s.Sandboxes.MakeMessage(s.uid, spec, action.Attempt)
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
			Container: made.container,
			Attempt:   action.Attempt,
			Backoff:   action.Backoff,
			Image:     img,
			SandboxID: sb.ID,
			Shared:    shared,
			Target:    target.PID,
			Mounts:    append(made.mounts, message...),
			Dir:       s.Sandboxes.RunDir(s.uid),
			Stdout:    stdout,
			Stderr:    stderr,
		})
		return result{err: err}
	}
}

func (s *Supervisor) startContainer(action plan.Action, sb *sandbox.Sandbox, obs status.Observed) func(context.Context) result {
	m, _ := status.MemberOf(sb.Pod, action.Container)
	target, err := joined(sb.Pod, m, &obs)
	id := container.ID(s.uid, action.Container, action.Attempt)
	return func(ctx context.Context) result {
		if err == nil && target.PID > 0 {
			err = s.checkJoined(ctx, id, target)
		}
		if err == nil {
			err = s.checkMounted(ctx, id, sb.Pod, m.Container)
		}
		if err == nil {
			err = s.Containers.Start(ctx, id)
		}
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
// output: nothing more comes once its task is deleted. Where the end of that
// output is to stand for a message, it completes what is written down.
func (s *Supervisor) recordExit(action plan.Action, sb *sandbox.Sandbox, obs status.Observed) func(context.Context) result {
	var instance status.Container
	for _, c := range obs.Instances(action.Container) {
		if c.Attempt == action.Attempt {
			instance = *c
		}
	}
	copier := s.copiers[instance.ID]
	return func(ctx context.Context) result {
		if instance.Reason == status.ReasonStatusUnknown {
			// It may run still, where nobody can reach it: the next one must not run beside it.
			if err := s.Sandboxes.Discard(ctx, sb, instance.ID); err != nil {
				return result{err: err}
			}
		}
		message := s.messageOf(&instance)
		exit := s.exitOf(sb, &instance)
		m, _ := status.MemberOf(sb.Pod, instance.Name)
		exit.Open = message == "" && exit.Code != 0 && m.TerminationMessagePolicy == v1.TerminationMessageFallbackToLogsOnError
		err := s.Containers.RecordExit(ctx, instance.ID, exit, message)
		if err == nil && copier != nil {
			err = copier.finish(ctx)
		}
		if err == nil && exit.Open {
			if message, err = s.endOfLog(ctx, &instance); err == nil {
				exit.Open = false
				err = s.Containers.RecordExit(ctx, instance.ID, exit, message)
			}
		}
		return result{err: err}
	}
}

// exitOf is the end of an instance as it is written down.
func (s *Supervisor) exitOf(sb *sandbox.Sandbox, c *status.Container) container.Exit {
	exit := container.Exit{Code: c.ExitCode, Reason: c.Reason, Message: c.Message, OOMKilled: c.OOMKilled, PeakMemory: c.PeakMemory, FinishedAt: c.FinishedAt}
	if killed, peak := s.Sandboxes.OOMKilled(sb, c.ID, int(c.ExitCode)); killed {
		exit.OOMKilled, exit.PeakMemory, exit.Reason = true, peak, status.ReasonOOMKilled
	}
	return exit
}

// messageOf is the termination message that an instance left, empty for none.
func (s *Supervisor) messageOf(c *status.Container) string {
	message, err := s.Sandboxes.ReadMessage(s.uid, c.Name, c.Attempt)
	if err != nil {
		return fmt.Sprintf("Error on reading termination log: %v", err)
	}
	return message
}

// What of a log stands for a termination message, as with a kubelet.
const (
	messageLines = 80
	messageBytes = 2048
)

// endOfLog is what of an instance's log stands for its termination message.
func (s *Supervisor) endOfLog(ctx context.Context, c *status.Container) (string, error) {
	var end tail
	err := s.logFiles(c.Name, c.Attempt).Read(ctx, &end, &end, logs.Options{Tail: messageLines}, nil)
	return string(end), err
}

// tail keeps the end of what is written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	all := append(*t, p...)
	*t = all[max(len(all)-messageBytes, 0):]
	return len(p), nil
}

func (s *Supervisor) removeContainer(action plan.Action) func(context.Context) result {
	id := container.ID(s.uid, action.Container, action.Attempt)
	copier := s.copiers[id]
	return func(ctx context.Context) result {
		if err := s.Containers.Remove(ctx, id); err != nil {
			return result{err: err}
		}
		if err := s.Sandboxes.RemoveMessage(s.uid, action.Container, action.Attempt); err != nil {
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
	var config *container.ConfigError
	if errors.As(err, &config) {
		return status.ReasonCreateContainerConfig, config.Message
	}
	var made *notMade
	if errors.As(err, &made) {
		return status.ReasonCreateContainer, err.Error()
	}
	return "", err.Error()
}
