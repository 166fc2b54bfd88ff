package oci

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"
)

// CPUPeriod is the length of a scheduling period, in microseconds.
const CPUPeriod = 100000

const (
	minShares = 2      // the kernel's
	maxShares = 262144 // the kernel's
	minQuota  = 1000   // the kernel's, in microseconds

	guaranteedOOMScoreAdj = -997
	bestEffortOOMScoreAdj = 1000
)

// CPUShares converts thousandths of a CPU to cgroup v1 shares, 1024 for a
// whole one (MilliCPUToShares of a kubelet).
func CPUShares(milli int64) uint64 {
	return uint64(min(max(milli*1024/1000, minShares), maxShares))
}

// CPUQuota converts thousandths of a CPU to microseconds in a CPUPeriod, 0
// for no limit (MilliCPUToQuota of a kubelet).
func CPUQuota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*CPUPeriod/1000, minQuota)
}

// OOMScoreAdj returns how much sooner than others a container's processes are
// killed when memory is short, by its pod's QoS class and its share of the
// capacity, in bytes (GetContainerOOMScoreAdjust of a kubelet; the classes of
// priority have no meaning on one machine). An unknown capacity counts as
// endless.
func OOMScoreAdj(pod *v1.Pod, c *v1.Container, capacity int64) int {
	switch qos.GetPodQOS(pod) {
	case v1.PodQOSGuaranteed:
		return guaranteedOOMScoreAdj
	case v1.PodQOSBestEffort:
		return bestEffortOOMScoreAdj
	}
	// Between the two, and never the same as one of them.
	adj := int64(bestEffortOOMScoreAdj)
	if capacity > 0 {
		adj -= 1000 * memoryRequest(pod, c) / capacity
	}
	return int(min(max(adj, 1000+guaranteedOOMScoreAdj), bestEffortOOMScoreAdj-1))
}

// memoryRequest is a container's, for a sidecar at least that of the smallest
// container which it serves, and its part of what the pod requests beyond its
// containers' requests.
func memoryRequest(pod *v1.Pod, c *v1.Container) int64 {
	request := c.Resources.Requests.Memory().Value()
	if isSidecar(c) {
		smallest := pod.Spec.Containers[0].Resources.Requests.Memory().Value()
		for _, other := range pod.Spec.Containers[1:] {
			smallest = min(smallest, other.Resources.Requests.Memory().Value())
		}
		request = max(request, smallest)
	}
	if pod.Spec.Resources == nil {
		return request
	}
	claimed := resourcehelper.AggregateContainerRequests(pod, resourcehelper.PodResourcesOptions{})
	rest := pod.Spec.Resources.Requests.Memory().Value() - claimed.Memory().Value()
	return request + max(rest, 0)/int64(len(pod.Spec.Containers)+len(pod.Spec.InitContainers))
}

// isSidecar is also true of a container that is no init container but names
// the policy; being the smallest one or larger, it is not changed by it.
func isSidecar(c *v1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == v1.ContainerRestartPolicyAlways
}

// setResources sets the limits of a container's own cgroup.
func setResources(r *specs.LinuxResources, in Input) {
	cpu := limit(in.Pod, in.Container, v1.ResourceCPU)
	request, set := in.Container.Resources.Requests[v1.ResourceCPU]
	if !set {
		request = cpu
	}
	r.CPU = &specs.LinuxCPU{Shares: new(CPUShares(request.MilliValue()))}
	if quota := CPUQuota(cpu.MilliValue()); quota != 0 {
		r.CPU.Quota, r.CPU.Period = &quota, new(uint64(CPUPeriod))
	}
	memory := limit(in.Pod, in.Container, v1.ResourceMemory)
	if bytes := memory.Value(); bytes != 0 {
		r.Memory = &specs.LinuxMemory{Limit: &bytes}
		if in.Machine.Swap {
			r.Memory.Swap = &bytes // of memory and swap together: no swap
		}
	}
	for _, size := range in.Machine.HugePages {
		pages := limit(in.Pod, in.Container, size.Resource())
		r.HugepageLimits = append(r.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: string(size), Limit: uint64(pages.Value())})
	}
	if in.Machine.CgroupV2 {
		r.Unified = map[string]string{"memory.oom.group": "1"}
		if in.Machine.Swap {
			r.Unified["memory.swap.max"] = "0"
		}
	}
}

// PageSize is a size of huge pages, in the kernel's words: "2MB".
type PageSize string

// Resource is the pages' name among the resources of Kubernetes: "hugepages-2Mi".
func (p PageSize) Resource() v1.ResourceName {
	return v1.ResourceName(v1.ResourceHugePagesPrefix + strings.TrimSuffix(string(p), "B") + "i")
}

// limit is a container's limit of a resource, else its pod's, else zero.
func limit(pod *v1.Pod, c *v1.Container, name v1.ResourceName) resource.Quantity {
	if q := c.Resources.Limits[name]; !q.IsZero() || pod.Spec.Resources == nil {
		return q
	}
	return pod.Spec.Resources.Limits[name]
}
