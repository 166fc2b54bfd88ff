package container

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Kind tells the pause container, whose record is its pod's, from the others.
type Kind string

// The kinds of container that a pod has.
const (
	KindPause Kind = "pause"
	KindApp   Kind = "app"
)

// PodRef names the pod that a container belongs to.
type PodRef struct {
	UID, Namespace, Name string
}

// RefOf is the reference to a pod.
func RefOf(pod *v1.Pod) PodRef {
	return PodRef{UID: string(pod.UID), Namespace: pod.Namespace, Name: pod.Name}
}

// ClassOf is the runtime that a pod names, empty for the default one.
func ClassOf(pod *v1.Pod) string {
	if pod.Spec.RuntimeClassName == nil {
		return ""
	}
	return *pod.Spec.RuntimeClassName
}

// Record is what podrun writes down of a container: its containerd labels.
type Record struct {
	Kind     Kind
	Pod      PodRef
	Name     string        // the container's name in the pod; empty for pause
	Attempt  int           // 0 for the first instance; the restart count
	Backoff  time.Duration // the back-off that was in force when this instance was made
	ImageRef string        // the image as the pod names it
	ImageID  string        // the image's digest reference
	// StopSignal is the container's own or the image's, empty for SIGTERM.
	StopSignal string
	// User is who the process runs as; nil when nobody wrote it down.
	User *v1.LinuxContainerUser
	// StartedAt is when the process was started, zero before.
	StartedAt time.Time
	// Replaced says that it was stopped in order to be started anew, whatever
	// its exit code.
	Replaced bool
	// PostStart is how the hook after the start ended, empty before.
	PostStart string
	// StoppingAt is when its graceful end began, zero before, and PreStopped says
	// that what comes before the stop signal is through.
	StoppingAt time.Time
	PreStopped bool
	// Exit is how it ended, nil until that was seen and written down.
	Exit *Exit
}

// Exit is the end of a container as v1.ContainerStateTerminated tells it.
type Exit struct {
	Code      int32  `json:"code"`
	Reason    string `json:"reason"`
	Message   string `json:"message,omitempty"`
	OOMKilled bool   `json:"oomKilled,omitempty"`
	// PeakMemory is the most that one which is OOMKilled had at a time, in bytes,
	// zero if unknown.
	PeakMemory int64     `json:"peakMemory,omitempty"`
	FinishedAt time.Time `json:"finishedAt"`
	// Open says that more of it is going to be written down.
	Open bool `json:"open,omitempty"`
}

// The labels of a container in containerd. The io.kubernetes names are the
// kubelet's, so that other tools show podrun's containers sensibly.
const (
	labelKind       = "podrun/kind"
	labelPodUID     = "io.kubernetes.pod.uid"
	labelNamespace  = "io.kubernetes.pod.namespace"
	labelPodName    = "io.kubernetes.pod.name"
	labelName       = "io.kubernetes.container.name"
	labelAttempt    = "podrun/attempt"
	labelBackoff    = "podrun/backoff"
	labelImageRef   = "podrun/image-ref"
	labelImageID    = "podrun/image-id"
	labelStopSignal = "podrun/stop-signal"
	labelUser       = "podrun/user"
	labelStartedAt  = "podrun/started-at"
	labelReplaced   = "podrun/replaced"
	labelPostStart  = "podrun/post-start"
	labelStoppingAt = "podrun/stopping-at"
	labelPreStopped = "podrun/pre-stopped"
	labelExit       = "podrun/exit"
)

// extensionMessage is the extension of a container's record with its termination
// message.
const extensionMessage = "podrun/message"

// maxMessage bounds a recorded message: containerd refuses labels of more
// than 4096 bytes, key and value together.
const maxMessage = 2048

// ID derives the containerd ID of an instance of a pod's container; the pause
// container has no name and the attempt 0 for all of its pod's life.
func ID(podUID, name string, attempt int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", podUID, name, attempt))
	return hex.EncodeToString(sum[:])
}

func (r Record) labels() map[string]string {
	labels := map[string]string{
		labelKind:      string(r.Kind),
		labelPodUID:    r.Pod.UID,
		labelNamespace: r.Pod.Namespace,
		labelPodName:   r.Pod.Name,
		labelName:      r.Name,
		labelAttempt:   strconv.Itoa(r.Attempt),
		labelBackoff:   r.Backoff.String(),
		labelImageRef:  r.ImageRef,
		labelImageID:   r.ImageID,
	}
	if r.StopSignal != "" {
		labels[labelStopSignal] = r.StopSignal
	}
	if r.User != nil {
		text, _ := json.Marshal(r.User)
		labels[labelUser] = string(text)
	}
	if !r.StartedAt.IsZero() {
		labels[labelStartedAt] = formatTime(r.StartedAt)
	}
	if r.Replaced {
		labels[labelReplaced] = "true"
	}
	if r.PostStart != "" {
		labels[labelPostStart] = r.PostStart
	}
	if !r.StoppingAt.IsZero() {
		labels[labelStoppingAt] = formatTime(r.StoppingAt)
	}
	if r.PreStopped {
		labels[labelPreStopped] = "true"
	}
	if r.Exit != nil {
		labels[labelExit] = r.Exit.label()
	}
	return labels
}

func recordFrom(labels map[string]string) (Record, error) {
	r := Record{
		Kind:       Kind(labels[labelKind]),
		Pod:        PodRef{UID: labels[labelPodUID], Namespace: labels[labelNamespace], Name: labels[labelPodName]},
		Name:       labels[labelName],
		ImageRef:   labels[labelImageRef],
		ImageID:    labels[labelImageID],
		StopSignal: labels[labelStopSignal],
		Replaced:   labels[labelReplaced] == "true",
		PostStart:  labels[labelPostStart],
		PreStopped: labels[labelPreStopped] == "true",
	}
	var err error
	if r.Attempt, err = strconv.Atoi(labels[labelAttempt]); err != nil {
		return r, fmt.Errorf("read label %s: %w", labelAttempt, err)
	}
	if r.Backoff, err = time.ParseDuration(labels[labelBackoff]); err != nil {
		return r, fmt.Errorf("read label %s: %w", labelBackoff, err)
	}
	for label, at := range map[string]*time.Time{labelStartedAt: &r.StartedAt, labelStoppingAt: &r.StoppingAt} {
		if s, ok := labels[label]; ok {
			if *at, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return r, fmt.Errorf("read label %s: %w", label, err)
			}
		}
	}
	if s, ok := labels[labelUser]; ok {
		if err := json.Unmarshal([]byte(s), &r.User); err != nil {
			return r, fmt.Errorf("read label %s: %w", labelUser, err)
		}
	}
	if s, ok := labels[labelExit]; ok {
		r.Exit = &Exit{}
		if err := json.Unmarshal([]byte(s), r.Exit); err != nil {
			return r, fmt.Errorf("read label %s: %w", labelExit, err)
		}
	}
	return r, nil
}

func (e Exit) label() string {
	if len(e.Message) > maxMessage {
		e.Message = e.Message[:maxMessage]
	}
	for {
		// Quoting can make a message grow; a label must not.
		text, _ := json.Marshal(e)
		if len(text) <= maxMessage+512 || e.Message == "" {
			return string(text)
		}
		e.Message = e.Message[:len(e.Message)/2]
	}
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
