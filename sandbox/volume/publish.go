package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The names of a volume that is published as a whole. No file of a volume may
// begin like them.
const (
	current  = "..data"     // the directory with the present contents
	upcoming = "..data_tmp" // before it takes the place of current
)

// publish makes files the contents of a directory, all at once (kubelet:
// AtomicWriter):
//
//  1. write them into a new directory
//  2. point ..data at it
//  3. have a link to ..data/NAME for each first name of a path, and no others
//  4. remove the directory that was there before
//
// Nothing is written when nothing has changed. What an interrupted call left is
// removed. Only root may write into dir. group is given what is written, unless
// it is nil.
func publish(dir string, files map[string]file, group *int64) error {
	for name := range files {
		if !filepath.IsLocal(name) || strings.HasPrefix(name, "..") {
			return fmt.Errorf("file %q: not a path inside of the volume", name)
		}
	}
	before, err := os.Readlink(filepath.Join(dir, current))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now := before
	if before == "" || !holds(filepath.Join(dir, before), files) {
		if now, err = writeFiles(dir, files, group); err != nil {
			return err
		}
		if err := relink(now, filepath.Join(dir, upcoming), filepath.Join(dir, current)); err != nil {
			return err
		}
	}
	return errors.Join(linkFiles(dir, files), tidy(dir, now))
}

// holds says whether a directory has these files and no others.
func holds(dir string, files map[string]file) bool {
	found := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if want, ok := files[name]; err == nil && (!ok || !bytes.Equal(data, want.data)) {
			return fs.ErrInvalid
		}
		found++
		return err
	})
	return err == nil && found == len(files)
}

// writeFiles writes files into a new directory and returns its name.
func writeFiles(dir string, files map[string]file, group *int64) (string, error) {
	fresh, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(fresh, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, files[name].data, 0o600); err != nil {
			return "", err
		}
		if err := os.Chmod(path, permissions(files[name].mode)); err != nil {
			return "", err
		}
	}
	if err := openDirs(fresh); err != nil {
		return "", err
	}
	return filepath.Base(fresh), giveAll(fresh, group)
}

// openDirs lets everybody look for files below dir, whatever the umask is.
func openDirs(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755)
	})
}

// permissions are the mode that a manifest gives, special bits included.
func permissions(mode int32) fs.FileMode {
	perm := fs.FileMode(mode & 0o777)
	for bit, special := range map[int32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			perm |= special
		}
	}
	return perm
}

// giveAll lets a group read all that is below dir (kubelet: SetVolumeOwnership
// of a volume that is read-only).
func giveAll(dir string, group *int64) error {
	if group == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(path, -1, int(*group)); err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode() | 0o440
		if entry.IsDir() {
			mode |= fs.ModeSetgid | 0o110
		}
		return os.Chmod(path, mode)
	})
}

// relink makes a symbolic link in place of the one that is there.
func relink(target, temporary, link string) error {
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, link)
}

// linkFiles makes the links by which files are found, and removes those that
// lead nowhere any more.
func linkFiles(dir string, files map[string]file) error {
	wanted := map[string]bool{}
	for name := range files {
		first, _, _ := strings.Cut(name, "/")
		wanted[first] = true
	}
	for name := range wanted {
		err := os.Symlink(filepath.Join(current, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Type() == fs.ModeSymlink && entry.Name() != current && !wanted[entry.Name()] {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// tidy removes the directories of contents that are not the present ones.
func tidy(dir, now string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), "..") && entry.Name() != now {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
