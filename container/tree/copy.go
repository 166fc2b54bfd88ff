package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Copy copies a file, a directory with all that is in it, or a symbolic link.
// Where to is a directory, the copy goes into it under its own name, or without
// one when from ends with "/."; else it becomes to, whose directory must exist.
// These are docker's rules. After an error part of it may have been copied, but
// no file is there in part.
func Copy(ctx context.Context, from, to Place, rights Rights, passed func(path, what string)) error {
	source, err := from.node(false)
	if err != nil {
		return err
	}
	defer source.close()
	dir, name, err := destination(source, from, to)
	if err != nil {
		return err
	}
	defer dir.close()
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(ctx, writer, source, name, passed)
		writer.CloseWithError(err)
		packed <- err
	}()
	err = unpack(ctx, reader, dir, rights, passed)
	// What follows an archive's end is read too, or the other side waits for ever.
	if err == nil {
		_, err = io.Copy(io.Discard, reader)
	}
	reader.CloseWithError(err)
	if first := <-packed; first != nil && !errors.Is(first, io.ErrClosedPipe) && !errors.Is(err, first) {
		err = errors.Join(err, first)
	}
	return err
}

// destination finds the directory that a copy is made in, and its name there.
func destination(source *node, from, to Place) (*node, string, error) {
	target, err := to.node(true)
	if errors.Is(err, fs.ErrNotExist) {
		if strings.HasSuffix(to.Path, "/") && source.kind() != unix.S_IFDIR {
			return nil, "", err
		}
		dir, err := to.parent()
		return dir, to.base(), err
	}
	if err != nil {
		return nil, "", err
	}
	if target.kind() == unix.S_IFDIR {
		if source.kind() == unix.S_IFDIR && (path.Base(from.Path) == "." || strings.HasSuffix(from.Path, "/.")) {
			return target, ".", nil
		}
		return target, from.base(), nil
	}
	target.close()
	if source.kind() == unix.S_IFDIR || strings.HasSuffix(to.Path, "/") {
		return nil, "", fmt.Errorf("write to %s: %w", to.Path, unix.ENOTDIR)
	}
	dir, err := to.parent()
	return dir, to.base(), err
}
