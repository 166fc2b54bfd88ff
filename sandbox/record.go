package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/container/env"
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
	Halt      *Halt // nil: it is to run
	CreatedAt time.Time
	State     State
	PausePID  int
	// Rebooted says that the machine was rebooted while the sandbox was there, or
	// was to be there.
	Rebooted bool
	// Objects are what the pod refers to. They are no part of the record: who
	// makes or updates volumes fills them in.
	Objects env.Objects
}

// UID of the sandbox' pod.
func (s *Sandbox) UID() string { return string(s.Pod.UID) }

// Memory is what is known of a pod and cannot be observed. Only the owner of
// the pod, its supervisor, writes it.
type Memory struct {
	// Attempt counts how often the sandbox was made anew.
	Attempt int `json:"attempt,omitempty"`
	// BootID is the machine's from when the present attempt began.
	BootID string `json:"bootID,omitempty"`
	// Systemd says that systemd makes the pod's cgroups. That does not change while
	// there is the pod.
	Systemd bool `json:"systemd,omitempty"`
	// Settings are the pod's, whoever supervises it.
	Settings Settings `json:"settings,omitzero"`
	// StartedAt is when the present attempt's pause container was started.
	StartedAt time.Time `json:"startedAt"`
	// IPs of the pod, once its network is made; the first is the pod's IP.
	IPs []string `json:"ips,omitempty"`
	// Stopped says that the sandbox was taken down on purpose.
	Stopped bool `json:"stopped,omitempty"`
	// RestartedAt is when all containers were last made to begin anew in the
	// present sandbox.
	RestartedAt time.Time `json:"restartedAt,omitzero"`
	// End is why the pod was ended before its containers had; nil when it was not.
	End *End `json:"end,omitempty"`
	// Probes are what the probes of the newest instances came to, by container
	// name.
	Probes map[string]Probes `json:"probes,omitempty"`
	// Conditions say when the pod's conditions became what they are.
	Conditions map[string]Condition `json:"conditions,omitempty"`
	// Failures are the last failed attempts to bring something up, by
	// container name; the sandbox' own has the empty name.
	Failures map[string]Failure `json:"failures,omitempty"`
}

// Settings are what a pod keeps of what podrun was told when it was made.
type Settings struct {
	// Backoff is the base of back-offs; zero for the kubelet's.
	Backoff time.Duration `json:"backoff,omitempty"`
	// LogMaxSize is how large a log may become, in bytes, LogMaxFiles how many
	// files of it are kept; see logs.Limits. Zero for the kubelet's.
	LogMaxSize  int64 `json:"logMaxSize,omitempty"`
	LogMaxFiles int   `json:"logMaxFiles,omitempty"`
}

// Halt is the wish that a pod be stopped and its record kept. Like the pod as it
// is wished for, it is written by the command line.
type Halt struct {
	At    time.Time `json:"at"`
	Grace int64     `json:"grace"` // in seconds; negative for the pod's own
}

// Probes are what the probes of an instance came to, by kind.
type Probes struct {
	Attempt int                    `json:"attempt"`
	Results map[string]ProbeResult `json:"results"`
}

// ProbeResult is what a probe came to, and when.
type ProbeResult struct {
	Passed bool      `json:"passed"`
	At     time.Time `json:"at"`
}

// Condition is the status of a condition and since when it has it.
type Condition struct {
	Status string    `json:"status"`
	Since  time.Time `json:"since"`
}

// End is the decision to end a pod, in the words of its status.
type End struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
}

// Failure is a failed attempt to bring a container or the sandbox up. Reason
// is a waiting reason of the Kubernetes API, Image what the container had then.
type Failure struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
	Count   int       `json:"count"`
	Image   string    `json:"image,omitempty"`
}

// The extensions of a pause container that make it a pod's record. They have
// one writer each: the pod as it is wished for comes from the command line,
// the memory from the supervisor.
const (
	extensionPod    = "podrun/pod"
	extensionMemory = "podrun/memory"
	extensionHalt   = "podrun/halt"
)

// encode writes an extension: a pod in the binary form of the Kubernetes API, which
// is written and read without reflection, all else in JSON.
func encode(value any) (data []byte, err error) {
	if pod, ok := value.(*v1.Pod); ok {
		data, err = pod.Marshal()
	} else {
		data, err = json.Marshal(value)
	}
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return data, nil
}

// fromPause reads a sandbox from its pause container.
func fromPause(c *container.Container) (*Sandbox, error) {
	sb := &Sandbox{ID: c.ID, Image: c.Image, Pod: &v1.Pod{}, CreatedAt: c.CreatedAt, PausePID: c.PID}
	err := sb.Pod.Unmarshal(c.Extensions[extensionPod])
	if err == nil && sb.Pod.UID == "" {
		err = errors.New("there is none")
	}
	if err != nil {
		return nil, fmt.Errorf("read record of pod %q: %w", c.Pod.Name, err)
	}
	for extension, value := range map[string]any{extensionMemory: &sb.Memory, extensionHalt: &sb.Halt} {
		data, ok := c.Extensions[extension]
		if !ok {
			continue
		}
		if err := json.Unmarshal(data, value); err != nil {
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
	case pause.State == container.Running, pause.State == container.Created:
		// Its namespaces are there from its creation.
		return Pausing
	case len(memory.IPs) > 0:
		// It was made, and its task is gone: the machine was restarted.
		return Dead
	default:
		return Absent
	}
}
