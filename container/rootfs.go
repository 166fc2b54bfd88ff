package container

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/kernelversion"
)

// layersOf is a root filesystem without the directory that a container writes
// to: what its image holds, to be read only. It is cheap to mount and unmount,
// whatever the disk is busy with; see fleeting.
func layersOf(rootfs []mount.Mount) []mount.Mount {
	layers := slices.Clone(rootfs)
	for i, m := range layers {
		if m.Type != "overlay" {
			continue
		}
		m.Options = slices.DeleteFunc(slices.Clone(m.Options), func(option string) bool {
			return strings.HasPrefix(option, "upperdir=") || strings.HasPrefix(option, "workdir=")
		})
		layers[i] = m
		for _, option := range m.Options {
			// The kernel makes no overlay of a single directory.
			if dir, ok := strings.CutPrefix(option, "lowerdir="); ok && !strings.Contains(dir, ":") {
				layers[i] = mount.Mount{Type: "bind", Source: filepath.Clean(dir), Options: []string{"rbind", "ro"}}
			}
		}
	}
	return layers
}

// fleeting is a root filesystem that need not outlive the machine's next start,
// and is mounted only once. For another one the kernel writes all dirty pages of
// the file system below it to the disk when it is unmounted, which takes seconds
// on a busy one, however little the container wrote. See "Volatile mount" in the
// kernel's documentation of overlayfs; kernels before 5.10 have none.
func fleeting(rootfs []mount.Mount) []mount.Mount {
	if known, err := kernelversion.GreaterEqualThan(kernelversion.KernelVersion{Kernel: 5, Major: 10}); err != nil || !known {
		return rootfs
	}
	fleeting := slices.Clone(rootfs)
	for i, m := range fleeting {
		if m.Type == "overlay" && slices.ContainsFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, "upperdir=") }) {
			fleeting[i].Options = append(slices.Clone(m.Options), "volatile")
		}
	}
	return fleeting
}
