package logs

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// maxHeld bounds what is held back of a line that does not end, in bytes.
const maxHeld = 64 << 10

// A Merger lets several logs be written to the same two streams at once, line by
// line: a line is never broken off by another one.
type Merger struct {
	mu sync.Mutex
	to [streams]io.Writer
}

// NewMerger makes a Merger that writes to the two streams.
func NewMerger(stdout, stderr io.Writer) *Merger {
	return &Merger{to: [streams]io.Writer{stdout, stderr}}
}

// Writers are where one log goes to. flush writes what no newline has ended.
func (m *Merger) Writers() (out, err io.Writer, flush func() error) {
	one, two := &merged{merger: m, stream: stdout}, &merged{merger: m, stream: stderr}
	return one, two, func() error { return errors.Join(one.flush(), two.flush()) }
}

// merged is a stream of one of the logs. It has one writer.
type merged struct {
	merger *Merger
	stream stream
	held   []byte // of a line that has not ended
}

func (w *merged) Write(p []byte) (int, error) {
	end := bytes.LastIndexByte(p, '\n') + 1
	whole := p[:end]
	if len(w.held) > 0 && end > 0 {
		whole, w.held = append(w.held, whole...), nil
	}
	w.held = append(w.held, p[end:]...)
	if len(w.held) > maxHeld {
		whole, w.held = append(bytes.Clone(whole), w.held...), nil
	}
	return len(p), w.pass(whole)
}

func (w *merged) flush() error {
	whole := w.held
	w.held = nil
	return w.pass(whole)
}

func (w *merged) pass(whole []byte) error {
	if len(whole) == 0 {
		return nil
	}
	w.merger.mu.Lock()
	defer w.merger.mu.Unlock()
	_, err := w.merger.to[w.stream].Write(whole)
	return err
}
