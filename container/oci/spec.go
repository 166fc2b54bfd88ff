package oci

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"
)

// Shared is what a container joins or is given by its sandbox. Which of the
// host's namespaces a pod uses is said by the pod itself.
type Shared struct {
	// CgroupParent is the pod's cgroup: a path such as
	// "/podrun/burstable/pod<uid>", or with Systemd the name of a slice such
	// as "podrun-burstable-pod<uid>.slice".
	CgroupParent string
	// Systemd says that the runtime has systemd make the cgroups.
	Systemd bool
	// Hostname is the pod's host name, with hostNetwork the machine's.
	Hostname string
	// NetNS is the path of the pod's network namespace, empty with hostNetwork.
	NetNS string
	// PausePID is the pause container's process on the host, whose namespaces
	// the pod's other containers join. It is not used for the pause itself.
	PausePID int
	// Mounts are the sandbox's files: hosts, hostname, resolv.conf, /dev/shm.
	// Each gives way to a mount of the container's own on the same path.
	Mounts []Mount
	// Annotations are for the runtime, such as the group of the pod's shim.
	Annotations map[string]string
}

// Machine is what must be known of the machine to write a spec.
type Machine struct {
	// CgroupV2 says that there is the unified hierarchy only.
	CgroupV2 bool
	// Swap says that the memory controller counts swap.
	Swap bool
	// HugePages are the sizes of huge pages that cgroups can limit.
	HugePages []PageSize
	// X32 says that the kernel runs programs of the x32 ABI.
	X32 bool
	// MemoryCapacity is the machine's memory in bytes.
	MemoryCapacity int64
	// MinOOMScoreAdj is the lowest oom_score_adj that may be set; without
	// CAP_SYS_RESOURCE the kernel refuses to go below one's own.
	MinOOMScoreAdj int
	// Capabilities are those that a container may be given, which ALL stands for.
	Capabilities []string
	// CPUThrottlePaths are the directories
	// /sys/devices/system/cpu/cpu*/thermal_throttle that exist. They are
	// hidden: they tell containers about each other.
	CPUThrottlePaths []string
}

// User is who a process runs as, resolved from the image's own accounts.
type User struct {
	UID, GID uint32
	// AdditionalGids need not contain GID.
	AdditionalGids []uint32
}

// Input is what a container's spec is made from.
type Input struct {
	ID        string
	Pod       *v1.Pod
	Container *v1.Container // one of Pod's, all of its env entries literal
	Image     imagespec.ImageConfig
	User      User
	Shared    Shared
	// Target is the process of another of the pod's containers whose PID namespace
	// this one joins; zero for none. Where the pod has one of its own it is that.
	Target  int
	Mounts  []Mount // the container's own, with sources that exist
	Machine Machine
	// Seccomp is the profile that LocalhostSeccomp names, nil when it names none.
	Seccomp *specs.LinuxSeccomp
	// AppArmor is the name of the AppArmor profile, which is loaded; empty for
	// none. A privileged container is not given one.
	AppArmor string
	// SELinux are the labels that a container is given, empty for none.
	SELinux Labels
	// Devices are all of the machine's, for a privileged container.
	Devices []specs.LinuxDevice
}

// Labels are SELinux labels, such as "system_u:system_r:container_t:s0:c1,c2".
type Labels struct {
	Process string // of a process; a privileged one goes without
	Files   string // of the files that it may use
}

// PauseInput is what the spec of a pod's pause container is made from.
type PauseInput struct {
	ID      string
	Pod     *v1.Pod
	Image   imagespec.ImageConfig
	Shared  Shared
	Machine Machine
	SELinux Labels
}

// ErrNoCommand says that neither the container nor its image has a command.
var ErrNoCommand = errors.New("no command specified")

// version is the one that specs are written to: some runtimes refuse any that is
// newer than they are, and nothing newer is used.
const version = "1.1.0"

// pauseOOMScoreAdj is that of a CRI sandbox: only the runtime goes later.
const pauseOOMScoreAdj = -998

// maskedPaths are a kubelet's for procMount Default.
var maskedPaths = []string{
	"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
	"/sys/firmware", "/sys/devices/virtual/powercap",
}

// readonlyPaths are a kubelet's for procMount Default.
var readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

// Spec returns the runtime spec of a container. It fails with ErrNoCommand,
// or saying what of the input does not fit together.
func Spec(in Input) (*specs.Spec, error) {
	args, err := command(in.Container, in.Image)
	if err != nil {
		return nil, err
	}
	cwd, err := workingDir(in.Container.WorkingDir, in.Image.WorkingDir)
	if err != nil {
		return nil, err
	}
	for _, e := range in.Container.Env {
		if e.ValueFrom != nil {
			return nil, fmt.Errorf("env %q: value is not resolved", e.Name)
		}
	}
	namespaces, err := containerNamespaces(in)
	if err != nil {
		return nil, err
	}
	mounts, propagation := containerMounts(in)

	s := base(in.ID, in.Shared, in.Machine)
	s.Process.Terminal = in.Container.TTY
	s.Process.User = in.User.spec()
	s.Process.Args = args
	s.Process.Env = Env(in.Container, in.Image.Env, in.Shared.Hostname)
	s.Process.Cwd = cwd
	s.Process.OOMScoreAdj = in.Machine.raise(OOMScoreAdj(in.Pod, in.Container, in.Machine.MemoryCapacity))
	s.Mounts = mounts
	s.Linux.RootfsPropagation = propagation
	s.Linux.Namespaces = namespaces
	setResources(s.Linux.Resources, in)
	return s, secure(s, in)
}

// PauseSpec returns the runtime spec of a pod's pause container, which holds
// the namespaces that the other containers join. Of Shared.Mounts it gets
// /dev/shm alone, so that it can start before the sandbox's files are written.
func PauseSpec(in PauseInput) (*specs.Spec, error) {
	args := slices.Concat(in.Image.Entrypoint, in.Image.Cmd)
	if len(args) == 0 {
		return nil, ErrNoCommand
	}
	cwd, err := workingDir("", in.Image.WorkingDir)
	if err != nil {
		return nil, err
	}
	namespaces, err := pauseNamespaces(in.Pod, in.Shared)
	if err != nil {
		return nil, err
	}
	s := base(in.ID, in.Shared, in.Machine)
	s.Root.Readonly = true
	s.Process.User = pauseUser(in.Pod, in.Image.User).spec()
	s.Process.Args = args
	s.Process.Env = imageEnv(in.Image.Env)
	s.Process.Cwd = cwd
	s.Process.NoNewPrivileges = true
	s.Process.OOMScoreAdj = in.Machine.raise(pauseOOMScoreAdj)
	s.Mounts = pauseMounts(in.Pod, in.Shared.Mounts)
	s.Linux.Namespaces = namespaces
	s.Linux.MountLabel = in.SELinux.Files
	s.Linux.Resources.CPU = &specs.LinuxCPU{Shares: new(uint64(minShares))}
	s.Linux.Sysctl = sysctls(in.Pod)
	if !in.Pod.Spec.HostNetwork {
		s.Hostname = in.Shared.Hostname
	}
	if !privilegedPod(in.Pod) {
		s.Process.SelinuxLabel = in.SELinux.Process
		s.Linux.Seccomp = runtimeDefault(s, in.Machine)
		s.Linux.Seccomp.Architectures = s.Linux.Seccomp.Architectures[:min(1, len(s.Linux.Seccomp.Architectures))] // the machine's own
	}
	return s, nil
}

// base is what the specs of all containers have in common.
func base(id string, shared Shared, machine Machine) *specs.Spec {
	return &specs.Spec{
		Version:     version,
		Root:        &specs.Root{Path: "rootfs"},
		Process:     &specs.Process{Capabilities: grant(capabilities)},
		Annotations: maps.Clone(shared.Annotations),
		Linux: &specs.Linux{
			CgroupsPath:   cgroupsPath(id, shared),
			MaskedPaths:   slices.Concat(maskedPaths, machine.CPUThrottlePaths),
			ReadonlyPaths: slices.Clone(readonlyPaths),
			Resources: &specs.LinuxResources{
				Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
			},
		},
	}
}

// cgroupsPath is in the form that the runtime's cgroup driver expects.
func cgroupsPath(id string, shared Shared) string {
	if shared.Systemd {
		return shared.CgroupParent + ":podrun:" + id
	}
	return path.Join(shared.CgroupParent, id)
}

// containerNamespaces joins a container to its pod. A namespace that is not
// listed is the host's.
func containerNamespaces(in Input) ([]specs.LinuxNamespace, error) {
	pod, shared := in.Pod.Spec, in.Shared
	if shared.PausePID <= 0 {
		return nil, errors.New("join pod: no pause process")
	}
	pause := func(kind specs.LinuxNamespaceType, file string) specs.LinuxNamespace {
		return namespaceOf(shared.PausePID, kind, file)
	}
	network, err := networkNamespaces(in.Pod, shared, pause(specs.UTSNamespace, "uts"))
	if err != nil {
		return nil, err
	}
	namespaces := append([]specs.LinuxNamespace{{Type: specs.MountNamespace}}, network...)
	if !pod.HostIPC {
		namespaces = append(namespaces, pause(specs.IPCNamespace, "ipc"))
	}
	switch {
	case pod.HostPID:
	case !OwnPIDs(in.Pod):
		namespaces = append(namespaces, pause(specs.PIDNamespace, "pid"))
	case in.Target > 0:
		namespaces = append(namespaces, namespaceOf(in.Target, specs.PIDNamespace, "pid"))
	default:
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
	}
	if in.Machine.CgroupV2 && !Privileged(in.Container) {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	return namespaces, nil
}

// namespaceOf is the namespace of a process.
func namespaceOf(pid int, kind specs.LinuxNamespaceType, file string) specs.LinuxNamespace {
	return specs.LinuxNamespace{Type: kind, Path: fmt.Sprintf("/proc/%d/ns/%s", pid, file)}
}

// OwnPIDs says whether each of a pod's containers has a PID namespace of its own,
// and does not see the processes of the others.
func OwnPIDs(pod *v1.Pod) bool {
	return !pod.Spec.HostPID && (pod.Spec.ShareProcessNamespace == nil || !*pod.Spec.ShareProcessNamespace)
}

// pauseNamespaces makes all namespaces that the pod shares, but the network's.
func pauseNamespaces(pod *v1.Pod, shared Shared) ([]specs.LinuxNamespace, error) {
	network, err := networkNamespaces(pod, shared, specs.LinuxNamespace{Type: specs.UTSNamespace})
	if err != nil {
		return nil, err
	}
	namespaces := append([]specs.LinuxNamespace{{Type: specs.MountNamespace}}, network...)
	if !pod.Spec.HostIPC {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.IPCNamespace})
	}
	if !pod.Spec.HostPID {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
	}
	return namespaces, nil
}

// networkNamespaces are the network's and, as a host name belongs to a
// network, the uts namespace. A path that got lost on the way must not put a
// pod on the host's network, so that pod and path have to agree.
func networkNamespaces(pod *v1.Pod, shared Shared, uts specs.LinuxNamespace) ([]specs.LinuxNamespace, error) {
	switch {
	case pod.Spec.HostNetwork && shared.NetNS != "":
		return nil, errors.New("join network: hostNetwork and a network namespace exclude each other")
	case pod.Spec.HostNetwork:
		return nil, nil
	case shared.NetNS == "":
		return nil, errors.New("join network: no network namespace")
	}
	return []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: shared.NetNS}, uts}, nil
}

// spec lists the primary group among the additional ones, sorted, as
// containerd does.
func (u User) spec() specs.User {
	gids := append([]uint32{u.GID}, u.AdditionalGids...)
	slices.Sort(gids)
	return specs.User{UID: u.UID, GID: u.GID, AdditionalGids: slices.Compact(gids)}
}

// raise lifts an oom_score_adj to what the kernel accepts.
func (m Machine) raise(adj int) *int {
	adj = max(adj, m.MinOOMScoreAdj)
	return &adj
}
