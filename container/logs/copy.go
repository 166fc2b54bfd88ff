package logs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readSize is how much of a spool is read at once. It holds several lines
	// of any length, so that each batch makes progress.
	readSize = 128 << 10
	// writeSize is where a batch of lines ends. Short lines grow by a factor
	// of up to fifty.
	writeSize = 256 << 10
	// gather is how long after a change one waits for more, so that a
	// container that writes line by line is not copied line by line.
	gather = 2 * time.Millisecond
	// patience is how long a line without newline may stand before it is shown.
	patience = 100 * time.Millisecond
	// releaseSize is how far the log grows before the spools' space is given back.
	releaseSize = 1 << 20
	// releaseBlock is a multiple of the block sizes that file systems have.
	releaseBlock = 64 << 10
	// youth is how long a copier looks every pollYoung before it watches.
	youth     = time.Second
	pollYoung = 10 * time.Millisecond
	// retryAfter is the pause between attempts to write to a full disk.
	retryAfter = time.Second
)

// Copy copies what the spools hold into the log, as it comes, until the
// container has ended or ctx is done; then it copies what is left and returns.
//
// It goes on where a killed Copy stopped: no line is lost, none is doubled. Of
// one instance's logs only one Copy runs at a time. ended must be closed after
// the shim has written everything, which is when the task was deleted or the
// shim is gone. When ctx is done, a line that no newline ends stays in the
// spool for the next Copy, and so does everything if the disk is full.
// As long as ctx is not done, a full disk is waited out.
//
// A log that reaches its limits is rotated, while the container runs.
//
// Without spools (see [Files.Finish]) there is nothing to do.
func (f Files) Copy(ctx context.Context, ended <-chan struct{}, limits Limits) error {
	if f.Finished() {
		return nil
	}
	c, err := openCopier(ctx, f, limits)
	if err != nil {
		return fmt.Errorf("copy log %s: %w", f.Log(), err)
	}
	defer c.Close()
	if err := c.run(ctx, ended); err != nil {
		return fmt.Errorf("copy log %s: %w", f.Log(), err)
	}
	return nil
}

// A copier carries output from the spools into the log.
type copier struct {
	files      Files
	limits     Limits
	log        *os.File
	checkpoint *os.File
	spools     [streams]*spool

	at        position // how far it has come
	committed position // what the checkpoint says
	in, out   []byte   // the buffers of a batch

	looked  time.Time      // when the log's size was last looked at
	packing sync.WaitGroup // of what was rotated
}

// A spool is one stream's output.
type spool struct {
	*os.File       // nil when there is none
	released int64 // where the space was given back up to

	// A line without newline begins at standing and has done so since then.
	standing int64
	since    time.Time
}

// openCopier opens the files, finds out how far copying had come, and cuts off
// what a killed copier left unfinished.
func openCopier(ctx context.Context, f Files, limits Limits) (_ *copier, err error) {
	c := &copier{files: f, limits: limits, looked: time.Now(), in: make([]byte, readSize), out: make([]byte, 0, writeSize+maxLine+64)}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.log, err = os.OpenFile(f.Log(), os.O_CREATE|os.O_RDWR, 0o640); err != nil {
		return nil, err
	}
	if c.checkpoint, err = os.OpenFile(f.path("checkpoint"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	for i, path := range f.spools() {
		c.spools[i] = &spool{standing: -1}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.spools[i].File = file
	}
	if err := c.resume(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes the files. All writes have been made by then.
func (c *copier) Close() {
	c.packing.Wait()
	for _, file := range []*os.File{c.log, c.checkpoint} {
		if file != nil {
			file.Close()
		}
	}
	for _, s := range c.spools {
		if s != nil && s.File != nil {
			s.Close()
		}
	}
}

// run copies until the end. Watching pays only for who copies for long: the kernel
// may take 20 ms to end it, which who starts a pod would wait for.
func (c *copier) run(ctx context.Context, ended <-chan struct{}) error {
	w := &watcher{poll: pollYoung}
	defer func() { w.Close() }()
	young := time.Now().Add(youth)
	for {
		select {
		case <-ended:
			return c.drain(ctx, finish)
		case <-ctx.Done():
			return c.drain(ctx, leave)
		default:
		}
		more, err := c.pass(ctx, leave)
		if err != nil {
			return err
		}
		if err := c.rotate(ctx); err != nil {
			return err
		}
		switch {
		case more:
		case !young.IsZero() && time.Now().After(young):
			young = time.Time{}
			if err := w.begin(c.files.Spool()); err != nil {
				return err
			}
		default:
			c.wait(ctx, ended, w)
		}
	}
}

// drain copies what the spools hold now. What comes later is not waited for,
// so that a process which outlives its container cannot keep this going.
func (c *copier) drain(ctx context.Context, rest remainder) error {
	var end [streams]int64
	for i, s := range c.spools {
		if s.File == nil {
			continue
		}
		info, err := s.Stat()
		if err != nil {
			return err
		}
		end[i] = info.Size()
	}
	for {
		more, err := c.pass(ctx, rest)
		if err != nil {
			return err
		}
		if !more || c.at.spool[stdout] >= end[stdout] && c.at.spool[stderr] >= end[stderr] {
			return c.release(ctx)
		}
	}
}

// wait returns when there may be something to do.
func (c *copier) wait(ctx context.Context, ended <-chan struct{}, w *watcher) {
	pause := w.poll
	for i, s := range c.spools {
		if s.standing == c.at.spool[i] {
			pause = min(pause, max(0, time.Until(s.since.Add(patience))))
		}
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-ended:
	case <-timer.C:
	case <-w.grown:
		timer.Reset(gather)
		select {
		case <-ctx.Done():
		case <-ended:
		case <-timer.C:
		}
	}
}

// pass copies a batch of each stream. It reports whether there may be more.
func (c *copier) pass(ctx context.Context, rest remainder) (more bool, err error) {
	for i, s := range c.spools {
		if s.File == nil {
			continue
		}
		again, err := c.batch(ctx, stream(i), rest)
		if err != nil {
			return false, err
		}
		more = more || again
	}
	return more, nil
}

// batch copies some of one stream. It reports whether there may be more.
func (c *copier) batch(ctx context.Context, i stream, rest remainder) (more bool, err error) {
	s, from := c.spools[i], c.at.spool[i]
	n, err := unix.Pread(int(s.Fd()), c.in, from)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", names[i], err)
	}
	now, in := time.Now(), c.in[:n]
	if n == len(c.in) {
		rest = leave // more will come: this is not the stream's end
	} else if rest == leave && s.standing == from && now.Sub(s.since) >= patience {
		rest = show
	}
	var taken int
	c.out, taken = newFramer(now, i).frame(c.out[:0], in, rest, writeSize)
	if taken < n && len(dropCR(in[taken:])) > 0 && s.standing != from+int64(taken) {
		s.standing, s.since = from+int64(taken), now
	}
	if err := c.append(ctx); err != nil {
		return false, err
	}
	c.at.spool[i] = from + int64(taken)
	if c.at.log-c.committed.log >= releaseSize {
		err = c.release(ctx)
	}
	return n == len(c.in) || len(c.out) >= writeSize, err
}

// append writes the batch to the log. What was written of it, when the disk is
// full, stays: readers may have seen it. The rest follows.
func (c *copier) append(ctx context.Context) error {
	out := c.out
	return c.persist(ctx, func() error {
		n, err := c.log.WriteAt(out, c.at.log)
		out = out[n:]
		c.at.log += int64(n)
		return err
	})
}

// release writes the checkpoint, then gives the space of what the spools need
// no longer hold back to the file system.
func (c *copier) release(ctx context.Context) error {
	if c.committed == c.at {
		return nil
	}
	if err := c.persist(ctx, func() error { return c.at.store(c.checkpoint) }); err != nil {
		return err
	}
	c.committed = c.at
	for i, s := range c.spools {
		// Whole blocks only: of others the kernel would make zeros, not a hole.
		end := c.at.spool[i] &^ (releaseBlock - 1)
		if s.File == nil || end-s.released < releaseSize {
			continue
		}
		// Where the file system cannot do that, the spool stays as large as it is.
		_ = unix.Fallocate(int(s.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.released, end-s.released)
		s.released = end
	}
	return nil
}

// persist repeats a write until it succeeds or fails for another reason than
// a full disk, or ctx is done.
func (c *copier) persist(ctx context.Context, write func() error) error {
	for {
		err := write()
		if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryAfter):
		}
	}
}
