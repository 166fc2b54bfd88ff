package stack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"podrun/bundle"
)

// packed returns an archive with one small file, and its digest.
func packed(t *testing.T) (archive, digest string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(file, []byte("a tool"), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := bundle.Pack(&b, []string{file}); err != nil {
		t.Fatal(err)
	}
	return b.String(), fmt.Sprintf("%x", sha256.Sum256(b.Bytes()))
}

// staged fails the test unless the packed file, and nothing but it, is staged below root.
func staged(t *testing.T, root, digest string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(stagedDir(root, digest), "tool"))
	if err != nil || string(got) != "a tool" {
		t.Errorf("staged %q, %v", got, err)
	}
	entries, err := filepath.Glob(filepath.Join(root, "bundle", "*"))
	if want := 2; err != nil || len(entries) != want { // the directory and the lock
		t.Errorf("%v, %v; want %d entries", entries, err, want)
	}
}

func TestStage(t *testing.T) {
	t.Parallel()
	archive, digest := packed(t)
	root := filepath.Join(t.TempDir(), "new", "root")
	if err := stage(t.Context(), root, archive, digest); err != nil {
		t.Fatal(err)
	}
	staged(t, root, digest)
	for _, dir := range []string{root, filepath.Join(root, "bundle"), stagedDir(root, digest)} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; want mode 0700", dir, info.Mode(), err)
		}
	}
	// Again, with nothing to unpack from: what is there is used.
	if err := stage(t.Context(), root, "no archive", digest); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestStageFromManySides(t *testing.T) {
	t.Parallel()
	archive, digest := packed(t)
	root := filepath.Join(t.TempDir(), "root")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := stage(t.Context(), root, archive, digest); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	staged(t, root, digest)
}

// A podrun that was killed while it unpacked leaves a directory behind, which must neither be
// taken for the bundle nor stay.
func TestStageAfterInterruption(t *testing.T) {
	t.Parallel()
	archive, digest := packed(t)
	root := filepath.Join(t.TempDir(), "root")
	left := stagedDir(root, digest) + ".tmp"
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "tool"), []byte("half a t"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := stage(t.Context(), root, archive, digest); err != nil {
		t.Fatal(err)
	}
	staged(t, root, digest)
}

func TestStageDamaged(t *testing.T) {
	t.Parallel()
	archive, digest := packed(t)
	root := filepath.Join(t.TempDir(), "root")
	if err := stage(t.Context(), root, archive+"x", digest); err == nil {
		t.Error("a damaged archive was staged")
	}
	if entries, err := filepath.Glob(stagedDir(root, digest) + "*"); err != nil || len(entries) != 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestStageRefusesDirectoriesOfOthers(t *testing.T) {
	t.Parallel()
	needRoot(t)
	archive, digest := packed(t)
	spoil := map[string]func(dir string) error{
		"may write": func(dir string) error { return os.Chmod(dir, 0o770) },
		"belongs":   func(dir string) error { return os.Chown(dir, 1000, 0) },
	}
	for want, spoil := range spoil {
		for _, sub := range []string{".", "bundle", "bundle/" + digest[:16]} {
			t.Run(want+" "+sub, func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				if err := os.MkdirAll(filepath.Join(root, sub), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := spoil(filepath.Join(root, sub)); err != nil {
					t.Fatal(err)
				}
				err := stage(t.Context(), root, archive, digest)
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v; want an error with %q", err, want)
				}
			})
		}
	}
}

func TestLockIsExclusiveAndWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := acquire(ended, path); err == nil {
		t.Fatal("a held lock was taken")
	}
	got := make(chan *lock)
	go func() {
		second, err := acquire(t.Context(), path)
		if err != nil {
			t.Error(err)
		}
		got <- second
	}()
	// Whoever waits must not end up with the lock of a file that is no longer there.
	if err := first.remove(); err != nil {
		t.Fatal(err)
	}
	first.release()
	second := <-got
	defer second.release()
	if !isAt(second.file, path) {
		t.Error("the lock is on a removed file")
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root")
	}
}
