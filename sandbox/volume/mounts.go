package volume

import (
	"fmt"

	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// Mounts returns what a container mounts of its pod's volumes, in the order of
// its volumeMounts. volumes says where each volume is on the host, as Setup
// returned it. The errors are the kubelet's.
func Mounts(spec *v1.Container, volumes map[string]string) ([]oci.Mount, error) {
	mounts := make([]oci.Mount, 0, len(spec.VolumeMounts))
	for _, m := range spec.VolumeMounts {
		source, ok := volumes[m.Name]
		if !ok {
			return nil, fmt.Errorf("cannot find volume %q to mount into container %q", m.Name, spec.Name)
		}
		mounts = append(mounts, oci.Mount{Source: source, Destination: m.MountPath, ReadOnly: m.ReadOnly})
	}
	return mounts, nil
}
