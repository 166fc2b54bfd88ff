package supervise

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/container/image"
	"podrun/pod/event"
	"podrun/pod/handler"
	"podrun/pod/plan"
	"podrun/pod/status"
	"podrun/sandbox/volume"
)

// teller keeps the events of a pod, with the reasons and words of a kubelet.
type teller struct {
	log   *event.Log
	began time.Time // what is older was an earlier owner's to tell
	told  map[tale]bool
	once  sync.Once // that events cannot be written is said once
}

func (s *Supervisor) normal(container, reason, format string, args ...any) {
	s.record(event.Event{Type: v1.EventTypeNormal, Reason: reason, Container: container, Message: fmt.Sprintf(format, args...)})
}

func (s *Supervisor) warn(container, reason, format string, args ...any) {
	s.record(event.Event{Type: v1.EventTypeWarning, Reason: reason, Container: container, Message: fmt.Sprintf(format, args...)})
}

// record keeps an event. That it cannot keeps nothing from going on.
func (s *Supervisor) record(e event.Event) {
	if err := s.events.log.Record(e, s.Clock.Now()); err != nil {
		s.events.once.Do(func() { s.Log.Error("keep events", "uid", s.uid, "error", err) })
	}
}

// tale is what is told of an instance only once.
type tale struct{ what, id string }

// firstTime says whether something is still to be told of an instance.
func (t *teller) firstTime(what, id string) bool {
	first := !t.told[tale{what, id}]
	t.told[tale{what, id}] = true
	return first
}

// forget forgets what was told of instances that are gone.
func (t *teller) forget(obs *status.Observed) {
	maps.DeleteFunc(t.told, func(told tale, _ bool) bool {
		return !slices.ContainsFunc(obs.Containers, func(c status.Container) bool { return c.ID == told.id })
	})
}

// tellOf tells what is seen of containers and is nobody's action: that they
// started, or could not, and that their restart waits, however short that is.
func (s *Supervisor) tellOf(pod *v1.Pod, obs *status.Observed) {
	s.events.forget(obs)
	for i := range obs.Containers {
		c := &obs.Containers[i]
		switch {
		case c.Reason == status.ReasonStartError:
			if !c.FinishedAt.Before(s.events.began) && s.events.firstTime("start", c.ID) {
				s.warn(c.Name, "Failed", "Error: %s", c.Message)
			}
		case c.State == status.Running || c.Dead():
			if !c.StartedAt.Before(s.events.began) && s.events.firstTime("start", c.ID) {
				s.normal(c.Name, "Started", "Container started")
			}
		}
	}
	for _, m := range status.Members(pod) {
		newest := obs.Newest(m.Name)
		if newest == nil || newest.State != status.Exited || pod.DeletionTimestamp != nil || obs.Over(pod) || !obs.Restartable(pod, m, newest) {
			continue
		}
		if at, _ := obs.Restart(m, newest); at.After(newest.FinishedAt) && s.events.firstTime("back-off", newest.ID) {
			s.warn(m.Name, "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)", m.Name, pod.Name, pod.Namespace, pod.UID)
		}
	}
}

// announce tells that an action begins.
func (s *Supervisor) announce(action plan.Action) {
	switch action.Kind {
	case plan.BeginStop, plan.StopContainer:
		if s.events.firstTime("stop", container.ID(s.uid, action.Container, action.Attempt)) {
			message := action.Message
			if message == "" {
				message = "Stopping container " + action.Container
			}
			s.normal(action.Container, "Killing", "%s", message)
		}
	case plan.EndPod:
		tell := s.warn
		if action.Reason == status.ReasonDeadlineExceeded {
			tell = s.normal
		}
		tell("", action.Reason, "%s", action.Cause)
	case plan.CreateSandbox:
		if action.Attempt > s.sandbox.Memory.Attempt {
			s.normal("", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
		}
	}
}

// report tells how an action ended.
func (s *Supervisor) report(action plan.Action, err error) {
	switch {
	case err == nil:
		if action.Kind == plan.CreateContainer {
			s.normal(action.Container, "Created", "Container created")
		}
	case action.Kind == plan.EnsureImage:
		s.reportImage(action, err)
	case action.Kind == plan.CreateSandbox:
		s.reportSandbox(err)
	case action.Kind == plan.CreateContainer, action.Kind == plan.StartContainer:
		s.warn(action.Container, "Failed", "Error: %v", err)
	case action.Kind == plan.PostStart:
		s.warn(action.Container, "FailedPostStartHook", "PostStartHook failed")
	case action.Kind == plan.StopContainer, action.Kind == plan.StopSandbox, action.Kind == plan.RemovePod:
		s.warn(action.Container, "FailedKillPod", "error killing pod: %v", err)
	}
}

// reportSandbox tells why there is no sandbox. Volumes are made with it, but
// told of as by a kubelet, which makes them before.
func (s *Supervisor) reportSandbox(err error) {
	var failed *volume.Error
	if errors.As(err, &failed) {
		s.warn("", "FailedMount", "MountVolume.SetUp failed for volume %q : %v", failed.Volume, failed.Err)
		return
	}
	s.warn("", "FailedCreatePodSandBox", "Failed to create pod sandbox: %v", err)
}

// reportImage tells why an image is not there.
func (s *Supervisor) reportImage(action plan.Action, err error) {
	reason, message := reasonOf(err)
	switch reason {
	case image.ErrImageNeverPull:
		s.warn(action.Container, reason, "%s", message)
	case image.InvalidImageName:
		s.warn(action.Container, "InspectFailed", "%s", message)
	case image.ImageInspectError:
		s.warn(action.Container, "Failed", "Failed to inspect image %q: %s", action.Image.Ref, message)
	default:
		s.warn(action.Container, "Failed", "Failed to pull image %q: %s", action.Image.Ref, message)
		s.normal(action.Container, "BackOff", "Back-off pulling image %q", action.Image.Ref)
	}
	s.warn(action.Container, "Failed", "Error: %s", reason)
}

// heard tells what a probe heard, unless all is well.
func (s *Supervisor) heard(probe plan.Probe, a handler.Answer) {
	name := strings.ToUpper(string(probe.Kind[:1])) + string(probe.Kind[1:])
	switch {
	case a.Result == handler.Failure:
		s.warn(probe.Container, "Unhealthy", "%s probe failed: %s", name, a.Output)
	case a.Result == handler.Unknown:
		s.warn(probe.Container, "Unhealthy", "%s probe errored and resulted in unknown state: %s", name, a.Output)
	case a.Warning:
		s.warn(probe.Container, "ProbeWarning", "%s probe warning: %s", name, a.Output)
	}
}
