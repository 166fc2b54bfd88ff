package status

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Trouble is something for which a pod is not well.
type Trouble struct {
	Container string // empty for the pod as a whole
	Text      string
}

// Troubles says why a pod is not well, going by its status and, for what that has
// no place for, by what was observed: the pod's own reason first and what its
// sandbox waits for, then the containers that count in the order of the manifest.
// None means that nothing is wrong, or nothing yet.
func Troubles(pod *v1.Pod, obs Observed) []Trouble {
	var list []Trouble
	if pod.Status.Reason != "" {
		list = append(list, Trouble{Text: pod.Status.Reason + ": " + pod.Status.Message})
	}
	if f, failed := obs.sandboxFailure(); failed {
		list = append(list, Trouble{Text: f.Reason + ": " + f.Message})
	}
	statuses := map[string]v1.ContainerStatus{}
	for _, some := range [][]v1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, s := range some {
			statuses[s.Name] = s
		}
	}
	for _, m := range Members(pod) {
		if text := trouble(m, statuses[m.Name], obs.Containers); m.Role != Ephemeral && text != "" {
			list = append(list, Trouble{m.Name, text})
		}
	}
	return list
}

func trouble(m Member, s v1.ContainerStatus, instances []Container) string {
	last := ""
	if end := s.LastTerminationState.Terminated; end != nil {
		last = "; it " + ending(m, end, instances)
	}
	switch {
	case s.State.Waiting != nil:
		waiting := s.State.Waiting
		if waiting.Reason == ReasonContainerCreating || waiting.Reason == ReasonPodInitializing {
			return ""
		}
		return strings.TrimSuffix(fmt.Sprintf("%s: %s", waiting.Reason, waiting.Message), ": ") + last
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		return "it " + ending(m, s.State.Terminated, instances)
	case s.State.Running != nil && m.Role != Init && !s.Ready:
		return "it runs and is not ready" + last
	}
	return ""
}

// ending says how an instance has ended, and what that usually means.
func ending(m Member, end *v1.ContainerStateTerminated, instances []Container) string {
	text := fmt.Sprintf("ended with exit code %d", end.ExitCode)
	switch {
	case end.Reason == ReasonOOMKilled:
		text += " (OOMKilled: " + hunger(m, end, instances) + ")"
	case meanings[end.ExitCode] != "" && end.Reason == ReasonError:
		text += " (" + meanings[end.ExitCode] + ")"
	case end.Reason != "" && end.Reason != ReasonError && end.Reason != ReasonCompleted:
		text += " (" + end.Reason + ")"
	}
	if end.Message != "" {
		text += ": " + end.Message
	}
	return text
}

// hunger says how much memory an instance that had not enough was to have, and had.
func hunger(m Member, end *v1.ContainerStateTerminated, instances []Container) string {
	text := "there was not enough memory"
	if limit, limited := m.Resources.Limits[v1.ResourceMemory]; limited {
		text = "it needed more memory than its limit, " + limit.String()
	}
	for i := range instances {
		if c := &instances[i]; c.PeakMemory > 0 && containerID(c) == end.ContainerID {
			text += "; the most it had was " + resource.NewQuantity(c.PeakMemory, resource.BinarySI).String()
		}
	}
	return text
}

// meanings are those that shells and runtimes give to exit codes.
var meanings = map[int32]string{
	126: "its command cannot be run",
	127: "its command was not found",
	130: "SIGINT",
	134: "SIGABRT",
	137: "SIGKILL",
	139: "SIGSEGV",
	143: "SIGTERM",
}
