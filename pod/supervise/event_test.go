package supervise

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"podrun/container/image"
	"podrun/pod/event"
	"podrun/pod/handler"
	"podrun/pod/plan"
	"podrun/pod/status"
	"podrun/sandbox"
	"podrun/sandbox/volume"
)

// newTeller makes a supervisor that does nothing but tell.
func newTeller(t *testing.T) (*Supervisor, *clocktesting.FakeClock) {
	t.Helper()
	clock := clocktesting.NewFakeClock(noon)
	s := New("u1", Parts{Clock: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	s.sandbox = &sandbox.Sandbox{}
	s.events = teller{log: event.Open(t.TempDir()), began: noon, told: map[tale]bool{}}
	return s, clock
}

// told is what was told, a line each.
func told(t *testing.T, s *Supervisor) string {
	t.Helper()
	events, err := s.events.log.Read()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%.1s %s %s %d: %s\n", e.Type, e.Reason, e.Container, e.Count, e.Message)
	}
	return b.String()
}

var errNo = errors.New("no")

func TestTellOfActions(t *testing.T) {
	t.Parallel()
	busybox := status.Image{Ref: "busybox"}
	for name, c := range map[string]struct {
		tell func(*Supervisor)
		want string
	}{
		"created":     {func(s *Supervisor) { s.report(plan.Action{Kind: plan.CreateContainer, Container: "a"}, nil) }, "N Created a 1: Container created\n"},
		"not created": {func(s *Supervisor) { s.report(plan.Action{Kind: plan.CreateContainer, Container: "a"}, errNo) }, "W Failed a 1: Error: no\n"},
		"no sandbox":  {func(s *Supervisor) { s.report(plan.Action{Kind: plan.CreateSandbox}, errNo) }, "W FailedCreatePodSandBox  1: Failed to create pod sandbox: no\n"},
		"no volume": {func(s *Supervisor) {
			s.report(plan.Action{Kind: plan.CreateSandbox}, fmt.Errorf("make volumes: %w", &volume.Error{Volume: "v", Err: errNo}))
		}, "W FailedMount  1: MountVolume.SetUp failed for volume \"v\" : no\n"},
		"hook":            {func(s *Supervisor) { s.report(plan.Action{Kind: plan.PostStart, Container: "a"}, errNo) }, "W FailedPostStartHook a 1: PostStartHook failed\n"},
		"cannot be ended": {func(s *Supervisor) { s.report(plan.Action{Kind: plan.StopSandbox}, errNo) }, "W FailedKillPod  1: error killing pod: no\n"},
		"not pulled": {func(s *Supervisor) {
			s.report(plan.Action{Kind: plan.EnsureImage, Container: "a", Image: busybox}, &image.Error{Reason: image.ErrImagePull, Message: "no route"})
		}, "W Failed a 1: Failed to pull image \"busybox\": no route\nN BackOff a 1: Back-off pulling image \"busybox\"\nW Failed a 1: Error: ErrImagePull\n"},
		"never pulled": {func(s *Supervisor) {
			s.report(plan.Action{Kind: plan.EnsureImage, Container: "a", Image: busybox}, &image.Error{Reason: image.ErrImageNeverPull, Message: "absent"})
		}, "W ErrImageNeverPull a 1: absent\nW Failed a 1: Error: ErrImageNeverPull\n"},
		"stopped": {func(s *Supervisor) {
			s.announce(plan.Action{Kind: plan.BeginStop, Container: "a"})
			s.announce(plan.Action{Kind: plan.StopContainer, Container: "a"})
			s.announce(plan.Action{Kind: plan.StopContainer, Container: "b", Message: "Container b failed liveness probe"})
		}, "N Killing a 1: Stopping container a\nN Killing b 1: Container b failed liveness probe\n"},
		"deadline": {func(s *Supervisor) {
			s.announce(plan.Action{Kind: plan.EndPod, Reason: "DeadlineExceeded", Cause: "too long"})
		}, "N DeadlineExceeded  1: too long\n"},
		"sandboxes": {func(s *Supervisor) {
			s.announce(plan.Action{Kind: plan.CreateSandbox})
			s.announce(plan.Action{Kind: plan.CreateSandbox, Attempt: 1})
		}, "N SandboxChanged  1: Pod sandbox changed, it will be killed and re-created.\n"},
		"probes": {func(s *Supervisor) {
			readiness := plan.Probe{Container: "a", Kind: status.Readiness}
			s.heard(readiness, handler.Answer{Result: handler.Success, Output: "fine"})
			s.heard(readiness, handler.Answer{Result: handler.Failure, Output: "500"})
			s.heard(readiness, handler.Answer{Result: handler.Failure, Output: "500"})
			s.heard(plan.Probe{Container: "a", Kind: status.Startup}, handler.Answer{Result: handler.Unknown, Output: "gone"})
			s.heard(plan.Probe{Container: "a", Kind: status.Liveness}, handler.Answer{Result: handler.Success, Output: "elsewhere", Warning: true})
		}, "W Unhealthy a 2: Readiness probe failed: 500\nW Unhealthy a 1: Startup probe errored and resulted in unknown state: gone\nW ProbeWarning a 1: Liveness probe warning: elsewhere\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newTeller(t)
			c.tell(s)
			if got := told(t, s); got != c.want {
				t.Errorf("told\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestTellOfContainers: a start, a start that failed and a back-off are told
// once, and not what an earlier owner told; what is gone is forgotten.
func TestTellOfContainers(t *testing.T) {
	t.Parallel()
	s, clock := newTeller(t)
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u1"}}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		pod.Spec.Containers = append(pod.Spec.Containers, v1.Container{Name: name})
	}
	obs := &status.Observed{Containers: []status.Container{
		{Name: "a", ID: "1", State: status.Running, StartedAt: noon},
		{Name: "b", ID: "2", State: status.Running, StartedAt: noon.Add(-time.Second)},
		{Name: "c", ID: "3", State: status.Exited, Reason: status.ReasonStartError, Message: "no such file", FinishedAt: noon, CreatedAt: noon},
		{Name: "d", ID: "4", State: status.Exited, StartedAt: noon.Add(-time.Second), CreatedAt: noon.Add(-time.Second), FinishedAt: noon, Backoff: time.Minute},
		// Seen late: its back-off is over.
		{Name: "e", ID: "5", State: status.Exited, StartedAt: noon.Add(-time.Second), CreatedAt: noon.Add(-time.Second), FinishedAt: noon.Add(-time.Second), Backoff: time.Millisecond},
		{Name: "f", ID: "6", State: status.Exited, StartedAt: noon.Add(-time.Second), CreatedAt: noon.Add(-time.Second), FinishedAt: noon},
	}}
	s.tellOf(pod, obs)
	clock.Step(time.Second)
	s.tellOf(pod, obs)
	want := "N Started a 1: Container started\nW Failed c 1: Error: no such file\n" +
		"W BackOff d 1: Back-off restarting failed container d in pod web_default(u1)\n" +
		"W BackOff e 1: Back-off restarting failed container e in pod web_default(u1)\n"
	if got := told(t, s); got != want {
		t.Errorf("told\n%swant\n%s", got, want)
	}
	s.tellOf(pod, &status.Observed{})
	if len(s.events.told) != 0 {
		t.Errorf("still known: %v", s.events.told)
	}
}
