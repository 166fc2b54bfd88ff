package files

import (
	"bytes"
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

// hostShm is where shared memory is, on the host as in a container.
const hostShm = "/dev/shm"

// shmOptions are those of containerd's CRI service: 64 MiB, for everybody.
const shmOptions = "mode=1777,size=67108864"

// Spec says whose files they are and where they go.
type Spec struct {
	Dir      string  // of hosts, hostname and resolv.conf; the package's own
	ShmDir   string  // mount point of the shared memory; the package's own
	Pod      *v1.Pod // its names, DNS and namespaces
	NodeName string  // the machine's host name
}

// Mount is a file or directory that each container of the pod gets.
type Mount struct {
	Source      string // on the host
	Destination string // in the container
	ReadOnly    bool
	Options     []string // more mount options
	WithRoot    bool     // read-only when the container's root filesystem is
	Own         bool     // the pod's alone
}

// Mounts lists what each container of the pod gets. A container that mounts a
// volume at one of the destinations goes without it; that is up to the caller.
func Mounts(spec Spec) []Mount {
	shm := spec.ShmDir
	if spec.Pod.Spec.HostIPC {
		shm = hostShm
	}
	return []Mount{
		{Source: filepath.Join(spec.Dir, hostsName), Destination: "/etc/hosts", Own: true},
		{Source: filepath.Join(spec.Dir, hostnameName), Destination: "/etc/hostname", WithRoot: true, Own: true},
		{Source: filepath.Join(spec.Dir, resolvConfName), Destination: "/etc/resolv.conf", WithRoot: true, Own: true},
		{Source: shm, Destination: hostShm, Options: []string{"nosuid", "nodev", "noexec"}, Own: shm != hostShm},
	}
}

// Write makes all files and mounts the shared memory, unless that is the host's.
// The hosts file has no addresses of the pod until WriteHosts. Write is
// idempotent. omitted is what is too much for resolv.conf.
func Write(spec Spec) (omitted []string, err error) {
	hostname, err := Hostname(spec.Pod, spec.NodeName)
	if err != nil {
		return nil, err
	}
	host, err := hostResolvConf(spec.Pod.Spec.HostNetwork)
	if err != nil {
		return nil, err
	}
	resolvConf, omitted := ResolvConf(spec.Pod, host)
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return nil, err
	}
	err = errors.Join(
		writeInPlace(filepath.Join(spec.Dir, hostnameName), []byte(hostname+"\n")),
		writeInPlace(filepath.Join(spec.Dir, resolvConfName), resolvConf),
		WriteHosts(spec, nil),
	)
	if err == nil && !spec.Pod.Spec.HostIPC {
		err = mountShm(spec.ShmDir)
	}
	return omitted, err
}

// WriteHosts writes the hosts file with the pod's addresses, in place, so that
// containers see it that have it mounted already. One that is as it should be is
// not touched.
func WriteHosts(spec Spec, ips []string) error {
	var nodeHosts []byte
	var err error
	if spec.Pod.Spec.HostNetwork {
		if nodeHosts, err = os.ReadFile("/etc/hosts"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	hosts, err := Hosts(spec.Pod, ips, nodeHosts)
	if err != nil {
		return err
	}
	path := filepath.Join(spec.Dir, hostsName)
	if present, err := os.ReadFile(path); err == nil && bytes.Equal(present, hosts) {
		return nil
	}
	return writeInPlace(path, hosts)
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
