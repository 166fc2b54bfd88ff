package oci

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"
)

// capabilities are containerd's defaults.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// Capabilities are the kernel's, each at the place of its number.
var Capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
	"CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
	"CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
	"CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// Capability is the kernel's name of a capability as a pod names it.
func Capability(name v1.Capability) string { return "CAP_" + strings.ToUpper(string(name)) }

const allCapabilities = "CAP_ALL"

// Privileged says whether a container is.
func Privileged(c *v1.Container) bool {
	return c.SecurityContext != nil && isTrue(c.SecurityContext.Privileged)
}

// privilegedPod says whether any of a pod's containers is privileged: its
// sandbox is then as well.
func privilegedPod(pod *v1.Pod) bool {
	privileged := func(c v1.Container) bool { return Privileged(&c) }
	return slices.ContainsFunc(pod.Spec.InitContainers, privileged) || slices.ContainsFunc(pod.Spec.Containers, privileged)
}

func readOnlyRoot(c *v1.Container) bool {
	return c.SecurityContext != nil && isTrue(c.SecurityContext.ReadOnlyRootFilesystem)
}

// secure applies a container's security context, and its pod's where it says
// nothing itself (container_create_linux.go and a kubelet's
// DetermineEffectiveSecurityContext).
func secure(s *specs.Spec, in Input) error {
	sc := securityContext(in.Container)
	s.Root.Readonly = isTrue(sc.ReadOnlyRootFilesystem)
	s.Process.NoNewPrivileges = sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation
	s.Linux.MountLabel = in.SELinux.Files
	if isTrue(sc.Privileged) {
		s.Process.Capabilities = grant(in.Machine.Capabilities)
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		s.Linux.Devices = in.Devices
		s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		return nil
	}
	s.Process.Capabilities = grant(granted(sc.Capabilities, in.Machine.Capabilities))
	s.Process.ApparmorProfile = in.AppArmor
	s.Process.SelinuxLabel = in.SELinux.Process
	if sc.ProcMount != nil && *sc.ProcMount == v1.UnmaskedProcMount {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
	}
	return setSeccomp(s, in)
}

// securityContext is a container's own, empty when it has none.
func securityContext(c *v1.Container) *v1.SecurityContext {
	if c.SecurityContext == nil {
		return &v1.SecurityContext{}
	}
	return c.SecurityContext
}

// podSecurityContext is a pod's, empty when it has none.
func podSecurityContext(pod *v1.Pod) *v1.PodSecurityContext {
	if pod.Spec.SecurityContext == nil {
		return &v1.PodSecurityContext{}
	}
	return pod.Spec.SecurityContext
}

// effective is a container's own setting, else its pod's, else nil.
func effective[T any](own, pods *T) *T {
	if own != nil {
		return own
	}
	return pods
}

// grant lets a process have capabilities; none is inheritable or ambient.
func grant(names []string) *specs.LinuxCapabilities {
	return &specs.LinuxCapabilities{
		Bounding:  slices.Clone(names),
		Permitted: slices.Clone(names),
		Effective: slices.Clone(names),
	}
}

// granted are the defaults with what a container adds and drops: ALL first,
// then what is added, then what is dropped (containerd: WithCapabilities).
func granted(changes *v1.Capabilities, all []string) []string {
	if changes == nil {
		return capabilities
	}
	add, drop := kernelNames(changes.Add), kernelNames(changes.Drop)
	names := capabilities
	if slices.Contains(add, allCapabilities) {
		names = all
	}
	if slices.Contains(drop, allCapabilities) {
		names = nil
	}
	names = slices.Clone(names)
	for _, name := range add {
		if name != allCapabilities && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(drop, name) })
}

func kernelNames(list []v1.Capability) []string {
	names := make([]string, 0, len(list))
	for _, c := range list {
		names = append(names, Capability(c))
	}
	return names
}

// LocalhostSeccomp is the name of the machine's own seccomp profile that a
// container asks for, empty when it asks for none.
func LocalhostSeccomp(pod *v1.Pod, c *v1.Container) string {
	profile := effective(securityContext(c).SeccompProfile, podSecurityContext(pod).SeccompProfile)
	if profile == nil || profile.Type != v1.SeccompProfileTypeLocalhost || profile.LocalhostProfile == nil || Privileged(c) {
		return ""
	}
	return *profile.LocalhostProfile
}

// setSeccomp gives a container RuntimeDefault when nothing is said.
func setSeccomp(s *specs.Spec, in Input) error {
	profile := effective(securityContext(in.Container).SeccompProfile, podSecurityContext(in.Pod).SeccompProfile)
	switch {
	case profile == nil || profile.Type == v1.SeccompProfileTypeRuntimeDefault:
		s.Linux.Seccomp = runtimeDefault(s, in.Machine)
	case profile.Type == v1.SeccompProfileTypeLocalhost:
		if in.Seccomp == nil {
			return fmt.Errorf("seccomp profile %q: not loaded", LocalhostSeccomp(in.Pod, in.Container))
		}
		s.Linux.Seccomp = in.Seccomp
	case profile.Type != v1.SeccompProfileTypeUnconfined:
		return fmt.Errorf("seccomp profile of type %q: there is none", profile.Type)
	}
	return nil
}

// runtimeDefault is containerd's profile, which depends on the capabilities. A
// runtime spends several milliseconds on each architecture of a filter, so
// those whose programs the kernel does not run are left out.
func runtimeDefault(s *specs.Spec, machine Machine) *specs.LinuxSeccomp {
	profile := seccomp.DefaultProfile(s)
	profile.Architectures = slices.DeleteFunc(profile.Architectures, func(a specs.Arch) bool {
		return a == specs.ArchX32 && !machine.X32
	})
	return profile
}

// AppArmor is what a container says about AppArmor, nil when it says nothing:
// it then has the runtime's default where the machine has AppArmor.
func AppArmor(pod *v1.Pod, c *v1.Container) *v1.AppArmorProfile {
	return effective(securityContext(c).AppArmorProfile, podSecurityContext(pod).AppArmorProfile)
}

// SELinux is what a container asks of SELinux, or a pod's sandbox with none; nil for
// nothing.
func SELinux(pod *v1.Pod, c *v1.Container) *v1.SELinuxOptions {
	options := podSecurityContext(pod).SELinuxOptions
	if c != nil {
		options = effective(securityContext(c).SELinuxOptions, options)
	}
	if options == nil || *options == (v1.SELinuxOptions{}) {
		return nil
	}
	return options
}

// sysctls are those of a pod's namespaces: its own, and CRI's for a network of
// its own, with which low ports and pings need no privilege.
func sysctls(pod *v1.Pod) map[string]string {
	set := map[string]string{}
	if !pod.Spec.HostNetwork {
		set["net.ipv4.ip_unprivileged_port_start"] = "0"
		set["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	for _, sysctl := range podSecurityContext(pod).Sysctls {
		set[SysctlName(sysctl.Name)] = sysctl.Value
	}
	if len(set) == 0 {
		return nil
	}
	return set
}

// SysctlName is a sysctl's name with dots between its parts, in whichever
// of the two ways it is written: with the first separator a slash, slashes and
// dots change places (kubelet: NormalizeName).
func SysctlName(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '.' {
		return name
	}
	return strings.NewReplacer("/", ".", ".", "/").Replace(name)
}

func isTrue(b *bool) bool { return b != nil && *b }
