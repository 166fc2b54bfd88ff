package leakcheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Instance names one podrun by its two directories, absolute and without
// symbolic links.
type Instance struct {
	Root   string // --root
	RunDir string // --run-dir
	// Containerd is the socket of the containerd in use; empty means that of
	// the bundled one.
	Containerd string
}

// Socket returns the path of the socket of the instance's containerd.
func (in Instance) Socket() string {
	if in.Containerd != "" {
		return in.Containerd
	}
	return filepath.Join(in.RunDir, "containerd", "containerd.sock")
}

// List lists what the instance alone owns: all files under its directories and
// the mounts there, the processes that speak of them, and, when its containerd
// runs, what that holds: its objects and its file descriptors. It is not
// disturbed by what other instances do meanwhile.
func (in Instance) List(ctx context.Context) (Listing, error) {
	l := Listing{}
	for _, dir := range []string{in.Root, in.RunDir} {
		if err := addFiles(l, dir); err != nil {
			return nil, err
		}
	}
	if err := in.addMounts(l); err != nil {
		return nil, err
	}
	if err := in.addProcesses(l); err != nil {
		return nil, err
	}
	conn, err := in.dial()
	if err != nil {
		return l, nil // nobody answers: there is no containerd to ask
	}
	defer conn.Close()
	pid, err := peer(conn)
	if err != nil {
		return nil, err
	}
	accepted(conn)
	addDescriptors(l, pid)
	return l, addObjects(ctx, l, in.Socket())
}

func (in Instance) dial() (*net.UnixConn, error) {
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: in.Socket(), Net: "unix"})
}

// accepted waits until the server has accepted a connection, which a gRPC
// server shows by sending its settings. So the connection is in each listing of
// the server's descriptors, rather than in some.
func accepted(conn *net.UnixConn) {
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 1))
}

func (in Instance) addMounts(l Listing) error {
	for _, dir := range []string{in.Root, in.RunDir} {
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
		if err != nil {
			return fmt.Errorf("list mounts of %s: %w", dir, err)
		}
		for _, m := range mounts {
			l.addf("mount %s %s %s", m.Mountpoint, m.FSType, m.Root)
		}
	}
	return nil
}

func (in Instance) addProcesses(l Listing) error {
	all, err := Processes()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Names(in.Root, in.RunDir) {
			p.add(l)
		}
	}
	return nil
}

// PID returns the process that listens on the instance's containerd socket.
// An error means that nobody does.
func (in Instance) PID() (int, error) {
	conn, err := in.dial()
	if err != nil {
		return 0, fmt.Errorf("find containerd: %w", err)
	}
	defer conn.Close()
	return peer(conn)
}

// peer returns the process at the other end of a connection.
func peer(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("find containerd: %w", err)
	}
	var cred *unix.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, sockErr); err != nil {
		return 0, fmt.Errorf("find containerd: %w", err)
	}
	return int(cred.Pid), nil
}

// numbered is the changing part of a descriptor's name, as in socket:[4711].
var numbered = regexp.MustCompile(`:\[\d+\]$`)

// ownLimits are the files in which the Go runtime of a process looks up its own
// processor limits. Which they are depends on the cgroup it was started in.
var ownLimits = regexp.MustCompile(`^/sys/fs/cgroup/.*/cpu\.(max|cfs_period_us|cfs_quota_us)$`)

// addDescriptors lists the open files of containerd: those without a name by
// their kind, the others by their path.
func addDescriptors(l Listing, pid int) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if ownLimits.MatchString(target) {
			continue
		}
		l.addf("fd containerd %s", strings.TrimSuffix(numbered.ReplaceAllString(target, ""), " (deleted)"))
	}
}
