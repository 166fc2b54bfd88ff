package volume

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/sys/mountinfo"
)

// MountImage mounts what an image holds as the volume of that name, unless one
// is mounted there already.
func MountImage(dir, name string, view []mount.Mount) error {
	path := imagePath(dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	mounted, err := mountinfo.Mounted(path)
	if err != nil || mounted {
		return err
	}
	if err := mount.All(view, path); err != nil {
		return fmt.Errorf("mount image of volume %q: %w", name, err)
	}
	return nil
}

func imagePath(dir, name string) string { return filepath.Join(dir, "kubernetes.io~image", name) }
