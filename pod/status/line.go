package status

import (
	"fmt"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// Summary is a pod in a line, as `kubectl get pod` prints it.
type Summary struct {
	Ready    string // "1/2"
	Status   string // "Running", "CrashLoopBackOff", "Terminating" …
	Restarts string // "0", "3 (20s ago)"
	Age      string // "5m12s"
	IP       string // "<none>" for none
}

// counter collects what a line tells while the statuses are walked.
type counter struct {
	ready, total int
	restarts     int
	last         time.Time // of the newest restart
}

func (c *counter) restarted(s *v1.ContainerStatus) {
	c.restarts += int(s.RestartCount)
	if end := s.LastTerminationState.Terminated; end != nil && end.FinishedAt.After(c.last) {
		c.last = end.FinishedAt.Time
	}
}

// Line sums up a pod that carries its status (kubernetes: printPod in
// pkg/printers/internalversion).
func Line(pod *v1.Pod, now time.Time) Summary {
	reason := string(pod.Status.Phase)
	if pod.Status.Reason != "" {
		reason = pod.Status.Reason
	}
	c := counter{total: len(pod.Spec.Containers)}
	reason, initializing, sidecars := initLine(pod, reason, &c)
	if !initializing || isTrue(pod, v1.PodInitialized) {
		c.restarts, c.last = sidecars.restarts, sidecars.last
		reason = appLine(pod, reason, &c)
	}
	if pod.Status.Reason == ReasonRebooted {
		reason = ReasonRebooted // more than what its containers can tell
	}
	if pod.DeletionTimestamp != nil && !podutil.IsPodPhaseTerminal(pod.Status.Phase) {
		reason = "Terminating"
	}
	line := Summary{
		Ready:    fmt.Sprintf("%d/%d", c.ready, c.total),
		Status:   reason,
		Restarts: strconv.Itoa(c.restarts),
		Age:      "<unknown>",
		IP:       "<none>",
	}
	if c.restarts > 0 && !c.last.IsZero() {
		line.Restarts = fmt.Sprintf("%d (%s ago)", c.restarts, duration.HumanDuration(now.Sub(c.last)))
	}
	if !pod.CreationTimestamp.IsZero() {
		line.Age = duration.HumanDuration(now.Sub(pod.CreationTimestamp.Time))
	}
	if len(pod.Status.PodIPs) > 0 {
		line.IP = pod.Status.PodIPs[0].IP
	}
	return line
}

// initLine walks the init containers in order up to the first that keeps the
// pod from its app containers.
func initLine(pod *v1.Pod, reason string, c *counter) (_ string, initializing bool, sidecars counter) {
	sidecar := map[string]bool{}
	for i := range pod.Spec.InitContainers {
		spec := &pod.Spec.InitContainers[i]
		if podutil.IsRestartableInitContainer(spec) {
			sidecar[spec.Name] = true
			c.total++
		}
	}
	for i := range pod.Status.InitContainerStatuses {
		s := &pod.Status.InitContainerStatuses[i]
		c.restarted(s)
		if sidecar[s.Name] {
			sidecars.restarted(s)
		}
		end, wait := s.State.Terminated, s.State.Waiting
		switch {
		case end != nil && end.ExitCode == 0:
			continue
		case sidecar[s.Name] && s.Started != nil && *s.Started:
			if s.Ready {
				c.ready++
			}
			continue
		case end != nil:
			return "Init:" + endLine(end), true, sidecars
		case wait != nil && wait.Reason != "" && wait.Reason != ReasonPodInitializing:
			return "Init:" + wait.Reason, true, sidecars
		}
		return fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers)), true, sidecars
	}
	return reason, false, sidecars
}

// appLine walks the app containers from last to first, so that the first one
// with something to tell wins.
func appLine(pod *v1.Pod, reason string, c *counter) string {
	running, failure := false, ""
	for i := len(pod.Status.ContainerStatuses) - 1; i >= 0; i-- {
		s := &pod.Status.ContainerStatuses[i]
		c.restarted(s)
		switch {
		case s.State.Waiting != nil && s.State.Waiting.Reason != "":
			reason = s.State.Waiting.Reason
		case s.State.Terminated != nil:
			reason = endLine(s.State.Terminated)
			if s.State.Terminated.ExitCode != 0 {
				failure = reason
			}
		case s.Ready && s.State.Running != nil:
			running = true
			c.ready++
		}
	}
	switch {
	case reason != ReasonCompleted:
		return reason
	case running && isTrue(pod, v1.PodReady):
		return string(v1.PodRunning)
	case failure != "":
		return failure
	case running:
		return "NotReady"
	}
	return reason
}

func endLine(end *v1.ContainerStateTerminated) string {
	switch {
	case end.Reason != "":
		return end.Reason
	case end.Signal != 0:
		return fmt.Sprintf("Signal:%d", end.Signal)
	default:
		return fmt.Sprintf("ExitCode:%d", end.ExitCode)
	}
}

func isTrue(pod *v1.Pod, t v1.PodConditionType) bool {
	_, c := podutil.GetPodCondition(&pod.Status, t)
	return c != nil && c.Status == v1.ConditionTrue
}
