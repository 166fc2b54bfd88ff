package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pollWatched bounds how late a change is noticed should its event get lost.
	pollWatched = 10 * time.Second
	// pollUnwatched is the interval when the kernel has no inotify instance
	// left for this user.
	pollUnwatched = 100 * time.Millisecond
)

// A watcher tells when files may have grown, or were renamed.
type watcher struct {
	// grown receives a value after a change. Changes in quick succession share one.
	grown chan struct{}
	// poll is how often to look without being told.
	poll time.Duration

	inotify *os.File // nil when there is none
	done    chan struct{}
}

// watch begins to watch files. A file that is not there is left out.
func watch(paths ...string) (*watcher, error) {
	w := &watcher{}
	return w, w.begin(paths...)
}

// begin is watch for a watcher that only says how often to look.
func (w *watcher) begin(paths ...string) error {
	w.grown, w.poll, w.done = make(chan struct{}, 1), pollWatched, make(chan struct{})
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		w.poll = pollUnwatched
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch log: %w", err)
	}
	w.inotify = os.NewFile(uintptr(fd), "inotify")
	go w.receive()
	for _, path := range paths {
		_, err := unix.InotifyAddWatch(fd, path, unix.IN_MODIFY|unix.IN_MOVE_SELF)
		if errors.Is(err, unix.ENOSPC) { // no watch left for this user
			w.poll = pollUnwatched
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.Close()
			return fmt.Errorf("watch %s: %w", path, err)
		}
	}
	return nil
}

// receive turns events into wake-ups until the watcher is closed. What an
// event says does not matter: whoever is woken looks at all files.
func (w *watcher) receive() {
	defer close(w.done)
	events := make([]byte, 4096)
	for {
		if _, err := w.inotify.Read(events); err != nil {
			return
		}
		select {
		case w.grown <- struct{}{}:
		default:
		}
	}
}

// Close ends watching.
func (w *watcher) Close() {
	if w.inotify != nil {
		w.inotify.Close()
		<-w.done
	}
}
