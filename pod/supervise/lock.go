package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrOwned says that a pod has an owner already.
var ErrOwned = errors.New("the pod has a supervisor")

// Lock is the ownership of a pod. The kernel gives it up with the process.
type Lock struct{ file *os.File }

// lockFile is the file in a pod's directory that its owner has locked.
const lockFile = "lock"

// Acquire makes the caller the owner of the pod whose directory is dir, which
// is made when it is not there. It does not wait: ErrOwned says that somebody
// else is.
func Acquire(dir string) (*Lock, error) {
	var file *os.File
	var err error
	for range attempts {
		// The owner of a pod that is removed takes the directory away last of all.
		if file, err = open(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock pod: %w", err)
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &whole); err != nil {
		file.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, ErrOwned
		}
		return nil, fmt.Errorf("lock pod: %w", err)
	}
	return &Lock{file: file}, nil
}

// attempts bounds how often a directory is made that somebody else removes again.
const attempts = 100

// open opens the file in the directory of a pod that is to be locked.
func open(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
}

// Release gives the pod up.
func (l *Lock) Release() { l.file.Close() }

// Owned says whether the pod whose directory is dir has an owner, without
// disturbing anybody who is about to become it.
func Owned(dir string) (bool, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the lock of a pod: %w", err)
	}
	defer file.Close()
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &whole); err != nil {
		return false, fmt.Errorf("look at the lock of a pod: %w", err)
	}
	return whole.Type != unix.F_UNLCK, nil
}
