package volume

import (
	"fmt"
	"os"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper"
)

// setupHugePages mounts a file system of huge pages, unless it is mounted
// already.
func setupHugePages(path string, pod *v1.Pod, medium v1.StorageMedium) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	size, err := hugePageSize(pod, medium)
	if err != nil {
		return err
	}
	mounted, err := mountinfo.Mounted(path)
	if err != nil || mounted {
		return err
	}
	if err := unix.Mount("nodev", path, "hugetlbfs", 0, "pagesize="+size.String()); err != nil {
		return fmt.Errorf("mount hugetlbfs: %w", err)
	}
	return nil
}

// hugePageSize is the size that a medium names, or the only one of which the
// pod's containers have any (kubelet: getPageSizeMountOption).
func hugePageSize(pod *v1.Pod, medium v1.StorageMedium) (resource.Quantity, error) {
	var wanted, found resource.Quantity
	if medium != v1.StorageMediumHugePages {
		var err error
		if wanted, err = helper.HugePageSizeFromMedium(medium); err != nil {
			return found, err
		}
	}
	for _, name := range requested(pod) {
		if !helper.IsHugePageResourceName(name) {
			continue
		}
		size, err := helper.HugePageSizeFromResourceName(name)
		switch {
		case err != nil:
			return found, err
		case !wanted.IsZero() && size.Cmp(wanted) != 0:
		case !found.IsZero() && size.Cmp(found) != 0:
			return found, fmt.Errorf("medium: %s can't be used if container requests multiple huge page sizes", medium)
		default:
			found = size
		}
	}
	if found.IsZero() {
		return found, fmt.Errorf("medium %s: hugePages storage requested, but there is no resource request for huge pages", medium)
	}
	return found, nil
}

// requested lists the resources that a pod and its containers request.
func requested(pod *v1.Pod) []v1.ResourceName {
	var names []v1.ResourceName
	add := func(list v1.ResourceList) {
		for name := range list {
			names = append(names, name)
		}
	}
	if pod.Spec.Resources != nil {
		add(pod.Spec.Resources.Requests)
	}
	for _, c := range pod.Spec.Containers {
		add(c.Resources.Requests)
	}
	for _, c := range pod.Spec.InitContainers {
		add(c.Resources.Requests)
	}
	return names
}
