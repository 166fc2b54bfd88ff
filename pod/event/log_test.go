package event

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func started(container string) Event {
	return Event{Type: v1.EventTypeNormal, Reason: "Started", Message: "Container started", Container: container}
}

func record(t *testing.T, l *Log, e Event, seconds int) {
	t.Helper()
	if err := l.Record(e, at(seconds)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, l *Log) []Event {
	t.Helper()
	events, err := l.Read()
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := Open(dir)
	if got := read(t, l); len(got) != 0 {
		t.Errorf("before the first: %v", got)
	}
	record(t, l, started("a"), 0)
	record(t, l, started("b"), 1)
	record(t, Open(dir), started("a"), 2) // the next owner
	a, b := started("a"), started("b")
	a.Count, a.First, a.Last = 2, at(0), at(2)
	b.Count, b.First, b.Last = 1, at(1), at(1)
	if got := fmt.Sprint(read(t, l)); got != fmt.Sprint([]Event{b, a}) {
		t.Errorf("got %v", got)
	}

	// A line that was cut off is lost, the next one is not.
	file, err := os.OpenFile(filepath.Join(dir, fileName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(file, `{"type":"Nor`)
	file.Close()
	record(t, l, started("c"), 3)
	if got := read(t, l); len(got) != 3 || got[2].Container != "c" {
		t.Errorf("after a line that was cut off: %v", got)
	}
	if err := Open(filepath.Join(dir, "gone")).Record(started("a"), at(4)); err != nil {
		t.Errorf("in a directory that is gone: %v", err)
	}
}

// TestBounded: the file stays small, the newest events stay, and the counts
// stay right.
func TestBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := Open(dir)
	const all = 6000
	for i := range all {
		e := started("a")
		if i%2 == 0 {
			e.Message = fmt.Sprint("number ", i)
		}
		record(t, l, e, i)
		info, err := os.Stat(filepath.Join(dir, fileName))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxSize+2*maxText {
			t.Fatalf("%d bytes after %d events", info.Size(), i)
		}
	}
	events := read(t, l)
	if len(events) < keep {
		t.Errorf("%d events are left", len(events))
	}
	last := events[len(events)-1]
	if last.Count != all/2 || !last.First.Equal(at(1)) || !last.Last.Equal(at(all-1)) {
		t.Errorf("counted %+v", last)
	}
	if e := events[len(events)-2]; e.Message != fmt.Sprint("number ", all-2) {
		t.Errorf("before it %+v", e)
	}
	long := started("a")
	long.Message = fmt.Sprintf("%2000d", 1)
	record(t, l, long, all)
	if e := read(t, l); len(e[len(e)-1].Message) != maxText {
		t.Errorf("a long message has %d bytes", len(e[len(e)-1].Message))
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u1"}}
	pod.Spec.InitContainers, pod.Spec.Containers = []v1.Container{{Name: "i"}}, []v1.Container{{Name: "a"}}
	e := started("a")
	e.Count, e.First, e.Last = 3, at(0), at(9)
	o := e.Object(pod, "node")
	if o.InvolvedObject.FieldPath != "spec.containers{a}" || o.InvolvedObject.UID != "u1" || o.Count != 3 || !o.LastTimestamp.Time.Equal(at(9)) || o.Namespace != "default" {
		t.Errorf("%+v", o)
	}
	again := e
	again.Count = 9
	if again.Object(pod, "node").Name != o.Name {
		t.Error("counted once more it has another name")
	}
	if i := started("i").Object(pod, "node"); i.InvolvedObject.FieldPath != "spec.initContainers{i}" || i.Name == o.Name {
		t.Errorf("%+v", i)
	}
	if p := started("").Object(pod, "node"); p.InvolvedObject.FieldPath != "" {
		t.Errorf("%+v", p)
	}
}
