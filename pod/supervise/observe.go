package supervise

import (
	"context"

	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/pod/status"
	"podrun/sandbox"
)

// Observe looks at a pod: its sandbox with the record in it, and what the
// world shows of it. errdefs.ErrNotFound says that there is no such pod. likely is
// for container.Store.ListPod.
func Observe(ctx context.Context, sandboxes *sandbox.Store, uid string, likely ...string) (*sandbox.Sandbox, status.Observed, error) {
	sb, containers, err := sandboxes.Observe(ctx, uid, likely...)
	if err != nil {
		return nil, status.Observed{}, err
	}
	obs := status.Observed{
		Created:     sb.CreatedAt,
		HostIPs:     sandboxes.HostIPs(),
		Sandbox:     observedSandbox(sb),
		BackoffBase: sb.Memory.Settings.Backoff,
		Failures:    map[string]status.Failure{},
		Probes:      map[string]status.Probes{},
		Conditions:  map[v1.PodConditionType]status.Condition{},
	}
	for _, c := range containers {
		obs.Containers = append(obs.Containers, observedContainer(c))
	}
	if sb.Halt != nil {
		halt := status.Halt(*sb.Halt)
		obs.Halt = &halt
	}
	recall(sb.Memory, &obs)
	if sb.Rebooted {
		obs.Reboot(sb.Pod)
	}
	return sb, obs, nil
}

// recall adds to what is observed what only the supervisor can know.
func recall(memory sandbox.Memory, obs *status.Observed) {
	obs.RestartedAt = memory.RestartedAt
	if memory.End != nil {
		obs.End = status.End(*memory.End)
	}
	for name, f := range memory.Failures {
		obs.Failures[name] = status.Failure(f)
	}
	for name, probes := range memory.Probes {
		results := map[status.ProbeKind]status.ProbeResult{}
		for kind, result := range probes.Results {
			results[status.ProbeKind(kind)] = status.ProbeResult(result)
		}
		obs.Probes[name] = status.Probes{Attempt: probes.Attempt, Results: results}
	}
	for kind, c := range memory.Conditions {
		obs.Conditions[v1.PodConditionType(kind)] = status.Condition{Status: v1.ConditionStatus(c.Status), Since: c.Since}
	}
}

func observedSandbox(sb *sandbox.Sandbox) status.Sandbox {
	return status.Sandbox{
		State: map[sandbox.State]status.SandboxState{
			sandbox.Absent:  status.SandboxAbsent,
			sandbox.Pausing: status.SandboxCreated,
			sandbox.Ready:   status.SandboxReady,
			sandbox.Dead:    status.SandboxExited,
			sandbox.Stopped: status.SandboxStopped,
		}[sb.State],
		Attempt:   sb.Memory.Attempt,
		StartedAt: sb.Memory.StartedAt,
		Since:     sb.Memory.StartedAt,
		IPs:       sb.Memory.IPs,
		PausePID:  sb.PausePID,
	}
}

func observedContainer(c container.Container) status.Container {
	observed := status.Container{
		Name:       c.Name,
		ID:         c.ID,
		Attempt:    c.Attempt,
		PID:        c.PID,
		CreatedAt:  c.CreatedAt,
		StartedAt:  c.StartedAt,
		Image:      c.Image,
		ImageRef:   c.ImageRef,
		ImageID:    c.ImageID,
		Backoff:    c.Backoff,
		Replaced:   c.Replaced,
		User:       c.User,
		PostStart:  status.HookState(c.PostStart),
		StoppingAt: c.StoppingAt,
		PreStopped: c.PreStopped,
	}
	switch c.State {
	case container.Registered:
		observed.State = status.Registered
	case container.Created:
		observed.State = status.Created
	case container.Running, container.Unknown:
		// What cannot be told to have ended must not be started again.
		observed.State = status.Running
	case container.Exited:
		observed.State = status.Ended
		if c.Recorded {
			observed.State = status.Exited
		}
		observed.FinishedAt = c.Exit.FinishedAt
		observed.ExitCode = c.Exit.Code
		observed.Reason = c.Exit.Reason
		observed.Message = c.Exit.Message
		observed.OOMKilled, observed.PeakMemory = c.Exit.OOMKilled, c.Exit.PeakMemory
	}
	return observed
}
