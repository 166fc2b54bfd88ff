package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is a directory that no path leads out of.
type Root struct{ dir *os.File }

// Open opens a directory as a root, such as /proc/<pid>/root.
func Open(dir string) (*Root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &Root{os.NewFile(uintptr(fd), dir)}, nil
}

// Close gives the root up.
func (r *Root) Close() error { return r.dir.Close() }

// Place is a path below a root. It begins there, with a slash or without.
type Place struct {
	Root *Root
	Path string
}

// maxAgain bounds how often a path is resolved again because something on its
// way was moved meanwhile.
const maxAgain = 1000

// node opens what the path means, without any access to it. A symbolic link at
// its end is followed if it ends with a slash, or follow says so.
func (p Place) node(follow bool) (*node, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if !follow {
		how.Flags |= unix.O_NOFOLLOW
	}
	name := strings.TrimLeft(p.Path, "/")
	if name == "" {
		name = "."
	}
	for again := 0; ; again++ {
		fd, err := unix.Openat2(int(p.Root.dir.Fd()), name, &how)
		if (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)) && again < maxAgain {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: p.Path, Err: err}
		}
		return newNode(fd, p.Path)
	}
}

// parent opens the directory that the path's last part is in.
func (p Place) parent() (*node, error) {
	clean := path.Clean("/" + p.Path)
	dir, err := Place{p.Root, path.Dir(clean)}.node(true)
	if err != nil {
		return nil, err
	}
	return dir, dir.wantDirectory()
}

// base is the last part of the path, "." when there is none.
func (p Place) base() string {
	if base := path.Base(path.Clean("/" + p.Path)); base != "/" {
		return base
	}
	return "."
}

// node is something in a file system, held open without access to it.
type node struct {
	file *os.File // O_PATH
	path string   // for people
	stat unix.Stat_t
}

// newNode takes a descriptor over, also when it fails.
func newNode(fd int, path string) (*node, error) {
	n := &node{file: os.NewFile(uintptr(fd), path), path: path}
	if err := unix.Fstat(fd, &n.stat); err != nil {
		n.file.Close()
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return n, nil
}

func (n *node) fd() int { return int(n.file.Fd()) }

func (n *node) close() { n.file.Close() }

func (n *node) kind() uint32 { return n.stat.Mode & unix.S_IFMT }

// child opens what has a name in a directory; a symbolic link is not followed.
func (n *node) child(name string) (*node, error) {
	fd, err := unix.Openat(n.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path.Join(n.path, name), Err: err}
	}
	return newNode(fd, path.Join(n.path, name))
}

// open opens the very node for reading or writing, not what may have its name
// by now. It never blocks.
func (n *node) open(flags int) (*os.File, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", n.fd()), flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: n.path, Err: err}
	}
	return os.NewFile(uintptr(fd), n.path), nil
}

func (n *node) wantDirectory() error {
	if n.kind() == unix.S_IFDIR {
		return nil
	}
	defer n.close()
	return &fs.PathError{Op: "open", Path: n.path, Err: unix.ENOTDIR}
}

// mounted says whether something is mounted here, in whatever namespace.
func (n *node) mounted() (bool, error) {
	var stat unix.Statx_t
	if err := unix.Statx(n.fd(), "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, 0, &stat); err != nil {
		return false, &fs.PathError{Op: "stat", Path: n.path, Err: err}
	}
	return stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// kernels are the kernel's own file systems: what is in them is no data.
var kernels = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.CGROUP_SUPER_MAGIC: true, unix.CGROUP2_SUPER_MAGIC: true,
	unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true, unix.SECURITYFS_MAGIC: true, unix.BPF_FS_MAGIC: true,
}

func (n *node) ofKernel() bool {
	var stat unix.Statfs_t
	return unix.Fstatfs(n.fd(), &stat) == nil && kernels[int64(stat.Type)]
}

// describe names what is neither file nor directory nor symbolic link.
func (n *node) describe() string {
	switch n.kind() {
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFBLK, unix.S_IFCHR:
		return "a device"
	}
	return "of the kernel"
}
