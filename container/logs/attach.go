package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Attached is the output of a container from the moment of Attach on.
type Attached struct {
	files  Files
	watch  *watcher
	spools [streams]*os.File // nil when there is none
	at     [streams]int64
	to     [streams]io.Writer
	buf    []byte
}

// Attach begins to attend to what the container writes. The caller closes what
// it gets.
func (f Files) Attach() (_ *Attached, err error) {
	a := &Attached{files: f, buf: make([]byte, readSize)}
	defer func() {
		if err != nil {
			a.Close()
			err = fmt.Errorf("attach to output: %w", err)
		}
	}()
	if a.watch, err = watch(f.spools()...); err != nil {
		return nil, err
	}
	for i, path := range f.spools() {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // all of it is in the log
		}
		if err != nil {
			return nil, err
		}
		a.spools[i] = file
		if a.at[i], err = file.Seek(0, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Copy writes the output to stdout and stderr, each stream to its own writer,
// byte for byte and as it comes: lines need not be complete. It returns when the
// container has ended and its last output was written, or ctx is done, which
// gives ctx's error; ended is as with Read. What a writer is too slow for is
// left out, since spools do not keep it.
//
// Errors of the writers are returned as they are wrapped.
func (a *Attached) Copy(ctx context.Context, stdout, stderr io.Writer, ended <-chan struct{}) error {
	a.to = [streams]io.Writer{stdout, stderr}
	if err := a.follow(ctx, ended); err != nil {
		return fmt.Errorf("attach to output: %w", err)
	}
	return nil
}

// Close gives up the output.
func (a *Attached) Close() {
	if a.watch != nil {
		a.watch.Close()
	}
	for _, file := range a.spools {
		if file != nil {
			file.Close()
		}
	}
}

func (a *Attached) follow(ctx context.Context, ended <-chan struct{}) error {
	poll := time.NewTicker(a.watch.poll)
	defer poll.Stop()
	var last <-chan time.Time // set once the container has ended
	for complete := false; ; {
		if err := a.pass(ctx); err != nil || complete {
			return err
		}
		select {
		case <-ctx.Done(): // pass returns it
		case <-a.watch.grown:
		case <-poll.C:
		case <-ended:
			ended, last = nil, time.After(farewell)
			poll.Reset(farewellPoll)
		case <-last:
			complete = true
		}
		complete = complete || last != nil && a.files.Finished()
	}
}

// pass writes all that there is.
func (a *Attached) pass(ctx context.Context) error {
	for i, file := range a.spools {
		for file != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := file.ReadAt(a.buf, a.at[i])
			if n == 0 && errors.Is(err, io.EOF) {
				break
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			// Space that was given back before it was read reads as zeros.
			if data, err := unix.Seek(int(file.Fd()), a.at[i], unix.SEEK_DATA); err == nil && data > a.at[i] {
				a.at[i] = data
				continue
			}
			a.at[i] += int64(n)
			if _, err := a.to[i].Write(a.buf[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}
