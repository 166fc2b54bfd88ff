package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Files names the log files of one instance of a container. It is a plain
// value: whoever knows the directory and the attempt finds the same files.
type Files struct {
	// Dir is the container's log directory, <pod log directory>/<container>.
	Dir string
	// Attempt counts the container's instances from 0, as its restart count does.
	Attempt int
}

// Create makes the directory, an empty log (mode 0640) and empty spools (mode
// 0600). The shim does not create spools, so this comes before the task.
// It is idempotent: what exists is kept as it is.
func (f Files) Create() error {
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return fmt.Errorf("create log directory: %w", err)
	}
	stdout, stderr := f.Spool()
	for path, mode := range map[string]fs.FileMode{f.Log(): 0o640, stdout: 0o600, stderr: 0o600} {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, mode)
		if err != nil {
			return fmt.Errorf("create log file: %w", err)
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("create log file: %w", err)
		}
	}
	return nil
}

// Log is the path of the log in CRI format.
func (f Files) Log() string { return f.path("log") }

// Spool gives the paths that the shim is told to append the container's
// standard output and standard error to.
func (f Files) Spool() (stdout, stderr string) { return f.path("stdout"), f.path("stderr") }

// Finished reports whether Finish was called (or Create never was): the log
// does not grow any more.
func (f Files) Finished() bool {
	for _, path := range f.spools() {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// Finish removes what only copying needs: the spools and the checkpoint. It
// follows a Copy that returned without error after the container had ended.
// It is idempotent.
func (f Files) Finish() error {
	// The checkpoint goes last: without it, a spool that is left would be
	// copied from its beginning.
	return remove(append(f.spools(), f.path("checkpoint"))...)
}

// Remove removes all files of this instance. It is idempotent and needs no
// free disk space. The directory stays.
func (f Files) Remove() error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove log files: %w", err)
	}
	paths := append(f.spools(), f.path("checkpoint"), f.Log())
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), filepath.Base(f.Log())+".") {
			paths = append(paths, filepath.Join(f.Dir, entry.Name()))
		}
	}
	return remove(paths...)
}

func (f Files) spools() []string {
	stdout, stderr := f.Spool()
	return []string{stdout, stderr}
}

func (f Files) path(extension string) string {
	return filepath.Join(f.Dir, strconv.Itoa(f.Attempt)+"."+extension)
}

func remove(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log file: %w", err)
		}
	}
	return nil
}
