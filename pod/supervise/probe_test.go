package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"podrun/pod/handler"
	"podrun/pod/plan"
	"podrun/pod/status"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// play runs a prober whose command answers with what is scripted, a letter a
// probe: s succeeds, f fails, u cannot be run. It returns when each probe was
// made, in seconds, and what was sent: the number of the probe and the result.
func play(t *testing.T, kind status.ProbeKind, spec v1.Probe, script string) (times []int, sent []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clock := clocktesting.NewFakeClock(noon)
	spec.Exec, spec.TimeoutSeconds = &v1.ExecAction{}, 1
	script = strings.ReplaceAll(script, "u", "uuu") // it is tried three times
	asked := make(chan bool)
	results := make(chan probed)
	ended := make(chan bool)
	p := &prober{
		Probe: plan.Probe{Kind: kind}, spec: &spec, started: noon, clock: clock,
		heard: func(handler.Answer) {},
		target: handler.Target{Exec: func(context.Context, []string, *handler.Output) (int, error) {
			asked <- true
			next := script[:1]
			script = script[1:]
			switch next {
			case "s":
				return 0, nil
			case "f":
				return 1, nil
			}
			return 0, errors.New("cannot run")
		}},
	}
	go func() {
		p.run(ctx, results)
		close(ended)
	}()
	for len(script) > 0 || clock.HasWaiters() {
		select {
		case <-asked:
			times = append(times, int(clock.Since(noon).Seconds()))
		case r := <-results:
			sent = append(sent, fmt.Sprint(len(times), " ", r.passed))
		case <-ended:
			return times, sent
		case <-time.After(time.Millisecond):
			if clock.HasWaiters() {
				if len(script) == 0 {
					return times, sent
				}
				clock.Step(time.Second)
			}
		}
	}
	select {
	case r := <-results:
		sent = append(sent, fmt.Sprint(len(times), " ", r.passed))
	case <-time.After(10 * time.Millisecond):
	case <-ended:
	}
	return times, sent
}

func TestProber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kind   status.ProbeKind
		spec   v1.Probe
		script string
		want   string
	}{
		{"readiness", status.Readiness, v1.Probe{PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}, "fffssfffs",
			"[0 10 20 30 40 50 60 70 80] [3 false 4 true 8 false 9 true]"},
		{"initial delay", status.Readiness, v1.Probe{InitialDelaySeconds: 7, PeriodSeconds: 5, SuccessThreshold: 2, FailureThreshold: 1}, "sfss",
			"[7 12 17 22] [2 false 4 true]"},
		{"liveness ends with a failure", status.Liveness, v1.Probe{PeriodSeconds: 1, SuccessThreshold: 1, FailureThreshold: 2}, "sfsffsss",
			"[0 1 2 3 4] [1 true 5 false]"},
		{"startup ends with a success", status.Startup, v1.Probe{PeriodSeconds: 2, SuccessThreshold: 1, FailureThreshold: 3}, "ffsfff",
			"[0 2 4] [3 true]"},
		{"startup ends with a failure", status.Startup, v1.Probe{PeriodSeconds: 2, SuccessThreshold: 1, FailureThreshold: 3}, "fffsss",
			"[0 2 4] [3 false]"},
		{"what cannot be run is tried three times and changes nothing", status.Readiness, v1.Probe{PeriodSeconds: 1, SuccessThreshold: 2, FailureThreshold: 1}, "suss",
			"[0 1 1 1 2 3] [5 true]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			times, sent := play(t, c.kind, c.spec, c.script)
			if got := fmt.Sprint(times, " ", sent); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestProberKnows: a result that an earlier owner heard is not sent again.
func TestProberKnows(t *testing.T) {
	t.Parallel()
	p := &prober{
		Probe: plan.Probe{Kind: status.Startup}, spec: &v1.Probe{ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{}}, SuccessThreshold: 1, FailureThreshold: 1},
		started: noon, clock: clocktesting.NewFakeClock(noon), heard: func(handler.Answer) {},
		target: handler.Target{Exec: func(context.Context, []string, *handler.Output) (int, error) { return 0, nil }},
		passed: false, known: true,
	}
	results := make(chan probed, 1)
	p.run(t.Context(), results)
	if r := <-results; !r.passed || !r.at.Equal(noon) {
		t.Errorf("sent %+v", r)
	}
}
