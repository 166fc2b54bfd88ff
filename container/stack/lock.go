package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that somebody else holds is tried again.
const lockPoll = 5 * time.Millisecond

// lock is a file that this process holds locked. The kernel lets go of it when the process ends.
type lock struct{ file *os.File }

// acquire makes the file where it is missing, and waits until it is this process's or ctx ends.
func acquire(ctx context.Context, path string) (*lock, error) {
	for {
		l, err := try(path)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// try returns nil without an error when somebody else holds the lock.
func try(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !isAt(f, path) { // the last holder removed it between the open and the lock
		f.Close()
		return nil, nil
	}
	return &lock{f}, nil
}

func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}

func (l *lock) release() { l.file.Close() }

// remove deletes the file while the lock is held, so that nobody loses one that he holds.
func (l *lock) remove() error { return os.Remove(l.file.Name()) }
