package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	v1 "k8s.io/api/core/v1"
)

// limited says whether a volume on the disk may hold no more than its sizeLimit.
// One in memory has its limit from the kernel.
func limited(vol *v1.Volume) bool {
	dir := vol.EmptyDir
	return dir != nil && dir.Medium == v1.StorageMediumDefault && dir.SizeLimit != nil && dir.SizeLimit.Sign() > 0
}

// Limited says whether a pod has volumes that are to be watched for their size.
func Limited(pod *v1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if limited(&pod.Spec.Volumes[i]) {
			return true
		}
	}
	return false
}

// Exceeded returns what a kubelet says when it evicts a pod because of a volume
// that holds more than it may, empty when none does. dir is the pod's own volume
// directory.
func Exceeded(ctx context.Context, dir string, pod *v1.Pod) (string, error) {
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		if !limited(vol) {
			continue
		}
		used, err := usage(ctx, emptyDirPath(dir, vol.Name))
		if err != nil {
			return "", fmt.Errorf("measure volume %q: %w", vol.Name, err)
		}
		if used > vol.EmptyDir.SizeLimit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", vol.Name, vol.EmptyDir.SizeLimit.String()), nil
		}
	}
	return "", nil
}

// usage is the disk space in bytes that a directory takes, as du counts it: each
// file once, whatever is mounted below left out. What goes away meanwhile does
// not count.
func usage(ctx context.Context, dir string) (int64, error) {
	var root syscall.Stat_t
	if err := syscall.Lstat(dir, &root); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		return 0, err
	}
	total, seen := int64(0), map[uint64]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		var stat syscall.Stat_t
		if err == nil {
			err = syscall.Lstat(path, &stat)
		}
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil
		case err != nil:
			return err
		case stat.Dev != root.Dev:
			if stat.Mode&syscall.S_IFMT == syscall.S_IFDIR {
				return fs.SkipDir
			}
			return nil
		case stat.Nlink > 1 && seen[stat.Ino]:
			return nil
		}
		seen[stat.Ino] = stat.Nlink > 1
		total += stat.Blocks * 512
		return nil
	})
	return total, err
}
