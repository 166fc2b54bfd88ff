package oci

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/containerd/containerd/v2/contrib/seccomp"
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
	// X32 says that the kernel runs programs of the x32 ABI.
	X32 bool
	// MemoryCapacity is the machine's memory in bytes.
	MemoryCapacity int64
	// MinOOMScoreAdj is the lowest oom_score_adj that may be set; without
	// CAP_SYS_RESOURCE the kernel refuses to go below one's own.
	MinOOMScoreAdj int
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
	Mounts    []Mount // the container's own, with sources that exist
	Machine   Machine
}

// PauseInput is what the spec of a pod's pause container is made from.
type PauseInput struct {
	ID      string
	Pod     *v1.Pod
	Image   imagespec.ImageConfig
	User    User
	Shared  Shared
	Machine Machine
}

// ErrNoCommand says that neither the container nor its image has a command.
var ErrNoCommand = errors.New("no command specified")

// pauseOOMScoreAdj is that of a CRI sandbox: only the runtime goes later.
const pauseOOMScoreAdj = -998

// capabilities are containerd's defaults.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

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
	mounts, propagation := containerMounts(in.Mounts, in.Shared.Mounts)

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
	return s, nil
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
	s.Linux.Seccomp.Architectures = s.Linux.Seccomp.Architectures[:min(1, len(s.Linux.Seccomp.Architectures))] // the machine's own
	s.Root.Readonly = true
	s.Process.User = in.User.spec()
	s.Process.Args = args
	s.Process.Env = imageEnv(in.Image.Env)
	s.Process.Cwd = cwd
	s.Process.NoNewPrivileges = true
	s.Process.OOMScoreAdj = in.Machine.raise(pauseOOMScoreAdj)
	s.Mounts = pauseMounts(in.Shared.Mounts)
	s.Linux.Namespaces = namespaces
	s.Linux.Resources.CPU = &specs.LinuxCPU{Shares: new(uint64(minShares))}
	if !in.Pod.Spec.HostNetwork {
		s.Hostname = in.Shared.Hostname
		s.Linux.Sysctl = map[string]string{
			"net.ipv4.ip_unprivileged_port_start": "0",
			"net.ipv4.ping_group_range":           "0 2147483647",
		}
	}
	return s, nil
}

// base is what the specs of all containers have in common.
func base(id string, shared Shared, machine Machine) *specs.Spec {
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Capabilities: &specs.LinuxCapabilities{
				Bounding:  slices.Clone(capabilities),
				Permitted: slices.Clone(capabilities),
				Effective: slices.Clone(capabilities),
			},
		},
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
	s.Linux.Seccomp = seccompProfile(s, machine)
	return s
}

// seccompProfile is RuntimeDefault, which depends on the capabilities. A
// runtime spends several milliseconds on each architecture of a filter, so
// those whose programs the kernel does not run are left out.
func seccompProfile(s *specs.Spec, machine Machine) *specs.LinuxSeccomp {
	profile := seccomp.DefaultProfile(s)
	profile.Architectures = slices.DeleteFunc(profile.Architectures, func(a specs.Arch) bool {
		return a == specs.ArchX32 && !machine.X32
	})
	return profile
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
		return specs.LinuxNamespace{Type: kind, Path: fmt.Sprintf("/proc/%d/ns/%s", shared.PausePID, file)}
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
	case pod.ShareProcessNamespace != nil && *pod.ShareProcessNamespace:
		namespaces = append(namespaces, pause(specs.PIDNamespace, "pid"))
	default:
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
	}
	if in.Machine.CgroupV2 {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	return namespaces, nil
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
