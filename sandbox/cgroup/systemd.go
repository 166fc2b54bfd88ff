package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"github.com/opencontainers/cgroups"
	sd "github.com/opencontainers/cgroups/systemd"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// createSlice is Create with systemd: a slice for each of the levels and one for
// the pod, as transient units, of which nothing is left once they are stopped.
func (d *Driver) createSlice(pod *v1.Pod) error {
	return exclusively(func() error {
		own := Resources(pod, d.HugePages())
		if err := startSlice(d.path("", ""), machineLimits()); err != nil {
			return err
		}
		level := level(pod)
		if level != "" {
			if err := startSlice(d.path(level, ""), Limits{CPUShares: minShares}); err != nil {
				return err
			}
		}
		if err := startSlice(d.Path(pod), Limits{CPUShares: own.CPUShares}); err != nil {
			return err
		}
		if err := setSlice(d.Path(pod), own.resources()); err != nil {
			return err
		}
		if level == burstable {
			return d.weighSlice()
		}
		return nil
	})
}

// removeSlice is Remove for a pod that systemd made the cgroup of. Whoever made it
// may have been killed when there were the levels alone.
func (d *Driver) removeSlice(uid string) error {
	if !exists(d.path("", "")) {
		return nil
	}
	// systemd would ask them to end, and wait.
	if err := d.Kill(uid); err != nil {
		return err
	}
	return exclusively(func() error {
		for _, level := range levels {
			if slice := d.path(level, uid); exists(slice) {
				if err := stopSlice(slice); err != nil {
					return err
				}
			}
		}
		for _, level := range []string{burstable, bestEffort, ""} {
			slice := d.path(level, "")
			if !exists(slice) || holdsCgroups(slice) {
				continue
			}
			if err := stopSlice(slice); err != nil {
				return err
			}
		}
		if exists(d.path(burstable, "")) {
			return d.weighSlice()
		}
		return nil
	})
}

// weighSlice is weigh with systemd. The lock is held.
func (d *Driver) weighSlice() error {
	slice := d.path(burstable, "")
	pods, err := d.podShares(filepath.Join(mountPoint, slice), "cpu.weight")
	if err != nil {
		return err
	}
	current, err := readUint(filepath.Join(mountPoint, slice), "cpu.weight")
	want := together(true, pods)
	if err != nil || current == want {
		return err
	}
	return setSlice(slice, &cgroups.Resources{SkipDevices: true, CpuWeight: want})
}

const (
	// lockTimeout is longer than the library waits for all that systemd is asked to do
	// at a time: 30 s for each unit that is stopped or started.
	lockTimeout = 3 * time.Minute
	lockPoll    = 5 * time.Millisecond
)

// exclusively does something while no other podrun starts or stops slices: an
// empty slice cannot be stopped without stopping what is put into it meanwhile.
// The lock is on the directory of all cgroups, which all podruns share, and is
// gone with the process.
func exclusively(do func() error) error {
	dir, err := os.Open(mountPoint)
	if err != nil {
		return fmt.Errorf("lock cgroups: %w", err)
	}
	defer dir.Close()
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(lockPoll) {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return do()
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			return fmt.Errorf("lock cgroups: %w", err)
		}
	}
}

// exists says whether there is a cgroup.
func exists(cgroup string) bool {
	_, err := os.Stat(filepath.Join(mountPoint, cgroup))
	return err == nil
}

// holdsCgroups says whether there are cgroups below one.
func holdsCgroups(cgroup string) bool {
	entries, err := os.ReadDir(filepath.Join(mountPoint, cgroup))
	for _, e := range entries {
		if e.IsDir() {
			return true
		}
	}
	return err != nil
}

// startSlice has systemd make a slice with a weight, if there is none yet.
func startSlice(slice string, limits Limits) error {
	weight := dbus.Property{Name: "CPUWeight", Value: godbus.MakeVariant(weight(limits.CPUShares))}
	m, err := manager(slice, weight)
	if err == nil {
		err = m.Apply(-1)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", path.Base(slice), err)
	}
	return nil
}

// setSlice gives limits to a slice that there is.
func setSlice(slice string, resources *cgroups.Resources) error {
	m, err := manager(slice)
	if err == nil {
		err = m.Set(resources)
	}
	if err != nil {
		return fmt.Errorf("set limits of %s: %w", path.Base(slice), err)
	}
	return nil
}

// stopSlice ends a slice; what is below it would end with it.
func stopSlice(slice string) error {
	m, err := manager(slice)
	if err == nil {
		err = m.Destroy()
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", path.Base(slice), err)
	}
	return nil
}

// manager is the library's way to a slice, by its path: the one of a kubelet.
func manager(slice string, properties ...dbus.Property) (*sd.UnifiedManager, error) {
	parent := path.Base(path.Dir(slice))
	if parent == "/" {
		parent = "-.slice"
	}
	return sd.NewUnifiedManager(&cgroups.Cgroup{
		Name:         path.Base(slice),
		Parent:       parent,
		Systemd:      true,
		Resources:    &cgroups.Resources{SkipDevices: true},
		SystemdProps: properties,
	}, filepath.Join(mountPoint, slice))
}

// resources are the limits as the library has them.
func (l Limits) resources() *cgroups.Resources {
	r := &cgroups.Resources{SkipDevices: true, CpuQuota: l.CPUQuota, Memory: l.Memory}
	if l.CPUShares != 0 {
		r.CpuWeight = weight(l.CPUShares)
	}
	if l.CPUQuota != 0 {
		r.CpuPeriod = oci.CPUPeriod
	}
	for _, pages := range l.HugePages {
		r.HugetlbLimit = append(r.HugetlbLimit, &cgroups.HugepageLimit{Pagesize: string(pages.Size), Limit: uint64(pages.Bytes)})
	}
	return r
}
