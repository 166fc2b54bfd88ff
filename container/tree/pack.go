package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Pack writes what is at a place to w as a tar archive, below its own name. A
// symbolic link is packed as such, unless the path ends with a slash. passed is
// told what is passed over.
func Pack(ctx context.Context, w io.Writer, from Place, passed func(path, what string)) error {
	n, err := from.node(false)
	if err != nil {
		return err
	}
	defer n.close()
	return pack(ctx, w, n, from.base(), passed)
}

// pack packs a node under a name, and closes the archive.
func pack(ctx context.Context, w io.Writer, n *node, name string, passed func(path, what string)) error {
	switch n.kind() {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
	default:
		return fmt.Errorf("read %s: it is %s", n.path, n.describe())
	}
	p := &packer{ctx: ctx, archive: tar.NewWriter(w), passed: passed}
	if err := p.add(n, name); err != nil {
		return err
	}
	return p.archive.Close()
}

type packer struct {
	ctx     context.Context // of one call
	archive *tar.Writer
	passed  func(path, what string)
}

// maxName bounds the names of an archive, and with them how deep a tree may be.
const maxName = 4000

func (p *packer) add(n *node, name string) error {
	if err := p.ctx.Err(); err != nil {
		return context.Cause(p.ctx)
	}
	if len(name) > maxName {
		return &fs.PathError{Op: "read", Path: n.path, Err: unix.ENAMETOOLONG}
	}
	header := &tar.Header{
		Name:    name,
		Mode:    int64(n.stat.Mode & 0o7777),
		Uid:     int(n.stat.Uid),
		Gid:     int(n.stat.Gid),
		ModTime: time.Unix(n.stat.Mtim.Unix()),
		Format:  tar.FormatPAX, // for parts of a second
	}
	switch n.kind() {
	case unix.S_IFREG:
		header.Typeflag, header.Size = tar.TypeReg, n.stat.Size
		return p.addFile(n, header)
	case unix.S_IFDIR:
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
		return p.addDirectory(n, header, name)
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		length, err := unix.Readlinkat(n.fd(), "", target)
		if err != nil {
			return &fs.PathError{Op: "read", Path: n.path, Err: err}
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, string(target[:length])
		return p.archive.WriteHeader(header)
	}
	p.passed(n.path, n.describe())
	return nil
}

// addFile packs as many bytes as the file had when it was looked at: one that
// became shorter is an error.
func (p *packer) addFile(n *node, header *tar.Header) error {
	file, err := n.open(unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := p.archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.CopyN(p.archive, interruptible{p.ctx, file}, header.Size)
	if errors.Is(err, io.EOF) {
		err = &fs.PathError{Op: "read", Path: n.path, Err: errors.New("it became shorter meanwhile")}
	}
	return err
}

// names is how many names of a directory are read at a time.
const names = 256

func (p *packer) addDirectory(n *node, header *tar.Header, name string) error {
	if err := p.archive.WriteHeader(header); err != nil {
		return err
	}
	dir, err := n.open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		batch, err := dir.Readdirnames(names)
		for _, child := range batch {
			if err := p.addChild(n, child, path.Join(name, child)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *packer) addChild(dir *node, child, name string) error {
	n, err := dir.child(child)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	defer n.close()
	if n.kind() == unix.S_IFDIR && n.ofKernel() {
		p.passed(n.path, "of the kernel")
		return nil
	}
	return p.add(n, name)
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx    context.Context
	reader io.Reader
}

func (r interruptible) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.reader.Read(b)
}
