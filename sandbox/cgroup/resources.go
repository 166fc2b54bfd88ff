package cgroup

import (
	"fmt"
	"strconv"

	v1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"

	"podrun/container/oci"
)

// The kernel's bounds.
const (
	minShares = 2
	maxShares = 262144
	minWeight = 1
	maxWeight = 10000
)

// Limits are what a cgroup is given. Zero is not set.
type Limits struct {
	CPUShares uint64 // in the scale of cgroup v1
	CPUQuota  int64  // microseconds in each oci.CPUPeriod
	Memory    int64  // bytes
	HugePages []HugePages
}

// HugePages is a limit on huge pages of one size.
type HugePages struct {
	Size  oci.PageSize
	Bytes int64
}

// Resources returns the limits of a pod as a whole (ResourceConfigForPod of a
// kubelet): the effective requests and limits of its containers together. A
// burstable pod is only limited in what all of its containers are limited. Huge
// pages of the given sizes are what a pod asks for and no more.
func Resources(pod *v1.Pod, sizes []oci.PageSize) Limits {
	class := qos.GetPodQOS(pod)
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	result := Limits{CPUShares: minShares}
	for _, size := range sizes {
		pages := requests[size.Resource()]
		result.HugePages = append(result.HugePages, HugePages{Size: size, Bytes: pages.Value()})
	}
	if class == v1.PodQOSBestEffort {
		return result
	}
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})
	result.CPUShares = oci.CPUShares(requests.Cpu().MilliValue())
	if class == v1.PodQOSGuaranteed || limited(pod, v1.ResourceCPU) {
		result.CPUQuota = oci.CPUQuota(limits.Cpu().MilliValue())
	}
	if class == v1.PodQOSGuaranteed || limited(pod, v1.ResourceMemory) {
		result.Memory = limits.Memory().Value()
	}
	return result
}

// limited says that a pod has a limit of its own, or each of its containers.
func limited(pod *v1.Pod, name v1.ResourceName) bool {
	if r := pod.Spec.Resources; r != nil {
		if q := r.Limits[name]; !q.IsZero() {
			return true
		}
	}
	for _, containers := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range containers {
			if q := c.Resources.Limits[name]; q.IsZero() {
				return false
			}
		}
	}
	return true
}

// setting is a file of a cgroup and what is written to it.
type setting struct{ controller, file, value string }

// settings are the files that limits stand for.
func (l Limits) settings(unified bool) []setting {
	var s []setting
	add := func(controller, file, value string) { s = append(s, setting{controller, file, value}) }
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	if l.CPUShares != 0 && unified {
		add("cpu", "cpu.weight", strconv.FormatUint(weight(l.CPUShares), 10))
	} else if l.CPUShares != 0 {
		add("cpu", "cpu.shares", strconv.FormatUint(l.CPUShares, 10))
	}
	if l.CPUQuota != 0 && unified {
		add("cpu", "cpu.max", fmt.Sprintf("%d %d", l.CPUQuota, oci.CPUPeriod))
	} else if l.CPUQuota != 0 {
		add("cpu", "cpu.cfs_period_us", number(oci.CPUPeriod))
		add("cpu", "cpu.cfs_quota_us", number(l.CPUQuota))
	}
	if l.Memory != 0 && unified {
		add("memory", "memory.max", number(l.Memory))
	} else if l.Memory != 0 {
		add("memory", "memory.limit_in_bytes", number(l.Memory))
	}
	for _, pages := range l.HugePages {
		file := "hugetlb." + string(pages.Size) + ".limit_in_bytes"
		if unified {
			file = "hugetlb." + string(pages.Size) + ".max"
		}
		add("hugetlb", file, number(pages.Bytes))
	}
	return s
}

// weight converts shares of cgroup v1 to a weight of v2 as a kubelet does for
// pods. It is linear, unlike what runtimes do for containers.
func weight(shares uint64) uint64 {
	shares = min(max(shares, minShares), maxShares)
	return minWeight + (shares-minShares)*(maxWeight-minWeight)/(maxShares-minShares)
}

// together is the share of a level: that of its pods, in shares of v1 or in
// weights of v2, where the least counts as nothing.
func together(unified bool, pods []uint64) uint64 {
	if !unified {
		sum := uint64(0)
		for _, shares := range pods {
			sum += shares
		}
		return min(max(sum, minShares), maxShares)
	}
	sum := uint64(minWeight)
	for _, weight := range pods {
		sum += weight - minWeight
	}
	return min(sum, maxWeight)
}
