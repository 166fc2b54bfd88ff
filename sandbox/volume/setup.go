package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
)

// Setup makes the volumes of pod that are not there yet and returns where each
// is on the host, by name. dir is the pod's own volume directory. Setup is
// idempotent: contents that a volume has already stay. An error names the
// volume; what was made before it is left to Remove.
func Setup(ctx context.Context, dir string, pod *v1.Pod) (map[string]string, error) {
	paths := make(map[string]string, len(pod.Spec.Volumes))
	for i := range pod.Spec.Volumes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		vol := &pod.Spec.Volumes[i]
		path, err := setup(dir, pod, vol)
		if err != nil {
			return nil, fmt.Errorf("set up volume %q: %w", vol.Name, err)
		}
		paths[vol.Name] = path
	}
	return paths, nil
}

func setup(dir string, pod *v1.Pod, vol *v1.Volume) (string, error) {
	switch {
	case vol.EmptyDir != nil:
		path := filepath.Join(dir, "kubernetes.io~empty-dir", vol.Name)
		return path, setupEmptyDir(path, pod, vol.EmptyDir)
	case vol.HostPath != nil:
		return vol.HostPath.Path, setupHostPath(vol.HostPath)
	default:
		return "", errors.New("this type of volume is not supported")
	}
}

// setupEmptyDir makes a directory that everybody may write, whatever the umask
// is, or a tmpfs, which keeps the kernel's default mode (kubelet: emptydir).
func setupEmptyDir(path string, pod *v1.Pod, source *v1.EmptyDirVolumeSource) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	switch source.Medium {
	case v1.StorageMediumDefault:
		return os.Chmod(path, 0o777)
	case v1.StorageMediumMemory:
		return mountMemory(path, pod, source)
	default:
		return fmt.Errorf("medium %q is not supported", source.Medium)
	}
}

func mountMemory(path string, pod *v1.Pod, source *v1.EmptyDirVolumeSource) error {
	mounted, err := mountinfo.Mounted(path)
	if err != nil || mounted {
		return err
	}
	machine, err := machineMemory()
	if err != nil {
		return err
	}
	options := "size=" + strconv.FormatInt(memorySize(machine, pod, source), 10)
	// Memory that is swapped out is no memory; kernels before 6.4 do not know the word.
	err = unix.Mount("tmpfs", path, "tmpfs", 0, options+",noswap")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("tmpfs", path, "tmpfs", 0, options)
	}
	if err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	return nil
}

// memorySize is the size of a volume in memory, in bytes: the smallest of the
// machine's memory, the pod's memory limit if all of its containers have one,
// and the volume's own limit (kubelet: calculateEmptyDirMemorySize).
func memorySize(machine int64, pod *v1.Pod, source *v1.EmptyDirVolumeSource) int64 {
	size := machine
	if limit := podMemoryLimit(pod); limit > 0 {
		size = min(size, limit)
	}
	if source.SizeLimit != nil && source.SizeLimit.Value() > 0 {
		size = min(size, source.SizeLimit.Value())
	}
	return size
}

// podMemoryLimit is 0 when the pod's memory is not limited as a whole: a
// container without a limit, and none for the pod (kubelet: ResourceConfigForPod).
func podMemoryLimit(pod *v1.Pod) int64 {
	unlimited := func(c v1.Container) bool { return c.Resources.Limits.Memory().IsZero() }
	if !limitedAsPod(pod) && (slices.ContainsFunc(pod.Spec.Containers, unlimited) || slices.ContainsFunc(pod.Spec.InitContainers, unlimited)) {
		return 0
	}
	limits := resource.PodLimits(pod, resource.PodResourcesOptions{})
	return limits.Memory().Value()
}

func limitedAsPod(pod *v1.Pod) bool {
	return pod.Spec.Resources != nil && !pod.Spec.Resources.Limits.Memory().IsZero()
}

func machineMemory() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("read the machine's memory: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil
}
