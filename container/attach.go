package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"
)

// ErrInputClosed says that a container's standard input is closed.
var ErrInputClosed = errors.New("its standard input is closed")

// inputPath is the FIFO that a container with standard input reads, in the
// pod's run directory. Of instances the newest has it.
func inputPath(dir, name string) string { return filepath.Join(dir, "stdin", name) }

// makeInput makes the FIFO of a new instance.
func makeInput(dir, name string) (string, error) {
	path := inputPath(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make standard input: %w", err)
	}
	// An instance before this one may have it open, in vain.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("make standard input: %w", err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return "", fmt.Errorf("make standard input: %w", err)
	}
	return path, nil
}

// OpenInput opens the standard input of a running container that has one, for
// writing. dir is the pod's run directory. The container's shim has it open as
// well: it does not end before CloseInput, and is ErrInputClosed from then on.
func OpenInput(dir, name string) (io.WriteCloser, error) {
	fd, err := unix.Open(inputPath(dir, name), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOENT) {
		return nil, ErrInputClosed
	}
	if err != nil {
		return nil, fmt.Errorf("open standard input: %w", err)
	}
	return os.NewFile(uintptr(fd), inputPath(dir, name)), nil
}

// CloseInput ends the standard input of a container, when those who have it open
// have closed it.
func (s *Store) CloseInput(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	_, err := s.client.TaskService().CloseIO(ctx, &tasks.CloseIORequest{ContainerID: id, Stdin: true})
	return errgrpc.ToNative(err)
}

// Resize gives the terminal of a container a size.
func (s *Store) Resize(ctx context.Context, id string, size Size) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	_, err := s.client.TaskService().ResizePty(ctx, &tasks.ResizePtyRequest{ContainerID: id, Width: size.Width, Height: size.Height})
	return errgrpc.ToNative(err)
}
