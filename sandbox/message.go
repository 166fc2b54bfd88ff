package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// maxMessage bounds what is read of a termination message, in bytes, as a
// kubelet does it.
const maxMessage = 4096

// MakeMessage makes the file that an instance of a container leaves its
// termination message in, empty and for everybody to write, and returns how it
// is mounted: not at all over a mount of the container's own.
func (s *Store) MakeMessage(uid string, c *v1.Container, attempt int) ([]oci.Mount, error) {
	own := func(m v1.VolumeMount) bool {
		return path.Join("/", m.MountPath) == path.Join("/", c.TerminationMessagePath)
	}
	if c.TerminationMessagePath == "" || slices.ContainsFunc(c.VolumeMounts, own) {
		return nil, nil
	}
	name := s.messageFile(uid, c.Name, attempt)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("make termination message: %w", err)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err == nil {
		err = errors.Join(file.Chmod(0o666), file.Close()) // whatever the umask is
	}
	if err != nil {
		return nil, fmt.Errorf("make termination message: %w", err)
	}
	return []oci.Mount{{Source: name, Destination: c.TerminationMessagePath, Relabel: true}}, nil
}

// ReadMessage returns the end of the termination message that an instance left,
// which is empty if it left none.
func (s *Store) ReadMessage(uid, container string, attempt int) (string, error) {
	file, err := os.OpenFile(s.messageFile(uid, container, attempt), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read termination message: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("read termination message: %w", err)
	}
	text, err := io.ReadAll(io.NewSectionReader(file, max(info.Size()-maxMessage, 0), maxMessage))
	if err != nil {
		return "", fmt.Errorf("read termination message: %w", err)
	}
	return string(text), nil
}

// RemoveMessage removes the termination message of an instance; none is done.
func (s *Store) RemoveMessage(uid, container string, attempt int) error {
	if err := os.Remove(s.messageFile(uid, container, attempt)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove termination message: %w", err)
	}
	return nil
}

func (s *Store) messageFile(uid, container string, attempt int) string {
	return filepath.Join(s.RootDir(uid), "messages", container, strconv.Itoa(attempt))
}
