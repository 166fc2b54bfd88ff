package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
)

// resume finds out how far copying had come:
//
//  1. The checkpoint says where to begin looking; without one, nothing was
//     copied yet, for it is written before anything else.
//  2. Each complete line after that stands for a part of a spool.
//  3. What follows, a line cut short, is cut off.
//  4. A checkpoint is written.
func (c *copier) resume(ctx context.Context) error {
	info, err := c.log.Stat()
	if err != nil {
		return err
	}
	at, ok, err := load(c.checkpoint)
	if err != nil {
		return err
	}
	if !ok {
		if at, err = c.origin(info.Size()); err != nil {
			return err
		}
	}
	at.log = min(at.log, info.Size()) // larger when it was killed while rotating, or after a loss of power
	if c.at, err = c.replay(at); err != nil {
		return err
	}
	if err := c.log.Truncate(c.at.log); err != nil {
		return err
	}
	// Unlike any position, so that it is written in any case.
	c.committed = position{log: -1}
	return c.release(ctx)
}

// origin is where copying begins.
func (c *copier) origin(logSize int64) (position, error) {
	p := position{log: logSize}
	for i, s := range c.spools {
		if s.File == nil {
			continue
		}
		var err error
		if p.spool[i], err = firstData(s.File); err != nil {
			return position{}, err
		}
	}
	return p, nil
}

// replay moves a position over the complete lines that the log holds after it.
func (c *copier) replay(p position) (position, error) {
	log := bufio.NewReaderSize(io.NewSectionReader(c.log, p.log, math.MaxInt64-p.log), readSize)
	var spools [streams]*bufio.Reader
	for i, s := range c.spools {
		spools[i] = bufio.NewReaderSize(bytes.NewReader(nil), maxLine+2)
		if s.File != nil {
			spools[i].Reset(io.NewSectionReader(s, p.spool[i], math.MaxInt64-p.spool[i]))
		}
	}
	for {
		raw, err := log.ReadSlice('\n')
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			return p, nil
		}
		if err != nil {
			return p, err
		}
		l, ok := parse(raw[:len(raw)-1])
		if !ok {
			return p, nil
		}
		size, err := spooled(spools[l.stream], l)
		if err != nil {
			return p, err
		}
		if size == 0 {
			return p, nil // not made from this spool
		}
		p.log += int64(len(raw))
		p.spool[l.stream] += int64(size)
	}
}

// spooled skips what a line was made from and returns its size; 0 when the
// spool holds something else.
func spooled(spool *bufio.Reader, l line) (int, error) {
	window, err := spool.Peek(len(l.content) + len("\r\n"))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return 0, err
	}
	rest, ok := bytes.CutPrefix(window, l.content)
	if !ok {
		return 0, nil
	}
	size := len(l.content)
	switch {
	case !l.full:
	case bytes.HasPrefix(rest, []byte("\n")):
		size++
	case bytes.HasPrefix(rest, []byte("\r\n")):
		size += 2
	default:
		return 0, nil
	}
	return spool.Discard(size)
}
