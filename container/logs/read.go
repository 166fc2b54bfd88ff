package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// readerSize is how much of a log is read at once: more than the longest line.
	readerSize = 64 << 10
	// farewell is how long a following reader waits, after the container has
	// ended, for its last output to arrive in the log. It is used up only when
	// nobody copies.
	farewell = 2 * time.Second
	// farewellPoll is how often it looks during that time.
	farewellPoll = 20 * time.Millisecond
	// timeFormat is how timestamps are shown: of one width, as kubectl does it.
	timeFormat = "2006-01-02T15:04:05.000000000Z07:00"
)

// Options selects what Read shows. The zero value, but for Tail, shows everything.
type Options struct {
	Follow     bool      // go on until the container has ended
	Tail       int       // only that many lines at the end; all when negative
	Since      time.Time // only what was logged at or after this time
	Timestamps bool      // begin each line with its time
	Prefix     string    // begin each line with this
}

// Read writes a log's content to stdout and stderr, each stream to its own
// writer, in the order of the log and byte for byte as the container wrote it
// (but for \r before a newline, which the log does not keep).
//
// With Follow it goes on until the container has ended and its last output was
// read, or ctx is done, which gives ctx's error. ended is closed when the
// container has ended; nil means that this is not known. It plays no role
// without Follow.
//
// Lines that are not in the log's format are left out. Errors of the writers
// are returned as they are wrapped; a log that does not exist is fs.ErrNotExist.
func (f Files) Read(ctx context.Context, stdout, stderr io.Writer, opts Options, ended <-chan struct{}) error {
	r := &reader{files: f, in: make([]byte, readerSize), opts: opts, to: [streams]io.Writer{stdout, stderr}}
	err := r.begin(ctx)
	if err == nil {
		defer func() { r.file.Close() }()
		err = r.read(ctx)
	}
	if err == nil && opts.Follow {
		err = r.follow(ctx, ended)
	}
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	return nil
}

// A reader turns lines of a log back into what the container wrote.
type reader struct {
	files Files
	file  *os.File // the log that is being written
	at    int64    // always the beginning of a line
	older string   // the newest log that was rotated before file was opened
	in    []byte

	opts    Options
	to      [streams]io.Writer
	inLine  [streams]bool // the last thing shown did not end a line
	out     []byte        // for stream pending
	pending stream
}

// follow reads what comes until the container has ended.
func (r *reader) follow(ctx context.Context, ended <-chan struct{}) error {
	w, err := watch(r.files.Log())
	if err != nil {
		return err
	}
	defer func() { w.Close() }()
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	var last <-chan time.Time // set once the container has ended
	for complete := false; ; {
		moved, err := r.moved()
		if err == nil {
			err = r.read(ctx)
		}
		if err == nil && moved {
			w.Close()
			if w, err = watch(r.files.Log()); err == nil {
				err = r.catchUp(ctx)
			}
		}
		if err != nil || complete && !moved {
			return err
		}
		select {
		case <-ctx.Done(): // read returns it
		case <-w.grown:
		case <-poll.C:
		case <-ended:
			ended, last = nil, time.After(farewell)
			poll.Reset(farewellPoll)
		case <-last:
			complete = true
		}
		complete = complete || last != nil && r.files.Finished()
	}
}

// read shows all complete lines from where it stopped last.
func (r *reader) read(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := r.file.ReadAt(r.in, r.at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		size := bytes.LastIndexByte(r.in[:n], '\n') + 1
		if size == 0 && n < len(r.in) {
			return nil // a line that is being written; it may be cut off again
		}
		if size == 0 {
			size = n // too long to be a line
		}
		if err := r.show(r.in[:size]); err != nil {
			return err
		}
		r.at += int64(size)
	}
}

// show shows the lines in b.
func (r *reader) show(b []byte) error {
	for raw := range bytes.Lines(b) {
		l, ok := parse(bytes.TrimSuffix(raw, []byte{'\n'}))
		if !ok {
			continue
		}
		if err := r.line(l); err != nil {
			return errors.Join(err, r.flush())
		}
	}
	return r.flush()
}

// line shows one line.
func (r *reader) line(l line) error {
	var when time.Time
	if r.opts.Timestamps || !r.opts.Since.IsZero() {
		var err error
		if when, err = time.Parse(time.RFC3339Nano, string(l.time)); err != nil || when.Before(r.opts.Since) {
			return nil
		}
	}
	if r.pending != l.stream {
		if err := r.flush(); err != nil {
			return err
		}
		r.pending = l.stream
	}
	if !r.inLine[l.stream] {
		r.out = append(r.out, r.opts.Prefix...)
		if r.opts.Timestamps {
			r.out = append(when.AppendFormat(r.out, timeFormat), ' ')
		}
	}
	r.out = append(r.out, l.content...)
	if l.full {
		r.out = append(r.out, '\n')
	}
	r.inLine[l.stream] = !l.full
	return nil
}

// flush writes the output to its stream.
func (r *reader) flush() error {
	if len(r.out) == 0 {
		return nil
	}
	_, err := r.to[r.pending].Write(r.out)
	r.out = r.out[:0]
	return err
}
