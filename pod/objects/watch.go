package objects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Watch tells when the objects of a namespace may have changed, until ctx is
// done. What is received is a hint: changes in quick succession share one, and
// when the kernel has no means left to tell there is none. So the caller looks
// by itself now and then. The root directory exists.
func (s *Store) Watch(ctx context.Context, namespace string) (<-chan struct{}, error) {
	changed := make(chan struct{}, 1)
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return changed, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch objects: %w", err)
	}
	inotify := os.NewFile(uintptr(fd), "inotify")
	if err := s.watch(fd, namespace); err != nil {
		inotify.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { inotify.Close() })
	go func() {
		defer stop()
		defer inotify.Close()
		events := make([]byte, 4096)
		for {
			if _, err := inotify.Read(events); err != nil {
				return
			}
			if raw, err := inotify.SyscallConn(); err == nil {
				// A directory that came anew is not watched yet. A fault shows at the caller's next look.
				_ = raw.Control(func(fd uintptr) { _ = s.watch(int(fd), namespace) })
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed, nil
}

// watch watches the directories of a namespace that there are, the upper ones
// first: what is made below them meanwhile is either found or told.
func (s *Store) watch(fd int, namespace string) error {
	dirs := []string{filepath.Dir(s.dir), s.dir}
	for _, kind := range Kinds {
		dirs = append(dirs, filepath.Join(s.dir, kind.dir()), filepath.Join(s.dir, kind.dir(), namespace))
	}
	for _, dir := range dirs {
		_, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_ONLYDIR)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOSPC) {
			return fmt.Errorf("watch objects: %w", err)
		}
	}
	return nil
}
