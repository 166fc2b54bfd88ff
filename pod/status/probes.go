package status

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// ProbeKind is what a probe decides about.
type ProbeKind string

// The kinds of probes.
const (
	Startup   ProbeKind = "startup"
	Liveness  ProbeKind = "liveness"
	Readiness ProbeKind = "readiness"
)

// Probes is what the probes of one instance of a container came to.
type Probes struct {
	Attempt int // of the instance
	Results map[ProbeKind]ProbeResult
}

// ProbeResult is what a probe came to when it had failed, or succeeded, as
// often in a row as its threshold asks for.
type ProbeResult struct {
	Passed bool
	At     time.Time
}

// Probe returns the container's probe of a kind, nil for none.
func (m Member) Probe(kind ProbeKind) *v1.Probe {
	switch kind {
	case Startup:
		return m.StartupProbe
	case Liveness:
		return m.LivenessProbe
	default:
		return m.ReadinessProbe
	}
}

// Probed returns what a probe of an instance came to; ok is false as long as
// that is not known.
func (o *Observed) Probed(c *Container, kind ProbeKind) (result ProbeResult, ok bool) {
	probes := o.Probes[c.Name]
	if probes.Attempt != c.Attempt {
		return ProbeResult{}, false
	}
	result, ok = probes.Results[kind]
	return result, ok
}

// Up says whether an instance runs and counts as started: its hook and its
// startup probe are through.
func (o *Observed) Up(m Member, c *Container) bool {
	startup, _ := o.Probed(c, Startup)
	return c.State == Running && c.launched(m) && (m.StartupProbe == nil || startup.Passed)
}

// ready says whether an instance is up and can be used.
func (o *Observed) ready(m Member, c *Container) bool {
	readiness, _ := o.Probed(c, Readiness)
	return o.Up(m, c) && (m.ReadinessProbe == nil || readiness.Passed)
}

// Sick returns the kind of the probe by which an instance is to be stopped.
func (o *Observed) Sick(m Member, c *Container) (ProbeKind, bool) {
	for _, kind := range []ProbeKind{Startup, Liveness} {
		if result, ok := o.Probed(c, kind); ok && !result.Passed && m.Probe(kind) != nil {
			return kind, true
		}
	}
	return "", false
}
