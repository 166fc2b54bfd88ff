package status

import (
	v1 "k8s.io/api/core/v1"
)

// tally counts a pod's containers by what their statuses show.
type tally struct {
	running, waiting, stopped int
	succeeded, restartable    int // of stopped
}

// phase is the kubelet's getPhase. A sandbox that was stopped on purpose makes
// the pod terminal.
func phase(pod *v1.Pod, obs *Observed, statuses []v1.ContainerStatus) v1.PodPhase {
	t := count(pod, obs, statuses)
	terminal := obs.Sandbox.State == SandboxStopped
	switch {
	case t.waiting > 0:
		return v1.PodPending
	case t.running > 0:
		return v1.PodRunning
	case !terminal && t.restartable > 0:
		return v1.PodRunning
	case t.stopped == t.succeeded:
		return v1.PodSucceeded
	default:
		return v1.PodFailed
	}
}

func count(pod *v1.Pod, obs *Observed, statuses []v1.ContainerStatus) tally {
	specs := map[string]*v1.Container{}
	for i := range pod.Spec.Containers {
		specs[pod.Spec.Containers[i].Name] = &pod.Spec.Containers[i]
	}
	var t tally
	for i := range statuses {
		s := &statuses[i]
		end := s.State.Terminated
		if s.State.Waiting != nil {
			end = s.LastTerminationState.Terminated
		}
		switch {
		case s.State.Running != nil:
			t.running++
		case end == nil:
			t.waiting++
		default:
			t.stopped++
			if end.ExitCode == 0 {
				t.succeeded++
			}
			if dead := newestDead(obs, s.Name); dead != nil && Restartable(pod, specs[s.Name], dead) {
				t.restartable++
			}
		}
	}
	return t
}

func newestDead(obs *Observed, name string) *Container {
	for _, c := range obs.Instances(name) {
		if c.Dead() {
			return c
		}
	}
	return nil
}
