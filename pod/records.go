package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"podrun/sandbox"
	"podrun/sandbox/network"
)

// recordsLock is the file in the run directory that is locked by whoever
// decides about a record from what the records say.
const recordsLock = "records.lock"

// lockRecords waits for its turn to decide about records.
func (e *Engine) lockRecords(ctx context.Context) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(e.config.RunDir, recordsLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock records: %w", err)
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock records: %w", err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, context.Cause(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// PortError says that a port of the host that a pod wants is taken.
type PortError struct {
	Ref     Ref
	Port    network.Port
	TakenBy string // empty when it is not known
}

func (e *PortError) Error() string {
	text := fmt.Sprintf("pod %q: host port %d/%s is in use", e.Ref.Name, e.Port.HostPort, e.Port.Protocol)
	if e.TakenBy != "" {
		text += " by " + e.TakenBy
	}
	return text
}

// checkHostPorts refuses a pod whose host ports another pod has, or something
// else on the machine listens on: the network would not notice.
func checkHostPorts(records []*sandbox.Sandbox, pod *v1.Pod) error {
	wanted := network.Ports(pod)
	for _, other := range records {
		if other.Memory.Stopped {
			continue
		}
		for _, taken := range network.Ports(other.Pod) {
			for _, port := range wanted {
				if port.Overlaps(taken) {
					return &PortError{Ref: RefOf(pod), Port: port, TakenBy: fmt.Sprintf("pod %q", other.Pod.Name)}
				}
			}
		}
	}
	conflicts, err := network.InUse(wanted)
	if err != nil || len(conflicts) == 0 {
		return err
	}
	return &PortError{Ref: RefOf(pod), Port: conflicts[0].Port, TakenBy: conflicts[0].Owner}
}
