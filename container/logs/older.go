package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// opening bounds how often a reader looks again when the log is rotated while
// it is being opened.
const opening = 100

// open opens the log that is being written and returns the rotated ones that
// come before it.
func (r *reader) open(ctx context.Context) (rotated []string, err error) {
	var file *os.File
	for range opening {
		before, err := r.files.rotated()
		if err != nil {
			return nil, err
		}
		file, err = os.Open(r.files.Log())
		missing := errors.Is(err, fs.ErrNotExist) && len(before) > 0 // it is being rotated
		if err != nil && !missing {
			return nil, err
		}
		after, err := r.files.rotated()
		if err == nil && !missing && slices.Equal(before, after) {
			r.file, r.at, r.older = file, 0, ""
			if len(after) > 0 {
				r.older = after[len(after)-1]
			}
			return after, nil
		}
		if !missing {
			file.Close()
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return nil, fmt.Errorf("open %s: it is rotated again and again", r.files.Log())
}

// begin opens the log, finds where the last lines begin that are wanted, and
// shows those in rotated logs.
func (r *reader) begin(ctx context.Context) error {
	rotated, err := r.open(ctx)
	if err != nil {
		return err
	}
	from, skip := 0, 0
	if r.opts.Tail >= 0 {
		var missing int
		if r.at, missing, err = tail(r.file, r.opts.Tail); err == nil {
			from, skip, err = tailRotated(rotated, missing)
		}
	}
	for i := from; err == nil && i < len(rotated); i++ {
		err = r.showRotated(ctx, rotated[i], skip)
		skip = 0
	}
	if err != nil {
		r.file.Close()
	}
	return err
}

// tailRotated finds in which of the rotated logs the last lines begin, and how
// many ends of lines come before them in it.
func tailRotated(rotated []string, lines int) (from, skip int, err error) {
	if lines < 0 {
		return len(rotated), 0, nil
	}
	for i := len(rotated) - 1; i >= 0; i-- {
		ends, err := countEnds(rotated[i])
		if err != nil {
			return 0, 0, err
		}
		if ends > lines {
			return i, ends - lines, nil
		}
		lines -= ends
	}
	return 0, 0, nil
}

// countEnds counts the ends of lines in a rotated log.
func countEnds(path string) (ends int, err error) {
	return ends, eachLine(path, func(l line) error {
		if l.full {
			ends++
		}
		return nil
	})
}

// showRotated shows a rotated log after that many ends of lines.
func (r *reader) showRotated(ctx context.Context, path string, skip int) error {
	err := eachLine(path, func(l line) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case skip == 0:
		case l.full:
			skip--
			fallthrough
		default:
			return nil
		}
		if err := r.line(l); err != nil {
			return err
		}
		if len(r.out) < readerSize {
			return nil
		}
		return r.flush()
	})
	return errors.Join(err, r.flush())
}

// eachLine visits the lines of a rotated log. One that was removed meanwhile,
// since there are too many, has none.
func eachLine(path string, visit func(line) error) error {
	file, err := openRotated(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	for content := bufio.NewReaderSize(file, readerSize); ; {
		raw, err := content.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if l, ok := parse(raw[:len(raw)-1]); ok && err == nil {
			if err := visit(l); err != nil {
				return err
			}
		}
	}
}

// moved says whether the log that is read was rotated: it does not grow any
// more, and its name has gone to the next.
func (r *reader) moved() (bool, error) {
	for range opening {
		named, err := os.Stat(r.files.Log())
		if errors.Is(err, fs.ErrNotExist) { // it has no name at present, or it was removed
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return false, err
		}
		opened, err := r.file.Stat()
		return err == nil && !os.SameFile(named, opened), err
	}
	return false, nil
}

// catchUp goes on with what follows the log that was read to its end: those
// that were rotated since, but for itself, and the one that is written now.
func (r *reader) catchUp(ctx context.Context) error {
	older, done := r.older, r.file
	defer done.Close()
	rotated, err := r.open(ctx)
	if err != nil {
		r.file = done
		return err
	}
	for i, path := range slices.DeleteFunc(rotated, func(path string) bool { return path <= older }) {
		if i == 0 && isOrWas(path, done) {
			continue
		}
		if err := r.showRotated(ctx, path, 0); err != nil {
			return err
		}
	}
	return r.read(ctx)
}

// isOrWas tells whether the first log that was rotated since is the one that was
// read meanwhile. One that is packed is: they are packed in their order.
func isOrWas(path string, file *os.File) bool {
	named, err := os.Stat(path)
	if err != nil {
		return true
	}
	opened, err := file.Stat()
	return err == nil && os.SameFile(named, opened)
}
