package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Change is what Put did with an object.
type Change string

// The changes that Put makes.
const (
	Created    Change = "created"
	Configured Change = "configured"
	Unchanged  Change = "unchanged"
)

// Store keeps objects below one directory.
type Store struct{ dir string }

// New makes a Store that keeps its objects below <root>/objects. It touches
// nothing.
func New(root string) *Store { return &Store{dir: filepath.Join(root, "objects")} }

// unfinished begins the names of files that are being written. No object is
// called like that.
const unfinished = ".new-"

// Put keeps an object, in place of the one of its kind and name. It is on the
// disk when Put returns; what is there already is not written again.
func (s *Store) Put(object Object) (Change, error) {
	ref, change := RefOf(object), Configured
	switch old, err := s.Get(ref); {
	case errdefs.IsNotFound(err):
		change = Created
	case err != nil:
		return "", err
	case Equal(old, object):
		return Unchanged, nil
	}
	path, err := s.file(ref)
	if err == nil {
		err = write(path, object)
	}
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", ref, err)
	}
	return change, nil
}

// Get reads an object; errdefs.ErrNotFound when there is none.
func (s *Store) Get(ref Ref) (Object, error) {
	path, err := s.file(ref)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", ref, errdefs.ErrNotFound)
	}
	object := ref.Kind.empty()
	if err == nil {
		err = json.Unmarshal(data, object)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return object, nil
}

// List names all objects of a kind, by namespace and name.
func (s *Store) List(kind Kind) ([]Ref, error) {
	var refs []Ref
	err := s.each(kind, func(namespace string, file fs.DirEntry) error {
		if !strings.HasPrefix(file.Name(), unfinished) {
			refs = append(refs, Ref{Kind: kind, Namespace: namespace, Name: file.Name()})
		}
		return nil
	})
	return refs, err
}

// Delete forgets an object; none is no error.
func (s *Store) Delete(ref Ref) error {
	path, err := s.file(ref)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget %s: %w", ref, err)
	}
	s.tidy(filepath.Dir(path))
	return nil
}

// Leftovers returns the files that were being written when their writer was
// killed, as long as nobody is writing.
func (s *Store) Leftovers() ([]string, error) {
	var files []string
	for _, kind := range Kinds {
		err := s.each(kind, func(namespace string, file fs.DirEntry) error {
			if strings.HasPrefix(file.Name(), unfinished) {
				files = append(files, filepath.Join(s.dir, kind.dir(), namespace, file.Name()))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Sweep removes what Leftovers returned.
func (s *Store) Sweep(files []string) error {
	var errs []error
	for _, file := range files {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove what is left of an object: %w", err))
		}
		s.tidy(filepath.Dir(file))
	}
	return errors.Join(errs...)
}

func (s *Store) file(ref Ref) (string, error) {
	path, err := ref.path()
	return filepath.Join(s.dir, path), err
}

// each visits the files of a kind, by namespace and name.
func (s *Store) each(kind Kind, visit func(namespace string, file fs.DirEntry) error) error {
	namespaces, err := entries(filepath.Join(s.dir, kind.dir()))
	if err != nil {
		return err
	}
	for _, namespace := range namespaces {
		files, err := entries(filepath.Join(s.dir, kind.dir(), namespace.Name()))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := visit(namespace.Name(), file); err != nil {
				return err
			}
		}
	}
	return nil
}

func entries(dir string) ([]fs.DirEntry, error) {
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	return found, nil
}

// tidy removes directories that have become empty. One that is not stays.
func (s *Store) tidy(namespace string) {
	for _, dir := range []string{namespace, filepath.Dir(namespace), s.dir} {
		_ = unix.Rmdir(dir)
	}
}

// write replaces a file as a whole, and returns when it is on the disk.
func write(path string, object Object) error {
	data, err := json.Marshal(whole(object))
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, unfinished) // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // not there any more when all went well
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir brings the names in a directory to the disk.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
