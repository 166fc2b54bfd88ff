package supervise

import (
	"context"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/container/oci"
	"podrun/pod/status"
)

// joined returns the instance whose PID namespace a container is to join; without
// a PID when it joins none but its pod's, or has its own.
func joined(pod *v1.Pod, m status.Member, obs *status.Observed) (status.Container, error) {
	if m.Target == "" || !oci.OwnPIDs(pod) {
		return status.Container{}, nil
	}
	newest := obs.Newest(m.Target)
	if newest == nil || newest.State != status.Running || newest.PID == 0 {
		return status.Container{}, notJoined(m.Target)
	}
	return *newest, nil
}

func notJoined(name string) error {
	return fmt.Errorf("join the processes of container %q: it does not run", name)
}

// checkJoined makes sure that a container, which waits to be started, is in the
// PID namespace that is meant: when it was made the number of a process that had
// ended may have been another's already, one of the machine's even.
func (s *Supervisor) checkJoined(ctx context.Context, id string, target status.Container) error {
	waiting, err := s.Containers.Load(ctx, id)
	if err != nil {
		return err
	}
	same, err := samePIDs(waiting.PID, target.PID)
	if err != nil {
		return fmt.Errorf("join the processes of container %q: %w", target.Name, err)
	}
	// As long as it runs its number is nobody else's.
	now, err := s.Containers.Load(ctx, target.ID)
	if err != nil {
		return err
	}
	if !same || now.State != container.Running || now.PID != target.PID {
		return notJoined(target.Name)
	}
	return nil
}

// samePIDs says whether two processes are in the same PID namespace.
func samePIDs(a, b int) (bool, error) {
	var links [2]string
	for i, pid := range []int{a, b} {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
		if err != nil {
			return false, err
		}
		links[i] = link
	}
	return links[0] == links[1], nil
}
