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
	"k8s.io/kubernetes/pkg/apis/core/v1/helper"

	"podrun/container/env"
)

// Input is what the volumes of a pod are made from.
type Input struct {
	Dir     string // the pod's own volume directory
	Claims  string // where the data of claims is, by namespace and name
	Pod     *v1.Pod
	Objects env.Objects // what the pod refers to
	Facts   env.Facts
}

// Volume is a volume as it is on the host.
type Volume struct {
	Path     string
	ReadOnly bool         // whatever a mount asks for
	Own      bool         // made for pods, with files that can be given their SELinux label
	expected expectedType // of a hostPath
}

// Error says which volume cannot be set up, and why.
type Error struct {
	Volume string
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("set up volume %q: %v", e.Volume, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Setup makes the volumes of a pod that are not there yet, brings the others up
// to date, and returns where each is on the host, by name. Contents that a
// volume has from the pod stay. Setup is idempotent, but must not run twice at
// the same time. What fails is an *[Error], unless ctx has ended; what was made before it is left to
// Remove.
func Setup(ctx context.Context, in Input) (map[string]Volume, error) {
	volumes := make(map[string]Volume, len(in.Pod.Spec.Volumes))
	for i := range in.Pod.Spec.Volumes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		vol := &in.Pod.Spec.Volumes[i]
		made, err := setup(in, vol)
		if err != nil {
			return nil, &Error{vol.Name, err}
		}
		volumes[vol.Name] = made
	}
	return volumes, nil
}

// Update is Setup for the volumes whose contents come from objects and from the
// pod alone. One that cannot be brought up to date stays as it is.
func Update(ctx context.Context, in Input) error {
	var errs []error
	for i := range in.Pod.Spec.Volumes {
		vol := &in.Pod.Spec.Volumes[i]
		if _, follows := sourcesOf(vol); !follows || ctx.Err() != nil {
			continue
		}
		if _, err := setup(in, vol); err != nil {
			errs = append(errs, fmt.Errorf("update volume %q: %w", vol.Name, err))
		}
	}
	return errors.Join(errs...)
}

func setup(in Input, vol *v1.Volume) (Volume, error) {
	if from, ok := sourcesOf(vol); ok {
		path := filepath.Join(in.Dir, "kubernetes.io~"+from.plugin, vol.Name)
		return Volume{Path: path, ReadOnly: true, Own: true}, setupFiles(path, in, from)
	}
	switch {
	case vol.EmptyDir != nil && helper.IsHugePageMedium(vol.EmptyDir.Medium):
		path := emptyDirPath(in.Dir, vol.Name)
		return Volume{Path: path}, errors.Join(setupHugePages(path, in.Pod, vol.EmptyDir.Medium), setMode(path, vol.EmptyDir))
	case vol.EmptyDir != nil:
		path := emptyDirPath(in.Dir, vol.Name)
		return Volume{Path: path, Own: true}, setupEmptyDir(path, in.Pod, vol.EmptyDir)
	case vol.HostPath != nil:
		return setupHostPath(vol.HostPath)
	case vol.Image != nil:
		path := imagePath(in.Dir, vol.Name)
		return Volume{Path: path, ReadOnly: true}, os.MkdirAll(path, 0o755)
	case vol.PersistentVolumeClaim != nil:
		return setupClaim(in, vol.PersistentVolumeClaim)
	default:
		return Volume{}, errors.New("this type of volume is not supported")
	}
}

// setupFiles is an emptyDir into which files are written from above.
func setupFiles(path string, in Input, from sources) error {
	files, err := from.collect(in)
	if err != nil {
		return err
	}
	dir := &v1.EmptyDirVolumeSource{}
	if from.memory {
		dir.Medium = v1.StorageMediumMemory
	}
	if err := setupEmptyDir(path, in.Pod, dir); err != nil {
		return err
	}
	var group *int64
	if in.Pod.Spec.SecurityContext != nil {
		group = in.Pod.Spec.SecurityContext.FSGroup
	}
	return publish(path, files, group)
}

func emptyDirPath(dir, name string) string {
	return filepath.Join(dir, "kubernetes.io~empty-dir", name)
}

// setupEmptyDir makes a directory that everybody may write, whatever the umask
// is, or a tmpfs, which keeps the kernel's default mode (kubelet: emptydir), unless
// the manifest says a mode.
func setupEmptyDir(path string, pod *v1.Pod, source *v1.EmptyDirVolumeSource) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	switch source.Medium {
	case v1.StorageMediumDefault:
		if err := os.Chmod(path, 0o777); err != nil {
			return err
		}
	case v1.StorageMediumMemory:
		if err := mountMemory(path, pod, source); err != nil {
			return err
		}
	default:
		return fmt.Errorf("medium %q is not supported", source.Medium)
	}
	if err := setMode(path, source); err != nil {
		return err
	}
	return giveGroup(path, pod)
}

// setMode gives a volume the mode that is asked for, its sticky bit included.
func setMode(path string, source *v1.EmptyDirVolumeSource) error {
	if source.Mode == nil {
		return nil
	}
	if err := unix.Chmod(path, uint32(*source.Mode)); err != nil {
		return fmt.Errorf("set mode of %s: %w", path, err)
	}
	return nil
}

// giveGroup gives a directory that is the root of a volume to the pod's group
// for volumes, if it has one, and with it what is made inside (kubelet:
// SetVolumeOwnership).
func giveGroup(path string, pod *v1.Pod) error {
	if pod.Spec.SecurityContext == nil || pod.Spec.SecurityContext.FSGroup == nil {
		return nil
	}
	if err := os.Lchown(path, -1, int(*pod.Spec.SecurityContext.FSGroup)); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode()|os.ModeSetgid|0o770)
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
