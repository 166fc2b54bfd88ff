package pod

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"podrun/container"
	"podrun/container/oci"
	"podrun/pod/manifest"
	"podrun/sandbox/cgroup"
)

// Machine is what manifests may ask of this machine.
func Machine() *manifest.Machine {
	return &manifest.Machine{
		AppArmor: container.AppArmor(),
		SELinux:  container.SELinux,
		Runtimes: container.Runtimes,
		HugePages: func() (resources []string) {
			cgroups, err := cgroup.Detect(cgroupRoot)
			if err != nil {
				return nil
			}
			for _, size := range cgroups.HugePages() {
				resources = append(resources, string(size.Resource()))
			}
			return resources
		},
	}
}

// machine collects what runtime specs have to know of the machine.
func machine(cgroups *cgroup.Driver) oci.Machine {
	throttles, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	m := oci.Machine{
		CgroupV2:         cgroups.Unified(),
		Swap:             cgroups.Swap(),
		CPUThrottlePaths: throttles,
		HugePages:        cgroups.HugePages(),
		Capabilities:     heldCapabilities(),
		MinOOMScoreAdj:   minOOMScoreAdj(),
		X32:              x32(),
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		m.MemoryCapacity = int64(info.Totalram) * int64(info.Unit)
	}
	return m
}

// allocatable is what all pods together may have of the machine: everything.
func allocatable(m oci.Machine, root string) v1.ResourceList {
	list := v1.ResourceList{
		v1.ResourceCPU:    *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		v1.ResourceMemory: *resource.NewQuantity(m.MemoryCapacity, resource.BinarySI),
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(root, &stat); err == nil {
		list[v1.ResourceEphemeralStorage] = *resource.NewQuantity(int64(stat.Blocks)*stat.Bsize, resource.BinarySI)
	}
	return list
}

// x32 asks the kernel for the process' id in the way of the x32 ABI.
func x32() bool {
	const x32Bit, getpid = 0x40000000, 39
	if runtime.GOARCH != "amd64" {
		return false
	}
	_, _, errno := unix.RawSyscall(x32Bit|getpid, 0, 0, 0)
	return errno == 0
}

// heldCapabilities are those that this process has, and can give on.
func heldCapabilities() []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil
	}
	var held []string
	for number, name := range oci.Capabilities {
		if data[number/32].Effective&(1<<(number%32)) != 0 {
			held = append(held, name)
		}
	}
	return held
}

// minOOMScoreAdj is the lowest oom_score_adj that a process of ours may set:
// without CAP_SYS_RESOURCE it cannot go below what it has.
func minOOMScoreAdj() int {
	if slices.Contains(heldCapabilities(), "CAP_SYS_RESOURCE") {
		return -1000
	}
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return score
}
