package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"podrun/pod/status"
	"podrun/sandbox"
	"podrun/sandbox/cgroup"
)

// The names of the fields are those of a kubelet's summary
// (k8s.io/kubelet/pkg/apis/stats/v1alpha1), so that what reads one reads the other.

// PodStats is what a pod uses.
type PodStats struct {
	Pod        StatsRef         `json:"podRef"`
	StartTime  metav1.Time      `json:"startTime"`
	Containers []ContainerStats `json:"containers"`
	CPU        CPUStats         `json:"cpu"` // of the whole pod, pause included
	Memory     MemoryStats      `json:"memory"`
	Network    *NetworkStats    `json:"network,omitempty"` // none in the machine's network
	Processes  ProcessStats     `json:"process_stats"`
}

// StatsRef names a pod.
type StatsRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	UID       string `json:"uid"`
}

// ContainerStats is what a running container uses.
type ContainerStats struct {
	Name      string       `json:"name"`
	StartTime metav1.Time  `json:"startTime"`
	CPU       CPUStats     `json:"cpu"`
	Memory    MemoryStats  `json:"memory"`
	Processes ProcessStats `json:"process_stats"`
}

// CPUStats is CPU time: all until now, and how much of it in each second of
// late, which takes two looks; see Rate.
type CPUStats struct {
	Time                 metav1.MicroTime `json:"time"`
	UsageNanoCores       *uint64          `json:"usageNanoCores,omitempty"`
	UsageCoreNanoSeconds uint64           `json:"usageCoreNanoSeconds"`
}

// MemoryStats is memory, in bytes. What is available is told where there is a
// limit.
type MemoryStats struct {
	Time            metav1.MicroTime `json:"time"`
	AvailableBytes  *uint64          `json:"availableBytes,omitempty"`
	UsageBytes      uint64           `json:"usageBytes"`
	WorkingSetBytes uint64           `json:"workingSetBytes"`
	limit           uint64
}

// Limit is how much there may be, 0 for no limit.
func (m MemoryStats) Limit() uint64 { return m.limit }

// NetworkStats is what went through the pod's interface.
type NetworkStats struct {
	Time     metav1.MicroTime `json:"time"`
	Name     string           `json:"name"`
	RxBytes  uint64           `json:"rxBytes"`
	RxErrors uint64           `json:"rxErrors"`
	TxBytes  uint64           `json:"txBytes"`
	TxErrors uint64           `json:"txErrors"`
}

// ProcessStats counts processes, each thread as one.
type ProcessStats struct {
	Count uint64 `json:"process_count"`
}

// Stats looks at what the pods of a namespace use, of all when that is empty,
// by namespace and name. When there are names, each must be that of a pod of the
// namespace. Pods that do not run are not among them, nor are containers.
func (e *Engine) Stats(ctx context.Context, namespace string, names []string) ([]PodStats, error) {
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return nil, err
	}
	wanted := slices.DeleteFunc(records, func(sb *sandbox.Sandbox) bool {
		return namespace != "" && sb.Pod.Namespace != namespace || len(names) > 0 && !slices.Contains(names, sb.Pod.Name)
	})
	for _, name := range names {
		if !slices.ContainsFunc(wanted, func(sb *sandbox.Sandbox) bool { return sb.Pod.Name == name }) {
			return nil, fmt.Errorf("%w: %q in namespace %q", ErrNotFound, name, namespace)
		}
	}
	found := make([]*PodStats, len(wanted))
	var group errgroup.Group
	for i, sb := range wanted {
		group.Go(func() (err error) {
			found[i], err = e.podStats(ctx, sb.UID())
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	stats := []PodStats{}
	for _, pod := range found {
		if pod != nil {
			stats = append(stats, *pod)
		}
	}
	slices.SortFunc(stats, func(a, b PodStats) int {
		return strings.Compare(a.Pod.Namespace+"/"+a.Pod.Name, b.Pod.Namespace+"/"+b.Pod.Name)
	})
	return stats, nil
}

// podStats is nil for a pod that does not run.
func (e *Engine) podStats(ctx context.Context, uid string) (*PodStats, error) {
	v, err := e.look(ctx, uid)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil || v.sandbox.State != sandbox.Ready {
		return nil, err
	}
	stats, err := e.readStats(v)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // it went away meanwhile
	case err != nil:
		return nil, fmt.Errorf("read stats of pod %q: %w", v.pod.Name, err)
	}
	return stats, nil
}

func (e *Engine) readStats(v *view) (*PodStats, error) {
	usage, err := e.sandboxes.Usage(v.sandbox, "")
	if err != nil {
		return nil, err
	}
	pod := &PodStats{
		Pod:        StatsRef{Name: v.pod.Name, Namespace: v.pod.Namespace, UID: string(v.pod.UID)},
		StartTime:  metav1.NewTime(v.sandbox.Memory.StartedAt),
		Containers: []ContainerStats{},
	}
	pod.CPU, pod.Memory, pod.Processes = usageStats(usage)
	for _, c := range v.observed.Containers {
		if c.State != status.Running {
			continue
		}
		usage, err := e.sandboxes.Usage(v.sandbox, c.ID)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		container := ContainerStats{Name: c.Name, StartTime: metav1.NewTime(c.StartedAt)}
		container.CPU, container.Memory, container.Processes = usageStats(usage)
		pod.Containers = append(pod.Containers, container)
	}
	order := map[string]int{}
	for i, m := range status.Members(v.pod) {
		order[m.Name] = i
	}
	slices.SortStableFunc(pod.Containers, func(a, b ContainerStats) int { return order[a.Name] - order[b.Name] })
	traffic, has, err := e.sandboxes.Traffic(v.sandbox)
	if has {
		pod.Network = &NetworkStats{
			Time: metav1.NowMicro(), Name: traffic.Interface,
			RxBytes: traffic.RxBytes, RxErrors: traffic.RxErrors, TxBytes: traffic.TxBytes, TxErrors: traffic.TxErrors,
		}
	}
	return pod, err
}

func usageStats(usage cgroup.Usage) (CPUStats, MemoryStats, ProcessStats) {
	now := metav1.NowMicro()
	memory := MemoryStats{Time: now, UsageBytes: usage.Memory, WorkingSetBytes: usage.WorkingSet, limit: usage.Limit}
	if usage.Limit > 0 {
		available := usage.Limit - min(usage.WorkingSet, usage.Limit)
		memory.AvailableBytes = &available
	}
	return CPUStats{Time: now, UsageCoreNanoSeconds: uint64(usage.CPU)}, memory, ProcessStats{Count: usage.PIDs}
}

// Rate says in the later of two looks how much CPU time was used in each second
// between them, of what was there both times.
func Rate(before, now []PodStats) {
	earlier := map[string]CPUStats{}
	for _, pod := range before {
		earlier[pod.Pod.UID] = pod.CPU
		for _, c := range pod.Containers {
			earlier[containerKey(pod, c)] = c.CPU
		}
	}
	for i := range now {
		pod := &now[i]
		pod.CPU.rate(earlier[pod.Pod.UID])
		for j := range pod.Containers {
			pod.Containers[j].CPU.rate(earlier[containerKey(*pod, pod.Containers[j])])
		}
	}
}

// containerKey tells instances of a container apart.
func containerKey(pod PodStats, c ContainerStats) string {
	return pod.Pod.UID + "/" + c.Name + "/" + c.StartTime.Format(time.RFC3339Nano)
}

func (c *CPUStats) rate(before CPUStats) {
	span := c.Time.Sub(before.Time.Time)
	if before.Time.IsZero() || span <= 0 || c.UsageCoreNanoSeconds < before.UsageCoreNanoSeconds {
		return
	}
	cores := uint64(float64(c.UsageCoreNanoSeconds-before.UsageCoreNanoSeconds) / span.Seconds())
	c.UsageNanoCores = &cores
}
