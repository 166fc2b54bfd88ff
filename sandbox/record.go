package sandbox

import (
	"encoding/json"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/container"
)

// State is where a sandbox is in its life.
type State string

// The states of a sandbox.
const (
	// Absent: there is a record, but no pause container runs yet.
	Absent State = "absent"
	// Pausing: the pause container is there, the network is being made.
	Pausing State = "pausing"
	// Ready: containers can be started.
	Ready State = "ready"
	// Dead: the pause container ended although nobody asked it to.
	Dead State = "dead"
	// Stopped: taken down on purpose, since the pod has ended.
	Stopped State = "stopped"
)

// Sandbox is a pod's sandbox as it was found.
type Sandbox struct {
	ID        string // of the pause container
	Image     string // of the pause container
	Pod       *v1.Pod
	Memory    Memory
	CreatedAt time.Time
	State     State
	PausePID  int
}

// UID of the sandbox' pod.
func (s *Sandbox) UID() string { return string(s.Pod.UID) }

// Memory is what is known of a pod and cannot be observed. Only the owner of
// the pod, its supervisor, writes it.
type Memory struct {
	// Attempt counts how often the sandbox was made anew.
	Attempt int `json:"attempt,omitempty"`
	// StartedAt is when the present attempt's pause container was started.
	StartedAt time.Time `json:"startedAt"`
	// IPs of the pod, once its network is made; the first is the pod's IP.
	IPs []string `json:"ips,omitempty"`
	// Stopped says that the sandbox was taken down on purpose.
	Stopped bool `json:"stopped,omitempty"`
	// Failures are the last failed attempts to bring something up, by
	// container name; the sandbox' own has the empty name.
	Failures map[string]Failure `json:"failures,omitempty"`
}

// Failure is a failed attempt to bring a container or the sandbox up. Reason
// is a waiting reason of the Kubernetes API.
type Failure struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
	Count   int       `json:"count"`
}

// The extensions of a pause container that make it a pod's record. They have
// one writer each: the pod as it is wished for comes from the command line,
// the memory from the supervisor.
const (
	extensionPod    = "podrun/pod"
	extensionMemory = "podrun/memory"
)

func encode(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return data, nil
}

// fromPause reads a sandbox from its pause container.
func fromPause(c *container.Container) (*Sandbox, error) {
	sb := &Sandbox{ID: c.ID, Image: c.Image, Pod: &v1.Pod{}, CreatedAt: c.CreatedAt, PausePID: c.PID}
	if err := json.Unmarshal(c.Extensions[extensionPod], sb.Pod); err != nil {
		return nil, fmt.Errorf("read record of pod %q: %w", c.Pod.Name, err)
	}
	if data, ok := c.Extensions[extensionMemory]; ok {
		if err := json.Unmarshal(data, &sb.Memory); err != nil {
			return nil, fmt.Errorf("read record of pod %q: %w", c.Pod.Name, err)
		}
	}
	sb.State = state(c, sb.Memory)
	return sb, nil
}

func state(pause *container.Container, memory Memory) State {
	switch {
	case memory.Stopped:
		return Stopped
	case pause.State == container.Exited:
		return Dead
	case (pause.State == container.Running || pause.State == container.Unknown) && len(memory.IPs) > 0:
		return Ready
	case pause.State == container.Running, pause.State == container.Created, pause.State == container.Unknown:
		// Its namespaces are there from its creation.
		return Pausing
	case len(memory.IPs) > 0:
		// It was made, and its task is gone: the machine was restarted.
		return Dead
	default:
		return Absent
	}
}
