package output

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestEventLines: events that are followed are lines below one header, or objects
// that can be read one by one.
func TestEventLines(t *testing.T) {
	t.Parallel()
	events := []v1.Event{
		{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, Type: v1.EventTypeNormal, Reason: "Started", Message: "Container started", Count: 1,
			InvolvedObject: v1.ObjectReference{Name: "web", FieldPath: "spec.containers{a}"}, LastTimestamp: metav1.NewTime(noon)},
		{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, Type: v1.EventTypeWarning, Reason: "Unhealthy", Message: "no\x1b[31m", Count: 3,
			InvolvedObject: v1.ObjectReference{Name: "web"}, FirstTimestamp: metav1.NewTime(noon.Add(-time.Minute)), LastTimestamp: metav1.NewTime(noon)},
	}
	write := func(format Format) string {
		var b bytes.Buffer
		lines := NewEventLines(&b, format)
		for _, e := range events {
			if err := lines.Write(e, noon.Add(2*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		return b.String()
	}
	var got []string
	for line := range strings.Lines(write(Short)) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"LAST SEEN TYPE REASON OBJECT MESSAGE", "2s Normal Started pod/web/a Container started", `2s (x3 over 62s) Warning Unhealthy pod/web "no\x1b[31m"`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("lines\n%s", strings.Join(got, "\n"))
	}
	decoder := json.NewDecoder(strings.NewReader(write(JSON)))
	for _, e := range events {
		var read v1.Event
		if err := decoder.Decode(&read); err != nil || read.Kind != "Event" || read.Message != e.Message || read.Count != e.Count {
			t.Errorf("read %+v, %v", read, err)
		}
	}
	if n := strings.Count(write(YAML), "---\n"); n != len(events) {
		t.Errorf("%d documents", n)
	}
}
