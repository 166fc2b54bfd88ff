package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var eventHeader = []string{"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"}

// Events writes a list of events. JSON and YAML are a v1.EventList, whatever
// the number.
func Events(w io.Writer, events []v1.Event, format Format, now time.Time) error {
	if format != Short {
		list := v1.EventList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "EventList"}, Items: events}
		if list.Items == nil {
			list.Items = []v1.Event{}
		}
		return object(w, list, format)
	}
	rows := make([][]string, 0, len(events))
	for i := range events {
		rows = append(rows, eventRow(&events[i], now))
	}
	return Table(w, eventHeader, rows)
}

func eventRow(e *v1.Event, now time.Time) []string {
	seen := Age(now.Sub(e.LastTimestamp.Time))
	if e.Count > 1 {
		seen += fmt.Sprintf(" (x%d over %s)", e.Count, Age(now.Sub(e.FirstTimestamp.Time)))
	}
	about := "pod/" + e.InvolvedObject.Name
	if _, container, ok := strings.Cut(e.InvolvedObject.FieldPath, "{"); ok {
		about += "/" + strings.TrimSuffix(container, "}")
	}
	return []string{seen, e.Type, e.Reason, about, e.Message}
}

// EventLines writes events one by one, as they come: a line each, or an object.
type EventLines struct {
	w      io.Writer
	format Format
	begun  bool
}

// NewEventLines makes an EventLines that writes to w.
func NewEventLines(w io.Writer, format Format) *EventLines { return &EventLines{w: w, format: format} }

// followed is how wide the columns of lines are whose successors are unknown.
const followed = "%-25s %-8s %-22s %-20s %s\n"

// Write writes one event.
func (l *EventLines) Write(e v1.Event, now time.Time) error {
	if l.format != Short {
		if l.format == YAML {
			if _, err := io.WriteString(l.w, "---\n"); err != nil {
				return err
			}
		}
		return object(l.w, e, l.format)
	}
	if !l.begun {
		l.begun = true
		if err := l.line(eventHeader); err != nil {
			return err
		}
	}
	return l.line(eventRow(&e, now))
}

func (l *EventLines) line(cells []string) error {
	var all []any
	for _, cell := range cells {
		all = append(all, Quote(cell))
	}
	_, err := fmt.Fprintf(l.w, followed, all...)
	return err
}
