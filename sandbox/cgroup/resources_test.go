package cgroup

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"podrun/container/oci"
)

// list reads "cpu=100m,memory=64Mi".
func list(s string) v1.ResourceList {
	result := v1.ResourceList{}
	for entry := range strings.SplitSeq(s, ",") {
		if name, quantity, ok := strings.Cut(entry, "="); ok {
			result[v1.ResourceName(name)] = resource.MustParse(quantity)
		}
	}
	return result
}

func resources(requests, limits string) v1.ResourceRequirements {
	return v1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}
}

func podOf(containers ...v1.ResourceRequirements) *v1.Pod {
	pod := &v1.Pod{}
	for i, r := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, v1.Container{Name: fmt.Sprint("c", i), Resources: r})
	}
	return pod
}

func TestResources(t *testing.T) {
	t.Parallel()
	both := podOf(resources("", ""))
	both.Spec.Resources = new(resources("cpu=1,memory=2Ki", "cpu=2,memory=4Ki"))
	sidecar := func(r v1.ResourceRequirements) v1.Container {
		return v1.Container{Resources: r, RestartPolicy: new(v1.ContainerRestartPolicyAlways)}
	}
	init := func(r v1.ResourceRequirements) v1.Container { return v1.Container{Resources: r} }
	// The second init container runs beside the first sidecar and needs most.
	served := podOf(resources("cpu=1,memory=1Ki", "cpu=1,memory=1Ki"))
	served.Spec.InitContainers = []v1.Container{
		sidecar(resources("cpu=1,memory=2Ki", "cpu=1,memory=2Ki")),
		init(resources("cpu=4,memory=1Ki", "cpu=4,memory=1Ki")),
		sidecar(resources("cpu=1,memory=4Ki", "cpu=1,memory=4Ki")),
	}
	huge := podOf(resources("hugepages-2Mi=4Mi,memory=1Ki", "hugepages-2Mi=4Mi"), resources("hugepages-2Mi=2Mi", "hugepages-2Mi=2Mi"))
	initialized := podOf(resources("cpu=100m", "cpu=1"))
	initialized.Spec.InitContainers = []v1.Container{{Name: "init", Resources: resources("cpu=2", "")}}

	for _, test := range []struct {
		name string
		pod  *v1.Pod
		want Limits
		v1   string
		v2   string
	}{
		{"best effort", podOf(resources("", ""), resources("", "")), Limits{CPUShares: 2},
			"cpu.shares=2", "cpu.weight=1"},
		{"guaranteed", podOf(resources("cpu=500m,memory=1Ki", "cpu=500m,memory=1Ki"), resources("cpu=1,memory=2Ki", "cpu=1,memory=2Ki")),
			Limits{CPUShares: 1536, CPUQuota: 150000, Memory: 3072},
			"cpu.shares=1536 cpu.cfs_period_us=100000 cpu.cfs_quota_us=150000 memory.limit_in_bytes=3072",
			"cpu.weight=59 cpu.max=150000 100000 memory.max=3072"},
		{"burstable, all limited", podOf(resources("cpu=100m", "cpu=1,memory=1Ki"), resources("", "cpu=5m,memory=1Ki")),
			Limits{CPUShares: 102, CPUQuota: 100500, Memory: 2048},
			"cpu.shares=102 cpu.cfs_period_us=100000 cpu.cfs_quota_us=100500 memory.limit_in_bytes=2048",
			"cpu.weight=4 cpu.max=100500 100000 memory.max=2048"},
		{"burstable, one unlimited", podOf(resources("cpu=100m", "cpu=1,memory=1Ki"), resources("", "")),
			Limits{CPUShares: 102}, "cpu.shares=102", "cpu.weight=4"},
		{"burstable without cpu", podOf(resources("memory=1Ki", "memory=1Ki")),
			Limits{CPUShares: 2, Memory: 1024},
			"cpu.shares=2 memory.limit_in_bytes=1024", "cpu.weight=1 memory.max=1024"},
		{"limits of the pod", both, Limits{CPUShares: 1024, CPUQuota: 200000, Memory: 4096},
			"cpu.shares=1024 cpu.cfs_period_us=100000 cpu.cfs_quota_us=200000 memory.limit_in_bytes=4096",
			"cpu.weight=39 cpu.max=200000 100000 memory.max=4096"},
		{"init containers and sidecars", served, Limits{CPUShares: 5120, CPUQuota: 500000, Memory: 7168},
			"cpu.shares=5120 cpu.cfs_period_us=100000 cpu.cfs_quota_us=500000 memory.limit_in_bytes=7168",
			"cpu.weight=196 cpu.max=500000 100000 memory.max=7168"},
		{"huge pages", huge, Limits{CPUShares: 2, HugePages: []HugePages{{"2MB", 6 << 20}, {"1GB", 0}}},
			"cpu.shares=2 hugetlb.2MB.limit_in_bytes=6291456 hugetlb.1GB.limit_in_bytes=0",
			"cpu.weight=1 hugetlb.2MB.max=6291456 hugetlb.1GB.max=0"},
		{"an unlimited init container", initialized, Limits{CPUShares: 2048}, "cpu.shares=2048", "cpu.weight=79"},
	} {
		var sizes []oci.PageSize
		if test.pod == huge {
			sizes = []oci.PageSize{"2MB", "1GB"}
		}
		got := Resources(test.pod, sizes)
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
		for unified, want := range map[bool]string{false: test.v1, true: test.v2} {
			var files []string
			for _, s := range got.settings(unified) {
				if !strings.HasPrefix(s.file, s.controller+".") {
					t.Errorf("%s: %s is set through controller %s", test.name, s.file, s.controller)
				}
				files = append(files, s.file+"="+s.value)
			}
			if text := strings.Join(files, " "); text != want {
				t.Errorf("%s, v2 %t:\n got %s\nwant %s", test.name, unified, text, want)
			}
		}
	}
}

func TestWeight(t *testing.T) {
	t.Parallel()
	for shares, want := range map[uint64]uint64{0: 1, 2: 1, 28: 1, 29: 2, 1024: 39, 2048: 79, 262143: 9999, 262144: 10000, 1 << 40: 10000} {
		if got := weight(shares); got != want {
			t.Errorf("weight(%d) = %d, want %d", shares, got, want)
		}
	}
}

func TestTogether(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		unified bool
		pods    []uint64
		want    uint64
	}{
		{false, nil, 2},
		{false, []uint64{102, 1024}, 1126},
		{false, []uint64{262144, 262144}, 262144},
		{true, nil, 1},
		{true, []uint64{1, 1, 1}, 1},
		{true, []uint64{4, 39}, 42},
		{true, []uint64{10000, 10000}, 10000},
	} {
		if got := together(test.unified, test.pods); got != test.want {
			t.Errorf("together(%t, %v) = %d, want %d", test.unified, test.pods, got, test.want)
		}
	}
}
