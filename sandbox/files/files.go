package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

const (
	hostsName      = "hosts"
	hostnameName   = "hostname"
	resolvConfName = "resolv.conf"
)

// shmOptions are those of containerd's CRI service: 64 MiB, for everybody.
const shmOptions = "mode=1777,size=67108864"

// Spec says whose files they are and where they go.
type Spec struct {
	Dir      string  // of hosts, hostname and resolv.conf; the package's own
	ShmDir   string  // mount point of the shared memory; the package's own
	Pod      *v1.Pod // hostname, host network, host aliases
	NodeName string  // the machine's host name
}

// Mount is a file or directory that each container of the pod gets.
type Mount struct {
	Source      string // on the host
	Destination string // in the container
	ReadOnly    bool
	Options     []string // more mount options
}

// Mounts lists what each container of the pod gets. A container that mounts a
// volume at one of the destinations goes without it; that is up to the caller.
func Mounts(spec Spec) []Mount {
	return []Mount{
		{Source: filepath.Join(spec.Dir, hostsName), Destination: "/etc/hosts"},
		{Source: filepath.Join(spec.Dir, hostnameName), Destination: "/etc/hostname"},
		{Source: filepath.Join(spec.Dir, resolvConfName), Destination: "/etc/resolv.conf"},
		{Source: spec.ShmDir, Destination: "/dev/shm", Options: []string{"nosuid", "nodev", "noexec"}},
	}
}

// Write makes all files and mounts the shared memory. The hosts file has no
// addresses of the pod until WriteHosts. Write is idempotent.
func Write(spec Spec) error {
	hostname, err := Hostname(spec.Pod, spec.NodeName)
	if err != nil {
		return err
	}
	resolvConf, err := hostResolvConf(spec.Pod.Spec.HostNetwork)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return err
	}
	return errors.Join(
		writeInPlace(filepath.Join(spec.Dir, hostnameName), []byte(hostname+"\n")),
		writeInPlace(filepath.Join(spec.Dir, resolvConfName), ResolvConf(resolvConf)),
		WriteHosts(spec, nil),
		mountShm(spec.ShmDir),
	)
}

// WriteHosts writes the hosts file with the pod's addresses, in place, so that
// containers see it that have it mounted already.
func WriteHosts(spec Spec, ips []string) error {
	hostname, err := Hostname(spec.Pod, spec.NodeName)
	if err != nil {
		return err
	}
	var nodeHosts []byte
	if spec.Pod.Spec.HostNetwork {
		if nodeHosts, err = os.ReadFile("/etc/hosts"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return writeInPlace(filepath.Join(spec.Dir, hostsName), Hosts(spec.Pod, hostname, ips, nodeHosts))
}

// Remove unmounts the shared memory and removes both directories. What is not
// there is done.
func Remove(spec Spec) error {
	if err := unmountShm(spec.ShmDir); err != nil {
		return err
	}
	if err := os.Remove(spec.ShmDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(spec.Dir)
}

// writeInPlace keeps the inode, which containers may have mounted. The contents
// are small and go out in one write; a reader that comes in between sees an empty
// file.
func writeInPlace(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}

func mountShm(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	mounted, err := mountinfo.Mounted(dir)
	if err != nil || mounted {
		return err
	}
	if err := unix.Mount("shm", dir, "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV, shmOptions); err != nil {
		return fmt.Errorf("mount shared memory on %q: %w", dir, err)
	}
	return nil
}

// unmountShm is lazy: all who could use the memory have ended, and a stray
// descriptor must not keep the pod.
func unmountShm(dir string) error {
	err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("unmount %q: %w", dir, err)
}
