package status

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

// TestConditionTimes: a condition's time is that of its last change, as it was seen
// or, where nobody saw it, as it follows from the rest.
func TestConditionTimes(t *testing.T) {
	t.Parallel()
	pod := newPod(v1.RestartPolicyAlways, "a")
	pod.Spec.Containers[0].ReadinessProbe = &v1.Probe{}
	obs := Observed{Created: at(-300), Sandbox: ready, Containers: []Container{running("a", 0)}}
	probe := func(passed bool, when int) func() {
		return func() {
			obs.Probes = map[string]Probes{"a": {Results: map[ProbeKind]ProbeResult{Readiness: {Passed: passed, At: at(when)}}}}
		}
	}
	for _, step := range []struct {
		name    string
		happens func()
		now     int
		want    v1.ConditionStatus
		since   int
	}{
		{"died without having been ready", func() { obs.Containers = []Container{exited("a", 0, 1, -10, 0)} }, -9, v1.ConditionFalse, -300},
		{"not ready from the beginning", func() { obs.Containers = []Container{running("a", 0)} }, 0, v1.ConditionFalse, -300},
		{"ready", probe(true, 5), 6, v1.ConditionTrue, 5},
		{"still ready", probe(true, 7), 8, v1.ConditionTrue, 5},
		{"not ready, and runs", probe(false, 10), 11, v1.ConditionFalse, 11},
		{"still not ready", func() {}, 20, v1.ConditionFalse, 11},
		{"ready again", probe(true, 30), 31, v1.ConditionTrue, 30},
		{"died", func() { obs.Containers = []Container{exited("a", 0, 1, 40, 0)} }, 42, v1.ConditionFalse, 40},
		{"runs again and was ready at once", func() {
			obs.Containers = append(obs.Containers, running("a", 1))
			obs.Probes["a"] = Probes{1, obs.Probes["a"].Results}
		}, 45, v1.ConditionTrue, 45},
	} {
		step.happens()
		pod.Status = Of(pod, obs, at(step.now))
		for _, kind := range []v1.PodConditionType{v1.PodReady, v1.ContainersReady} {
			for _, c := range pod.Status.Conditions {
				if since := int(c.LastTransitionTime.Sub(noon) / time.Second); c.Type == kind && (c.Status != step.want || since != step.since) {
					t.Errorf("%s: %s is %s since %d, want %s since %d", step.name, kind, c.Status, since, step.want, step.since)
				}
			}
		}
		if step.now > 0 { // before, nobody looks
			obs.Conditions = Transitions(pod.Status)
		}
	}
}

// TestStaysInitialized: once an app container has started, init containers that run
// once more, in a new sandbox, make no difference; before that they do.
func TestStaysInitialized(t *testing.T) {
	t.Parallel()
	pod := withInits(newPod(v1.RestartPolicyAlways, "a"))
	anew := Sandbox{State: SandboxReady, StartedAt: at(-1)}
	for name, test := range map[string]struct {
		have []Container
		want v1.ConditionStatus
	}{
		"the app had run":     {[]Container{exited("i", 0, 0, -80, 0), exited("s", 0, 143, -2, 0), exited("a", 0, 143, -2, 0)}, v1.ConditionTrue},
		"the app had not run": {[]Container{exited("i", 0, 0, -80, 0), exited("s", 0, 143, -2, 0)}, v1.ConditionFalse},
	} {
		status := Of(pod, Observed{Sandbox: anew, Containers: test.have}, at(0))
		for _, c := range status.Conditions {
			if c.Type == v1.PodInitialized && c.Status != test.want {
				t.Errorf("%s: %s, %s", name, c.Status, c.Message)
			}
		}
	}
}
