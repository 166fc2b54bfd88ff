package output

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/pod/status"
)

// Description is what a person wants to know of a pod.
type Description struct {
	Pod    *v1.Pod // with its status
	Events []v1.Event
	// Troubles say why it is not well; Logs hold the last lines of the containers
	// that they name, by name.
	Troubles []status.Trouble
	Logs     map[string][]string
}

// Describe writes a description: why the pod is not well first, if it is not.
func Describe(w io.Writer, d Description, now time.Time) error {
	var b strings.Builder
	line := status.Line(d.Pod, now)
	if len(d.Troubles) > 0 {
		fmt.Fprintf(&b, "pod/%s is not well: %s\n", d.Pod.Name, line.Status)
		for _, t := range d.Troubles {
			d.trouble(&b, t)
		}
		b.WriteByte('\n')
	}
	d.facts(&b, line)
	b.WriteByte('\n')
	d.containers(&b, now)
	if len(d.Events) > 0 {
		b.WriteString("\nEvents:\n")
		if err := Events(&b, d.Events, Short, now); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, Escape(b.String()))
	return err
}

// trouble writes one trouble, with what a probe said and the container printed.
func (d Description) trouble(b *strings.Builder, t status.Trouble) {
	if t.Container == "" {
		fmt.Fprintf(b, "  %s\n", t.Text)
		return
	}
	fmt.Fprintf(b, "  container %s: %s\n", t.Container, t.Text)
	if probe := d.lastWarning(t.Container, "Unhealthy"); probe != "" {
		fmt.Fprintf(b, "    %s\n", probe)
	}
	if lines := d.Logs[t.Container]; len(lines) > 0 {
		b.WriteString("    the last lines that it printed:\n")
		for _, line := range lines {
			fmt.Fprintf(b, "      %s\n", line)
		}
	}
}

// lastWarning is the message of the last event with a reason about a container,
// empty for none.
func (d Description) lastWarning(container, reason string) string {
	message := ""
	for i := range d.Events {
		if e := &d.Events[i]; e.Reason == reason && strings.HasSuffix(e.InvolvedObject.FieldPath, "{"+container+"}") {
			message = e.Message
		}
	}
	return message
}

func (d Description) facts(b *strings.Builder, line status.Summary) {
	pod := d.Pod
	for _, fact := range [][2]string{
		{"Name", pod.Name},
		{"Namespace", pod.Namespace},
		{"UID", string(pod.UID)},
		{"Labels", pairs(pod.Labels)},
		{"Status", line.Status + ", " + line.Ready + " ready, " + line.Age + " old"},
		{"IP", orNone(pod.Status.PodIP)},
		{"QoS class", string(pod.Status.QOSClass)},
		{"Restart policy", string(pod.Spec.RestartPolicy)},
		{"Conditions", conditions(pod)},
	} {
		fmt.Fprintf(b, "%-16s %s\n", fact[0]+":", fact[1])
	}
}

func pairs(labels map[string]string) string {
	if len(labels) == 0 {
		return orNone("")
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(labels)[len("map"):], "[]"), ":", "=")
}

// conditions lists those that are not true, which are the ones to look at.
func conditions(pod *v1.Pod) string {
	var not []string
	for _, c := range pod.Status.Conditions {
		if c.Status != v1.ConditionTrue {
			not = append(not, fmt.Sprintf("not %s: %s", c.Type, cmp.Or(c.Message, c.Reason, "unknown why")))
		}
	}
	if len(not) == 0 {
		return "all true"
	}
	return strings.Join(not, "; ")
}

func (d Description) containers(b *strings.Builder, now time.Time) {
	statuses := map[string]v1.ContainerStatus{}
	for _, some := range [][]v1.ContainerStatus{d.Pod.Status.InitContainerStatuses, d.Pod.Status.ContainerStatuses, d.Pod.Status.EphemeralContainerStatuses} {
		for _, s := range some {
			statuses[s.Name] = s
		}
	}
	var rows [][]string
	for _, m := range status.Members(d.Pod) {
		s := statuses[m.Name]
		rows = append(rows, []string{m.Name, string(m.Role), state(s.State, now), fmt.Sprint(s.RestartCount), m.Image})
	}
	// A builder does not fail.
	_ = Table(b, []string{"CONTAINER", "ROLE", "STATE", "RESTARTS", "IMAGE"}, rows)
}

// state is what a container does, and since when.
func state(s v1.ContainerState, now time.Time) string {
	switch {
	case s.Running != nil:
		return "Running for " + Age(now.Sub(s.Running.StartedAt.Time))
	case s.Terminated != nil:
		return fmt.Sprintf("%s (%d) %s ago", s.Terminated.Reason, s.Terminated.ExitCode, Age(now.Sub(s.Terminated.FinishedAt.Time)))
	case s.Waiting != nil:
		return s.Waiting.Reason
	}
	return orNone("")
}
