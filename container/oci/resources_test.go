package oci

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"
)

func TestCPU(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		milli  int64
		shares uint64
		quota  int64
	}{
		{0, 2, 0},
		{1, 2, 1000},
		{2, 2, 1000},
		{10, 10, 1000},
		{11, 11, 1100},
		{100, 102, 10000},
		{250, 256, 25000},
		{1000, 1024, 100000},
		{1500, 1536, 150000},
		{256000, 262144, 25600000},
		{300000, 262144, 30000000},
	} {
		if got := CPUShares(test.milli); got != test.shares {
			t.Errorf("CPUShares(%d) = %d, want %d", test.milli, got, test.shares)
		}
		if got := CPUQuota(test.milli); got != test.quota {
			t.Errorf("CPUQuota(%d) = %d, want %d", test.milli, got, test.quota)
		}
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	const v2, swap = true, true
	for _, test := range []struct {
		name             string
		container, pod   v1.ResourceRequirements
		unified, counted bool
		want             string
	}{
		{"nothing", resources("", ""), resources("", ""), !v2, swap, "shares 2"},
		{"requests", resources("cpu=250m,memory=1Gi", ""), resources("", ""), !v2, swap, "shares 256"},
		{"limits", resources("", "cpu=500m,memory=4Ki"), resources("", ""), !v2, swap,
			"shares 512 quota 50000/100000 memory 4096 swap 4096"},
		{"both", resources("cpu=100m", "cpu=2"), resources("", ""), !v2, swap, "shares 102 quota 200000/100000"},
		{"a request of 0 is a request", resources("cpu=0", "cpu=500m"), resources("", ""), !v2, swap, "shares 2 quota 50000/100000"},
		{"swap is not counted", resources("", "memory=4Ki"), resources("", ""), !v2, !swap, "shares 2 memory 4096"},
		{"v2", resources("", ""), resources("", ""), v2, !swap, "shares 2 map[memory.oom.group:1]"},
		{"v2 with swap", resources("", "memory=4Ki"), resources("", ""), v2, swap,
			"shares 2 memory 4096 swap 4096 map[memory.oom.group:1 memory.swap.max:0]"},
		{"the pod's limits", resources("", ""), resources("", "cpu=1,memory=8Ki"), !v2, !swap,
			"shares 1024 quota 100000/100000 memory 8192"},
		{"limits of both", resources("", "cpu=500m,memory=4Ki"), resources("", "cpu=1,memory=8Ki"), !v2, !swap,
			"shares 512 quota 50000/100000 memory 4096"},
		{"no huge pages", resources("", ""), resources("", ""), !v2, swap, "shares 2 2MB=0 1GB=0"},
		{"huge pages", resources("", "hugepages-2Mi=4Mi"), resources("", ""), !v2, swap, "shares 2 2MB=4194304 1GB=0"},
		{"the pod's huge pages", resources("", ""), resources("", "hugepages-1Gi=2Gi"), !v2, swap, "shares 2 2MB=0 1GB=2147483648"},
	} {
		in := input()
		in.Container.Resources = test.container
		if len(test.pod.Limits) > 0 {
			in.Pod.Spec.Resources = &test.pod
		}
		in.Machine.CgroupV2, in.Machine.Swap = test.unified, test.counted
		if strings.Contains(test.name, "huge") {
			in.Machine.HugePages = []PageSize{"2MB", "1GB"}
		}
		var r specs.LinuxResources
		setResources(&r, in)
		if got := show(r); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func show(r specs.LinuxResources) string {
	s := fmt.Sprintf("shares %d", *r.CPU.Shares)
	if r.CPU.Quota != nil {
		s += fmt.Sprintf(" quota %d/%d", *r.CPU.Quota, *r.CPU.Period)
	}
	if r.Memory != nil {
		s += fmt.Sprintf(" memory %d", *r.Memory.Limit)
		if r.Memory.Swap != nil {
			s += fmt.Sprintf(" swap %d", *r.Memory.Swap)
		}
	}
	for _, pages := range r.HugepageLimits {
		s += fmt.Sprintf(" %s=%d", pages.Pagesize, pages.Limit)
	}
	if r.Unified != nil {
		s += fmt.Sprintf(" %v", r.Unified)
	}
	return s
}

func TestOOMScoreAdj(t *testing.T) {
	t.Parallel()
	sidecar := v1.Container{Name: "sidecar", RestartPolicy: new(v1.ContainerRestartPolicyAlways)}
	for _, test := range []struct {
		name  string
		first v1.ResourceRequirements
		other v1.ResourceRequirements
		init  []v1.Container
		pod   *v1.ResourceRequirements
		want  int // of the first container, or of the first init container
	}{
		{"best effort", resources("", ""), resources("", ""), nil, nil, 1000},
		{"guaranteed", resources("cpu=1,memory=1Gi", "cpu=1,memory=1Gi"), resources("cpu=1,memory=1Gi", "cpu=1,memory=1Gi"), nil, nil, -997},
		{"burstable", resources("memory=2Gi", ""), resources("", ""), nil, nil, 750},
		{"burstable without memory", resources("cpu=1", ""), resources("", ""), nil, nil, 999},
		{"burstable with little memory", resources("memory=1", ""), resources("", ""), nil, nil, 999},
		{"burstable with all memory", resources("memory=8Gi", ""), resources("", ""), nil, nil, 3},
		{"burstable with more", resources("memory=80Gi", ""), resources("", ""), nil, nil, 3},
		{"sidecar", resources("memory=4Gi", ""), resources("memory=2Gi", ""), []v1.Container{sidecar}, nil, 750},
		{"the pod's request", resources("memory=1Gi", ""), resources("", ""), nil, new(resources("memory=3Gi", "")), 750},
		{"a pod's request below its containers'", resources("memory=2Gi", ""), resources("", ""), nil, new(resources("cpu=1", "")), 750},
	} {
		pod := &v1.Pod{Spec: v1.PodSpec{
			Containers:     []v1.Container{{Resources: test.first}, {Resources: test.other}},
			InitContainers: test.init,
			Resources:      test.pod,
		}}
		c := &pod.Spec.Containers[0]
		if len(test.init) > 0 {
			c = &pod.Spec.InitContainers[0]
		}
		if got := OOMScoreAdj(pod, c, 8*gi); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}
