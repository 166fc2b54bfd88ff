package oci

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"
)

// Mount is something that a container finds at a path.
type Mount struct {
	// Source is an existing path of the host, without symbolic links. With
	// another type than a bind mount it is that type's source.
	Source      string
	Destination string
	ReadOnly    bool
	// Propagation counts for bind mounts; empty is the same as None. For
	// HostToContainer and Bidirectional the caller has made sure that Source
	// is on a mount that is shared.
	Propagation v1.MountPropagationMode
	// Type is a file system type; empty is a bind mount.
	Type string
	// Options are added to those that the fields above stand for.
	Options []string
	// WithRoot says that it is read-only when the root filesystem is.
	WithRoot bool
	// Relabel says that the files are the pod's own, and get its SELinux label.
	Relabel bool
}

const shm = "/dev/shm"

// defaultMounts are containerd's without /run, as in CRI.
var defaultMounts = []specs.Mount{
	{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
	{Destination: shm, Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
}

var cgroupMount = specs.Mount{
	Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
	Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"},
}

// containerMounts returns a container's mounts in the order in which they are
// made, parents first, and the propagation that the root needs for them.
func containerMounts(in Input) ([]specs.Mount, string) {
	taken := destinations(in.Mounts)
	added := slices.Clone(in.Mounts)
	for _, m := range in.Shared.Mounts {
		if !taken[clean(m.Destination)] {
			m.ReadOnly = m.ReadOnly || m.WithRoot && readOnlyRoot(in.Container)
			added = append(added, m)
		}
	}
	slices.SortStableFunc(added, func(a, b Mount) int {
		return cmp.Compare(depth(a.Destination), depth(b.Destination))
	})
	mounts := withoutReplaced(append(slices.Clone(defaultMounts), cgroupMount), destinations(added))
	if Privileged(in.Container) {
		writable(mounts, "sysfs", "cgroup")
	}
	propagation := ""
	for _, m := range added {
		mounts = append(mounts, m.spec())
		switch {
		case m.Type != "":
		case m.Propagation == v1.MountPropagationBidirectional:
			propagation = "rshared"
		case m.Propagation == v1.MountPropagationHostToContainer && propagation == "":
			propagation = "rslave"
		}
	}
	return mounts, propagation
}

// pauseMounts are the defaults, with the pod's /dev/shm in place of its own.
func pauseMounts(pod *v1.Pod, shared []Mount) []specs.Mount {
	mounts := withoutReplaced(defaultMounts, nil)
	i := slices.IndexFunc(shared, func(m Mount) bool { return clean(m.Destination) == shm })
	if i >= 0 {
		mounts = append(withoutReplaced(defaultMounts, map[string]bool{shm: true}), specs.Mount{
			Source: shared[i].Source, Destination: shm, Type: "bind",
			Options: []string{"rbind", "ro", "nosuid", "nodev", "noexec"},
		})
	}
	if privilegedPod(pod) {
		writable(mounts, "sysfs")
	}
	return mounts
}

// writable makes the mounts of the given types so.
func writable(mounts []specs.Mount, types ...string) {
	for _, m := range mounts {
		if i := slices.Index(m.Options, "ro"); i >= 0 && slices.Contains(types, m.Type) {
			m.Options[i] = "rw"
		}
	}
}

// withoutReplaced returns those of the defaults that nothing else is mounted
// on; with another /dev all below it go as well.
func withoutReplaced(defaults []specs.Mount, taken map[string]bool) []specs.Mount {
	var kept []specs.Mount
	for _, m := range defaults {
		if taken[m.Destination] || taken["/dev"] && strings.HasPrefix(m.Destination, "/dev/") {
			continue
		}
		m.Options = slices.Clone(m.Options)
		kept = append(kept, m)
	}
	return kept
}

func (m Mount) spec() specs.Mount {
	mode := "rw"
	if m.ReadOnly {
		mode = "ro"
	}
	result := specs.Mount{Source: m.Source, Destination: clean(m.Destination), Type: m.Type}
	if m.Type == "" {
		result.Type = "bind"
		result.Options = []string{"rbind", propagationOption(m.Propagation)}
	}
	result.Options = append(append(result.Options, mode), m.Options...)
	return result
}

func propagationOption(mode v1.MountPropagationMode) string {
	switch mode {
	case v1.MountPropagationBidirectional:
		return "rshared"
	case v1.MountPropagationHostToContainer:
		return "rslave"
	}
	return "rprivate"
}

func destinations(mounts []Mount) map[string]bool {
	paths := make(map[string]bool, len(mounts))
	for _, m := range mounts {
		paths[clean(m.Destination)] = true
	}
	return paths
}

// clean makes a path absolute: a kubelet takes "data" for "/data".
func clean(p string) string { return path.Join("/", p) }

func depth(p string) int { return strings.Count(clean(p), "/") }
