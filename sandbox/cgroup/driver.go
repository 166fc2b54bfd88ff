package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/cgroups"
	sd "github.com/opencontainers/cgroups/systemd"
	"golang.org/x/sys/unix"

	"podrun/container/oci"
)

const mountPoint = "/sys/fs/cgroup"

// Driver knows where the cgroups of the machine are. It is safe for use by
// several goroutines, and beside drivers of other processes.
type Driver struct {
	root        string // the name of the cgroup above all pods
	unified     bool   // cgroup v2 alone
	systemd     bool   // which makes the cgroups of new pods
	hierarchies []hierarchy
}

// hierarchy is a mounted cgroup file system.
type hierarchy struct {
	path    string
	options []string // of v1, the controllers among them
}

func (h hierarchy) has(controller string) bool { return slices.Contains(h.options, controller) }

// Detect finds the machine's cgroup hierarchies. All pods are put below the
// cgroup named root; whoever shares a root sees each other's pods. The driver
// makes their cgroups itself: see With.
func Detect(root string) (*Driver, error) {
	if !isName(root) {
		return nil, fmt.Errorf("cgroup root %q: not a name", root)
	}
	d := &Driver{root: root, unified: cgroups.IsCgroup2UnifiedMode()}
	if d.unified {
		d.hierarchies = []hierarchy{{path: mountPoint}}
		return d, nil
	}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	d.hierarchies = hierarchies(mounts)
	if len(d.hierarchies) == 0 {
		return nil, errors.New("find cgroup mounts: there are none")
	}
	return d, nil
}

// hierarchies are those that a runtime uses: all but v1 ones without
// controllers, of which only systemd's is. One that is mounted several times
// counts where its path is shortest, as for a kubelet.
func hierarchies(mounts []*mountinfo.Info) []hierarchy {
	type device struct{ major, minor int }
	index := map[device]int{}
	var found []hierarchy
	for _, m := range mounts {
		h := hierarchy{path: m.Mountpoint, options: strings.Split(m.VFSOptions, ",")}
		named := slices.ContainsFunc(h.options, func(o string) bool { return strings.HasPrefix(o, "name=") })
		if named && !h.has("name=systemd") {
			continue
		}
		key := device{m.Major, m.Minor}
		i, again := index[key]
		switch {
		case !again:
			index[key] = len(found)
			found = append(found, h)
		case len(h.path) < len(found[i].path):
			found[i] = h
		}
	}
	return found
}

// ErrNoSystemd says that the machine has no systemd that could make cgroups.
var ErrNoSystemd = errors.New("takes a machine with cgroup v2 and systemd as its init")

// With returns a driver that has systemd make the cgroups of pods, or one that
// makes them itself. Both find, kill and remove pods of either. Fails with
// ErrNoSystemd.
func (d *Driver) With(systemd bool) (*Driver, error) {
	if systemd && !(d.unified && sd.IsRunningSystemd()) {
		return nil, ErrNoSystemd
	}
	other := *d
	other.systemd = systemd
	return &other, nil
}

// both are the drivers whose pods there may be.
func (d *Driver) both() []*Driver {
	own := *d
	own.systemd = false
	if !d.unified {
		return []*Driver{&own}
	}
	other := own
	other.systemd = true
	return []*Driver{&own, &other}
}

// Systemd says that systemd makes the cgroups.
func (d *Driver) Systemd() bool { return d.systemd }

// Unified says that the machine has cgroup v2 and nothing else.
func (d *Driver) Unified() bool { return d.unified }

// Swap says that the memory controller counts swap, so that it can be limited.
// With v2 any cgroup that the controller was given to tells: the root has no
// such file, and the caller's own cgroup need not have one, as podrun's has
// none before the first pod.
func (d *Driver) Swap() bool {
	if d.unified {
		limits, _ := filepath.Glob(filepath.Join(d.hierarchies[0].path, "*", "memory.swap.max"))
		return len(limits) > 0
	}
	dir, err := d.dir("memory", "")
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "memory.memsw.limit_in_bytes"))
	return err == nil
}

// HugePages are the sizes of huge pages that can be limited; none without the
// controller.
func (d *Driver) HugePages() []oci.PageSize {
	if d.unified {
		controllers, err := cgroups.ReadFile(mountPoint, "cgroup.controllers")
		if err != nil || !slices.Contains(strings.Fields(controllers), "hugetlb") {
			return nil
		}
	} else if _, err := d.dir("hugetlb", ""); err != nil {
		return nil
	}
	var sizes []oci.PageSize
	for _, size := range cgroups.HugePageSizes() {
		sizes = append(sizes, oci.PageSize(size))
	}
	return sizes
}

// dir is where a cgroup is in a controller's hierarchy.
func (d *Driver) dir(controller, path string) (string, error) {
	for _, h := range d.hierarchies {
		if d.unified || h.has(controller) {
			return filepath.Join(h.path, path), nil
		}
	}
	return "", fmt.Errorf("no %s controller", controller)
}

// gone tells that a cgroup was removed, before or while it was used.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}
