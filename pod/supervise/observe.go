package supervise

import (
	"context"

	"podrun/container"
	"podrun/pod/status"
	"podrun/sandbox"
)

// Observe looks at a pod: its sandbox with the record in it, and what the
// world shows of it. errdefs.ErrNotFound says that there is no such pod.
func Observe(ctx context.Context, sandboxes *sandbox.Store, uid string) (*sandbox.Sandbox, status.Observed, error) {
	sb, containers, err := sandboxes.Observe(ctx, uid)
	if err != nil {
		return nil, status.Observed{}, err
	}
	obs := status.Observed{
		Created:  sb.CreatedAt,
		HostIPs:  sandboxes.HostIPs(),
		Sandbox:  observedSandbox(sb),
		Failures: map[string]status.Failure{},
	}
	for _, c := range containers {
		obs.Containers = append(obs.Containers, observedContainer(c))
	}
	for name, f := range sb.Memory.Failures {
		obs.Failures[name] = status.Failure(f)
	}
	return sb, obs, nil
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
		Name:      c.Name,
		ID:        c.ID,
		Attempt:   c.Attempt,
		PID:       c.PID,
		CreatedAt: c.CreatedAt,
		StartedAt: c.StartedAt,
		Image:     c.Image,
		ImageID:   c.ImageID,
		Backoff:   c.Backoff,
		Replaced:  c.Replaced,
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
		observed.OOMKilled = c.Exit.OOMKilled
	}
	return observed
}
