package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"podrun/pod/status"
)

// PodLines writes pods as they change, as `kubectl get --watch` does: the rows of
// a table that goes on, an object each, or names.
type PodLines struct {
	w       io.Writer
	format  Format
	columns columns
	// spaces are the namespaces that pods were of. With the second one the table
	// begins anew, with a column for them.
	spaces map[string]bool
	rows   map[types.UID]string // the last of each pod, without what time alone changes
}

// NewPodLines makes a PodLines that writes to w.
func NewPodLines(w io.Writer, format Format) *PodLines {
	return &PodLines{w: w, format: format, spaces: map[string]bool{}, rows: map[types.UID]string{}}
}

// Write writes pods that are new or have changed. A row that says what the pod's
// last one did is left out.
func (l *PodLines) Write(pods []v1.Pod, now time.Time) error {
	if l.format != Short && l.format != Wide {
		return l.objects(pods)
	}
	var rows [][]string
	header := l.header(pods)
	for i := range pods {
		pod := &pods[i]
		line := status.Line(pod, now)
		restarts, _, _ := strings.Cut(line.Restarts, " ")
		said := fmt.Sprint(line.Ready, line.Status, restarts, line.IP, images(pod))
		if l.rows[pod.UID] == said {
			continue
		}
		l.rows[pod.UID] = said
		rows = append(rows, podRow(pod, line, l.format == Wide, len(l.spaces) > 1))
	}
	if len(rows) == 0 {
		return nil
	}
	return l.columns.write(l.w, append(header, rows...))
}

// Gone writes a pod that was removed as it last was. Its row says so.
func (l *PodLines) Gone(pod *v1.Pod, now time.Time) error {
	if l.format != Short && l.format != Wide {
		return l.objects([]v1.Pod{*pod})
	}
	delete(l.rows, pod.UID)
	line := status.Line(pod, now)
	line.Status = "Removed"
	return l.columns.write(l.w, [][]string{podRow(pod, line, l.format == Wide, len(l.spaces) > 1)})
}

// header is the row that has to come before those of pods, if one has.
func (l *PodLines) header(pods []v1.Pod) [][]string {
	begun, several := len(l.spaces) > 0, len(l.spaces) > 1
	for i := range pods {
		l.spaces[pods[i].Namespace] = true
	}
	if len(pods) == 0 || begun && several == (len(l.spaces) > 1) {
		return nil
	}
	l.columns = columns{}
	return [][]string{podHeader(l.format == Wide, len(l.spaces) > 1)}
}

func (l *PodLines) objects(pods []v1.Pod) error {
	if l.format == Name {
		return Pods(l.w, pods, Name, time.Time{})
	}
	for i := range pods {
		if l.format == YAML {
			if _, err := io.WriteString(l.w, "---\n"); err != nil {
				return err
			}
		}
		if err := Pod(l.w, &pods[i], l.format); err != nil {
			return err
		}
	}
	return nil
}
