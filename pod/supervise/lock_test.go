package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pod")
	owned := func(want bool) {
		t.Helper()
		if got, err := Owned(dir); err != nil || got != want {
			t.Errorf("owned: %v, %v, want %v", got, err, want)
		}
	}
	owned(false)
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("looking made the directory")
	}
	lock, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	owned(true)
	if _, err := Acquire(dir); !errors.Is(err, ErrOwned) {
		t.Errorf("acquired twice: %v", err)
	}
	// To look must neither take the lock nor give it up.
	owned(true)
	lock.Release()
	owned(false)
	again, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

// A pod's directory goes while somebody is about to lock it: that is no error.
func TestLockOfRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pods", "pod")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.RemoveAll(dir)
			}
		}
	}()
	for range 5000 {
		lock, err := Acquire(dir)
		if err != nil {
			t.Error(err)
			break
		}
		lock.Release()
	}
	close(stop)
	<-stopped
}
