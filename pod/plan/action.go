package plan

import (
	"fmt"
	"strings"
	"time"

	"podrun/pod/status"
)

// Kind is what an action does. All are idempotent: doing again what was cut
// short, or was done, is no error.
type Kind string

// The kinds of actions.
const (
	// EnsureImage makes Image available as its policy says.
	EnsureImage Kind = "EnsureImage"
	// CreateSandbox makes the sandbox with the given Attempt, or finishes it,
	// until it is Ready; first it takes down what an earlier attempt left.
	CreateSandbox Kind = "CreateSandbox"
	// CreateContainer makes an instance up to the waiting process and writes
	// down Backoff with it.
	CreateContainer Kind = "CreateContainer"
	// StartContainer starts the waiting process.
	StartContainer Kind = "StartContainer"
	// PostStart runs the hook that follows a start and writes down how it ended.
	PostStart Kind = "PostStart"
	// BeginStop writes down Replace and when the graceful end began, and runs
	// the hook that comes before the stop signal. It is not waited for after
	// Deadline.
	BeginStop Kind = "BeginStop"
	// StopContainer writes down Replace, sends the stop signal, waits until
	// Deadline, kills, and returns when the process has ended. A Deadline of
	// zero kills at once.
	StopContainer Kind = "StopContainer"
	// RecordExit writes the end of an instance to its record and drops its task.
	RecordExit Kind = "RecordExit"
	// RemoveContainer removes an instance of which no process runs.
	RemoveContainer Kind = "RemoveContainer"
	// RestartAll writes down that all containers begin anew.
	RestartAll Kind = "RestartAll"
	// EndPod writes down that the pod is ended before its containers have.
	EndPod Kind = "EndPod"
	// StopSandbox takes the sandbox down for good: the pod has ended.
	StopSandbox Kind = "StopSandbox"
	// RemovePod removes all that is left of the pod, the record last.
	RemovePod Kind = "RemovePod"
)

// Action is one thing to do.
type Action struct {
	Kind      Kind
	Container string // empty for the sandbox and the pod
	Attempt   int    // of the instance, or of the sandbox
	Image     status.Image
	Backoff   time.Duration
	Deadline  time.Time
	Replace   bool
	Reason    string // of EndPod, in the words of a status
	Cause     string
	// Message says to users why a container is stopped; empty for the usual.
	Message string
}

// Immediate says that an action only writes something down, which the caller
// does before it asks for the next plan.
func (a Action) Immediate() bool { return a.Kind == RestartAll || a.Kind == EndPod }

// Key identifies an action: of two with the same key only one is in flight.
type Key struct {
	Kind      Kind
	Container string
	Attempt   int
}

// Key returns the action's key.
func (a Action) Key() Key { return Key{a.Kind, a.Container, a.Attempt} }

// String returns the action and its cause in one line.
func (a Action) String() string {
	var b strings.Builder
	b.WriteString(string(a.Kind))
	switch a.Kind {
	case EnsureImage:
		fmt.Fprintf(&b, " %q %s for %s", a.Image.Ref, a.Image.Policy, a.Container)
	case CreateSandbox:
		fmt.Fprintf(&b, " #%d", a.Attempt)
	case RestartAll, EndPod, StopSandbox, RemovePod:
	default:
		fmt.Fprintf(&b, " %s#%d", a.Container, a.Attempt)
	}
	if a.Kind == CreateContainer && a.Backoff > 0 {
		fmt.Fprintf(&b, " (then back-off %s)", a.Backoff)
	}
	if a.Kind == StopContainer || a.Kind == BeginStop {
		b.WriteString(a.stopDetail())
	}
	if a.Cause != "" {
		b.WriteString(": " + a.Cause)
	}
	return b.String()
}

func (a Action) stopDetail() string {
	detail := " at once"
	if !a.Deadline.IsZero() {
		detail = " until " + a.Deadline.UTC().Format("15:04:05")
	}
	if a.Replace {
		detail += " to replace it"
	}
	return detail
}

// reasons lists the failures of each kind of action, the default first.
var reasons = map[Kind][]string{
	EnsureImage: {
		status.ReasonErrImagePull, status.ReasonErrImageNeverPull, status.ReasonInvalidImageName,
		status.ReasonImageInspect, status.ReasonRegistryUnavailable, status.ReasonSignatureValidation,
	},
	CreateSandbox:   {status.ReasonCreateSandbox},
	CreateContainer: {status.ReasonCreateContainer, status.ReasonCreateContainerConfig},
	StartContainer:  {status.ReasonRunContainer, status.ReasonCreateContainer}, // the second: it is not as it is to be
	PostStart:       {status.ReasonPostStartHook},
	BeginStop:       {status.ReasonKillContainer},
	StopContainer:   {status.ReasonKillContainer},
	RecordExit:      {status.ReasonRecordExit},
	RemoveContainer: {status.ReasonRemoveContainer},
	StopSandbox:     {status.ReasonKillSandbox},
	RemovePod:       {status.ReasonRemovePod},
}
