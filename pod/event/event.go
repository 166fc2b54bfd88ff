package event

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"podrun/pod/status"
)

// Event is something that happened to a pod, or to one of its containers, once
// or several times alike.
type Event struct {
	Type      string    `json:"type"` // v1.EventTypeNormal or v1.EventTypeWarning
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	Container string    `json:"container,omitempty"` // empty: the pod as a whole
	Count     int32     `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// alike says whether two events tell the same.
func (e Event) alike(other Event) bool {
	return e.Type == other.Type && e.Reason == other.Reason && e.Message == other.Message && e.Container == other.Container
}

// count puts events that are alike together, in the order of their last times.
func count(events []Event) []Event {
	var counted []Event
	for _, e := range events {
		i := slices.IndexFunc(counted, e.alike)
		if i < 0 {
			counted = append(counted, e)
			continue
		}
		known := counted[i]
		known.Count += e.Count
		if e.First.Before(known.First) {
			known.First = e.First
		}
		if e.Last.After(known.Last) {
			known.Last = e.Last
		}
		counted = append(slices.Delete(counted, i, i+1), known)
	}
	slices.SortStableFunc(counted, func(a, b Event) int { return a.Last.Compare(b.Last) })
	return counted
}

// component is who tells of events.
const component = "podrun"

// Object returns the event as Kubernetes has it. Its name follows from what it
// tells, so that it is the same however often it is counted.
func (e Event) Object(pod *v1.Pod, host string) v1.Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%s", pod.UID, e.Type, e.Reason, e.Container, e.Message))
	about := v1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
	if m, ok := status.MemberOf(pod, e.Container); ok {
		list := "initContainers"
		switch m.Role {
		case status.App:
			list = "containers"
		case status.Ephemeral:
			list = "ephemeralContainers"
		}
		about.FieldPath = fmt.Sprintf("spec.%s{%s}", list, e.Container)
	}
	return v1.Event{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta: metav1.ObjectMeta{
			Name:              pod.Name + "." + hex.EncodeToString(sum[:8]),
			Namespace:         pod.Namespace,
			CreationTimestamp: metav1.NewTime(e.First),
		},
		InvolvedObject:      about,
		Type:                e.Type,
		Reason:              e.Reason,
		Message:             e.Message,
		Source:              v1.EventSource{Component: component, Host: host},
		ReportingController: component,
		ReportingInstance:   host,
		Count:               e.Count,
		FirstTimestamp:      metav1.NewTime(e.First),
		LastTimestamp:       metav1.NewTime(e.Last),
	}
}
