package volume

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// Mounts returns what a container mounts of its pod's volumes, in the order of
// its volumeMounts, and makes what subPaths name. All of spec's variables are
// literal; dir is the pod's own volume directory, and volumes are as Setup
// returned them. The errors are the kubelet's.
func Mounts(spec *v1.Container, dir string, volumes map[string]Volume) ([]oci.Mount, error) {
	mounts := make([]oci.Mount, 0, len(spec.VolumeMounts))
	for i, m := range spec.VolumeMounts {
		vol, ok := volumes[m.Name]
		if !ok {
			return nil, fmt.Errorf("cannot find volume %q to mount into container %q", m.Name, spec.Name)
		}
		path, err := subPathOf(spec, m)
		if err != nil {
			return nil, err
		}
		source := vol.Path
		if path != "" {
			source = filepath.Join(dir, "volume-subpaths", m.Name, spec.Name, strconv.Itoa(i))
			if err := mountSubPath(vol, path, source); err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, spec.Name, err)
			}
		}
		mount := oci.Mount{Source: source, Destination: m.MountPath, ReadOnly: m.ReadOnly || vol.ReadOnly, Relabel: vol.Own}
		if err := adjust(&mount, m); err != nil {
			return nil, err
		}
		mounts = append(mounts, mount)
	}
	return mounts, nil
}

// adjust makes a mount as recursive, as restricted and as shared as is asked for.
// What the machine cannot do is an error.
func adjust(mount *oci.Mount, m v1.VolumeMount) error {
	if mode := m.RecursiveReadOnly; mode != nil && *mode != v1.RecursiveReadOnlyDisabled {
		switch knows := knowsRecursive(); {
		case knows:
			mount.Options = append(mount.Options, "rro")
		case *mode == v1.RecursiveReadOnlyEnabled:
			return fmt.Errorf("mount %q read-only recursively: the kernel is older than 5.12", m.MountPath)
		}
	}
	mount.Options = append(mount.Options, m.BindMountOptions...)
	if m.MountPropagation == nil || *m.MountPropagation == v1.MountPropagationNone {
		return nil
	}
	mount.Propagation = *m.MountPropagation
	return checkShared(mount.Source, mount.Propagation)
}

// knowsRecursive says whether the kernel can change mounts with all below them.
func knowsRecursive() bool {
	err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{})
	return !errors.Is(err, unix.ENOSYS)
}

// checkShared refuses to share mounts with a container when the host does not
// share them itself (containerd: WithMounts).
func checkShared(source string, mode v1.MountPropagationMode) error {
	real, err := filepath.EvalSymlinks(source)
	if err != nil {
		return err
	}
	parents, err := mountinfo.GetMounts(mountinfo.ParentsFilter(real))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	var on *mountinfo.Info // the last one of the deepest
	for _, parent := range parents {
		if on == nil || len(parent.Mountpoint) >= len(on.Mountpoint) {
			on = parent
		}
	}
	kinds, wanted := []string{"shared:"}, "shared"
	if mode == v1.MountPropagationHostToContainer {
		kinds, wanted = []string{"shared:", "master:"}, "shared or slave"
	}
	for _, kind := range kinds {
		if on != nil && strings.Contains(on.Optional, kind) {
			return nil
		}
	}
	return fmt.Errorf("path %q is mounted on %q but it is not a %s mount", source, on.Mountpoint, wanted)
}

// subPathOf is the path inside of the volume that a mount names, empty for its
// root.
func subPathOf(spec *v1.Container, m v1.VolumeMount) (string, error) {
	path := m.SubPath
	if m.SubPathExpr != "" {
		var err error
		if path, err = expandSubPath(m.SubPathExpr, oci.Values(spec)); err != nil {
			return "", err
		}
	}
	return path, checkSubPath(path)
}
