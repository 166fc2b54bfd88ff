package pod

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"podrun/container/oci"
	"podrun/sandbox/cgroup"
)

// machine collects what runtime specs have to know of the machine.
func machine(cgroups *cgroup.Driver) oci.Machine {
	throttles, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	m := oci.Machine{
		CgroupV2:         cgroups.Unified(),
		Swap:             cgroups.Swap(),
		CPUThrottlePaths: throttles,
		MinOOMScoreAdj:   minOOMScoreAdj(),
		X32:              x32(),
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		m.MemoryCapacity = int64(info.Totalram) * int64(info.Unit)
	}
	return m
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

// minOOMScoreAdj is the lowest oom_score_adj that a process of ours may set:
// without CAP_SYS_RESOURCE it cannot go below what it has.
func minOOMScoreAdj() int {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err == nil && data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0 {
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
