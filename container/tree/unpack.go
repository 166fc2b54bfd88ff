package tree

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Rights say what becomes of the owners and modes of an archive. Owners are
// never taken from it.
type Rights struct {
	UID, GID int // of all that is made
	// SetID keeps the bits set-user-ID and set-group-ID.
	SetID bool
}

// Unpack makes the files of a tar archive in a directory. What has the same
// name is replaced, but a directory only by a directory, whose files then stay;
// the files that something is mounted on are written to. passed is told what
// is passed over.
func Unpack(ctx context.Context, r io.Reader, to Place, rights Rights, passed func(path, what string)) error {
	dir, err := to.node(true)
	if err != nil {
		return err
	}
	if err := dir.wantDirectory(); err != nil {
		return err
	}
	defer dir.close()
	return unpack(ctx, r, dir, rights, passed)
}

func unpack(ctx context.Context, r io.Reader, dir *node, rights Rights, passed func(path, what string)) error {
	u := unpacker{dir: dir, rights: rights}
	archive := tar.NewReader(interruptible{ctx, r})
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		name, err := localName(header.Name)
		if err != nil {
			return err
		}
		known, err := u.make(name, header, archive)
		if err != nil {
			return err
		}
		if !known {
			passed(name, "of an archive, neither file nor directory nor link")
		}
	}
}

// localName is a name of an archive as a path below a directory; "." is that
// directory itself.
func localName(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || strings.ContainsRune(part, 0) {
			return "", fmt.Errorf("read archive: %q leads out of it", name)
		}
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}

type unpacker struct {
	dir    *node
	rights Rights
}

func (u *unpacker) make(name string, header *tar.Header, content io.Reader) (known bool, err error) {
	if name == "" {
		return true, nil // the directory itself
	}
	parent, err := u.directory(path.Dir(name))
	if err != nil {
		return true, err
	}
	defer parent.close()
	base := path.Base(name)
	switch header.Typeflag {
	case tar.TypeDir:
		return true, u.makeDirectory(parent, base, u.mode(header))
	case tar.TypeReg, tar.TypeGNUSparse:
		return true, u.makeFile(parent, base, header, content)
	case tar.TypeSymlink:
		return true, u.makeSymlink(parent, base, header.Linkname)
	case tar.TypeLink:
		return true, u.makeLink(parent, base, header.Linkname)
	case tar.TypeXGlobalHeader:
		return true, nil
	}
	return false, nil
}

// beneath is how a name is looked up: without following any symbolic link.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// lookup opens what a name of the archive stands for now.
func (u *unpacker) lookup(name string) (*node, error) {
	for again := 0; ; again++ {
		fd, err := unix.Openat2(u.dir.fd(), name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: beneath})
		if (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)) && again < maxAgain {
			continue
		}
		if errors.Is(err, unix.ELOOP) {
			return nil, fmt.Errorf("write to %s: a symbolic link is on the way", path.Join(u.dir.path, name))
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path.Join(u.dir.path, name), Err: err}
		}
		return newNode(fd, path.Join(u.dir.path, name))
	}
}

// directory opens a directory of the archive, and makes it, with those above
// it, if it is not there.
func (u *unpacker) directory(name string) (*node, error) {
	n, err := u.lookup(name)
	if errors.Is(err, fs.ErrNotExist) {
		parent, err := u.directory(path.Dir(name))
		if err != nil {
			return nil, err
		}
		defer parent.close()
		if err := u.makeDirectory(parent, path.Base(name), 0o755); err != nil {
			return nil, err
		}
		n, err = u.lookup(name)
		if err != nil {
			return nil, err
		}
		return n, n.wantDirectory()
	}
	if err != nil {
		return nil, err
	}
	return n, n.wantDirectory()
}

// makeDirectory makes a directory; one that is there is left as it is.
func (u *unpacker) makeDirectory(parent *node, name string, mode uint32) error {
	err := unix.Mkdirat(parent.fd(), name, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return &fs.PathError{Op: "make directory", Path: path.Join(parent.path, name), Err: err}
	}
	n, err := parent.child(name)
	if err != nil {
		return err
	}
	defer n.close()
	if n.kind() != unix.S_IFDIR {
		return fmt.Errorf("make directory %s: %w, and is none", n.path, fs.ErrExist)
	}
	if !made {
		return nil
	}
	dir, err := n.open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	return u.give(dir, mode)
}

// makeFile writes a file beside the one that it then takes the place of.
func (u *unpacker) makeFile(parent *node, name string, header *tar.Header, content io.Reader) error {
	inPlace, err := u.replaceable(parent, name)
	if err != nil {
		return err
	}
	if inPlace != nil {
		defer inPlace.close()
		return overwrite(inPlace, content)
	}
	temporary := temporaryName()
	fd, err := unix.Openat(parent.fd(), temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "make file", Path: path.Join(parent.path, name), Err: err}
	}
	file := os.NewFile(uintptr(fd), path.Join(parent.path, name))
	_, err = io.Copy(file, content)
	if err == nil {
		err = u.give(file, u.mode(header))
	}
	if err == nil {
		times := []unix.Timespec{timespec(time.Now()), timespec(header.ModTime)}
		err = unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), times, 0)
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		return rename(parent, temporary, name)
	}
	_ = unix.Unlinkat(parent.fd(), temporary, 0)
	return err
}

func timespec(t time.Time) unix.Timespec {
	// Out of range only for times that no file system keeps.
	spec, err := unix.TimeToTimespec(t)
	if err != nil {
		return unix.Timespec{}
	}
	return spec
}

// replaceable says whether a name may be taken by something that is no
// directory. A file that something is mounted on is returned: it can only be
// written to, since a rename would take the mount away from its namespace.
func (u *unpacker) replaceable(parent *node, name string) (inPlace *node, err error) {
	n, err := parent.child(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	mounted, err := n.mounted()
	switch {
	case err != nil:
	case n.kind() == unix.S_IFDIR:
		err = &fs.PathError{Op: "replace", Path: n.path, Err: unix.EISDIR}
	case mounted && n.kind() == unix.S_IFREG:
		return n, nil
	case mounted:
		err = fmt.Errorf("replace %s: something is mounted there, and it is %s", n.path, n.describe())
	}
	n.close()
	return nil, err
}

func overwrite(n *node, content io.Reader) error {
	file, err := n.open(unix.O_WRONLY | unix.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

func (u *unpacker) makeSymlink(parent *node, name, target string) error {
	return u.makeName(parent, name, func(temporary string) error {
		if err := unix.Symlinkat(target, parent.fd(), temporary); err != nil {
			return err
		}
		return unix.Fchownat(parent.fd(), temporary, u.rights.UID, u.rights.GID, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// makeLink makes another name for a file of the archive.
func (u *unpacker) makeLink(parent *node, name, target string) error {
	target, err := localName(target)
	if err != nil {
		return err
	}
	n, err := u.lookup(target)
	if err != nil {
		return err
	}
	defer n.close()
	if n.kind() != unix.S_IFREG {
		return fmt.Errorf("link %s: not a regular file", n.path)
	}
	return u.makeName(parent, name, func(temporary string) error {
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", n.fd()), parent.fd(), temporary, unix.AT_SYMLINK_FOLLOW)
	})
}

// makeName gives a name to what is made under another.
func (u *unpacker) makeName(parent *node, name string, do func(temporary string) error) error {
	inPlace, err := u.replaceable(parent, name)
	if err != nil {
		return err
	}
	if inPlace != nil {
		defer inPlace.close()
		return fmt.Errorf("replace %s: %w: something is mounted there", inPlace.path, unix.EBUSY)
	}
	temporary := temporaryName()
	if err := do(temporary); err != nil {
		_ = unix.Unlinkat(parent.fd(), temporary, 0)
		return &fs.PathError{Op: "make link", Path: path.Join(parent.path, name), Err: err}
	}
	return rename(parent, temporary, name)
}

func temporaryName() string { return ".podrun-" + rand.Text() }

// rename gives a finished file its name, or removes it.
func rename(dir *node, temporary, name string) error {
	if err := unix.Renameat(dir.fd(), temporary, dir.fd(), name); err != nil {
		_ = unix.Unlinkat(dir.fd(), temporary, 0)
		return &fs.PathError{Op: "replace", Path: path.Join(dir.path, name), Err: err}
	}
	// Two names of one file: rename leaves both.
	_ = unix.Unlinkat(dir.fd(), temporary, 0)
	return nil
}

func (u *unpacker) mode(header *tar.Header) uint32 {
	mode := uint32(header.Mode) & 0o7777
	if !u.rights.SetID {
		mode &^= unix.S_ISUID | unix.S_ISGID
	}
	return mode
}

// give gives a new file or directory to its owner. The mode comes last: a change
// of owner takes bits away.
func (u *unpacker) give(file *os.File, mode uint32) error {
	if err := file.Chown(u.rights.UID, u.rights.GID); err != nil {
		return err
	}
	if err := unix.Fchmod(int(file.Fd()), mode); err != nil {
		return &fs.PathError{Op: "chmod", Path: file.Name(), Err: err}
	}
	return nil
}
