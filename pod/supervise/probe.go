package supervise

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"podrun/container"
	"podrun/pod/handler"
	"podrun/pod/plan"
	"podrun/pod/status"
	"podrun/sandbox"
)

// probeTries is how often a probe that cannot be performed is tried in a row.
const probeTries = 3

// prober performs one probe of one instance over and over.
type prober struct {
	plan.Probe
	spec    *v1.Probe
	target  handler.Target
	started time.Time // the instance
	clock   clock.Clock
	// passed is the result that is known, and known whether there is one.
	passed, known bool
	// heard is told each answer.
	heard func(handler.Answer)
}

// probed is the result of a probe that differs from the one before.
type probed struct {
	plan.Probe
	passed bool
	at     time.Time
}

// keepProbing sees to it that just those probes are performed that the plan
// names.
func (s *Supervisor) keepProbing(ctx context.Context, sb *sandbox.Sandbox, obs status.Observed) {
	wanted := plan.Probes(sb.Pod, obs)
	for probe, stop := range s.probers {
		if !slices.Contains(wanted, probe) {
			stop()
			delete(s.probers, probe)
		}
	}
	for _, probe := range wanted {
		if _, ok := s.probers[probe]; ok || len(sb.Memory.IPs) == 0 {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		s.probers[probe] = stop
		p := s.newProber(probe, sb, obs)
		s.probing.Go(func() { p.run(ctx, s.probed) })
	}
}

func (s *Supervisor) newProber(probe plan.Probe, sb *sandbox.Sandbox, obs status.Observed) *prober {
	m, _ := status.MemberOf(sb.Pod, probe.Container)
	c := obs.Newest(probe.Container)
	known, ok := obs.Probed(c, probe.Kind)
	return &prober{
		Probe:   probe,
		spec:    m.Probe(probe.Kind),
		target:  s.target(sb, m, probe.Attempt),
		started: c.StartedAt,
		clock:   s.Clock,
		passed:  known.Passed,
		known:   ok,
		heard:   func(a handler.Answer) { s.heard(probe, a) },
	}
}

// target is an instance of a container, for its probes and hooks.
func (s *Supervisor) target(sb *sandbox.Sandbox, m status.Member, attempt int) handler.Target {
	t := handler.Target{Container: m.Container}
	if len(sb.Memory.IPs) > 0 {
		t.IP = sb.Memory.IPs[0]
	}
	id := container.ID(s.uid, m.Name, attempt)
	t.Exec = func(ctx context.Context, command []string, output *handler.Output) (int, error) {
		return s.Containers.Exec(ctx, id, container.Exec{
			Args:   command,
			Stdout: output,
			Stderr: output,
			Dir:    filepath.Join(s.Sandboxes.RunDir(s.uid), "exec"),
		})
	}
	return t
}

// run probes until ctx is done, or the result is final: a startup probe has one
// result, and a liveness probe that failed is the end of its instance.
//
// The first probe is made when the initial delay is over, the next ones each a
// period after the one before began. As many equal answers in a row as the
// threshold asks for make a result.
func (p *prober) run(ctx context.Context, results chan<- probed) {
	next := p.started.Add(time.Duration(p.spec.InitialDelaySeconds) * time.Second)
	var last handler.Result
	for row := 0; p.await(ctx, next); {
		begun := p.clock.Now()
		answer := p.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		next = begun.Add(time.Duration(max(p.spec.PeriodSeconds, 1)) * time.Second)
		p.heard(answer)
		if answer.Result == handler.Unknown {
			continue
		}
		if answer.Result != last {
			row, last = 0, answer.Result
		}
		row++
		passed := answer.Result == handler.Success
		if row < p.threshold(passed) || p.known && p.passed == passed {
			continue
		}
		p.known, p.passed = true, passed
		select {
		case <-ctx.Done():
			return
		case results <- probed{Probe: p.Probe, passed: passed, at: p.clock.Now()}:
		}
		if p.Kind == status.Startup || p.Kind == status.Liveness && !passed {
			return
		}
	}
}

// probe performs the probe, again when it could not be performed.
func (p *prober) probe(ctx context.Context) (answer handler.Answer) {
	for range probeTries {
		if answer = handler.Probe(ctx, p.spec, p.target); answer.Result != handler.Unknown {
			break
		}
	}
	return answer
}

func (p *prober) threshold(passed bool) int {
	if passed {
		return int(p.spec.SuccessThreshold)
	}
	return int(p.spec.FailureThreshold)
}

// await returns at a time, and false when ctx is done before.
func (p *prober) await(ctx context.Context, at time.Time) bool {
	wait := at.Sub(p.clock.Now())
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := p.clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return ctx.Err() == nil
	}
}

// settleProbe writes down what a probe came to.
func (s *Supervisor) settleProbe(ctx context.Context, p probed) {
	memory := s.sandbox.Memory
	probes := memory.Probes[p.Container]
	if probes.Attempt != p.Attempt {
		probes = sandbox.Probes{Attempt: p.Attempt}
	}
	probes.Results = maps.Clone(probes.Results)
	if probes.Results == nil {
		probes.Results = map[string]sandbox.ProbeResult{}
	}
	probes.Results[string(p.Kind)] = sandbox.ProbeResult{Passed: p.passed, At: p.at}
	memory.Probes = maps.Clone(memory.Probes)
	if memory.Probes == nil {
		memory.Probes = map[string]sandbox.Probes{}
	}
	memory.Probes[p.Container] = probes
	if err := s.save(ctx, memory); err != nil && ctx.Err() == nil {
		s.Log.Error("write down what a probe came to", "container", p.Container, "error", err)
	}
}

// noteConditions writes down when the pod's conditions became what they are, if
// one has changed. Until the pod is ready for the first time that follows from
// the rest.
func (s *Supervisor) noteConditions(ctx context.Context, sb *sandbox.Sandbox, obs status.Observed) error {
	seen := status.Transitions(status.Of(sb.Pod, obs, s.Clock.Now()))
	if len(obs.Conditions) == 0 && seen[v1.PodReady].Status != v1.ConditionTrue {
		return nil
	}
	if maps.EqualFunc(seen, obs.Conditions, func(a, b status.Condition) bool { return a.Status == b.Status }) {
		return nil
	}
	memory := s.sandbox.Memory
	memory.Conditions = map[string]sandbox.Condition{}
	for kind, c := range seen {
		memory.Conditions[string(kind)] = sandbox.Condition{Status: string(c.Status), Since: c.Since}
	}
	return s.save(ctx, memory)
}
