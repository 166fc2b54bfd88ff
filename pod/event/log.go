package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	fileName = "events"
	// maxSize is the size, in bytes, from which a file is written anew, with
	// what happened alike counted, and of that the newest.
	maxSize = 256 << 10
	keep    = 200
	// maxText bounds a message, as Kubernetes does.
	maxText = 1024
)

// Log is the file of one pod's events. Only the pod's owner records.
type Log struct {
	path string
	mu   sync.Mutex
}

// Open returns the events of the pod whose directory is dir. It touches nothing.
func Open(dir string) *Log { return &Log{path: filepath.Join(dir, fileName)} }

// Record adds what has just happened. In a directory that is gone it does
// nothing.
func (l *Log) Record(e Event, now time.Time) error {
	if len(e.Message) > maxText {
		e.Message = e.Message[:maxText-3] + "..."
	}
	e.Count, e.First, e.Last = 1, now, now
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record event: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	size, err := l.add(append(line, '\n'))
	if err == nil && size > maxSize {
		err = l.compact()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("record event: %w", err)
	}
	return nil
}

// add appends a line and returns the size of the file.
func (l *Log) add(line []byte) (int64, error) {
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := file.ReadAt(last, info.Size()-1); err != nil {
			return 0, err
		}
	}
	if last[0] != '\n' { // the line before was cut off
		line = append([]byte{'\n'}, line...)
	}
	n, err := file.Write(line)
	return info.Size() + int64(n), err
}

// compact writes the file anew.
func (l *Log) compact() error {
	events, err := l.Read()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, e := range events[max(len(events)-keep, 0):] {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	temporary := l.path + ".new"
	if err := os.WriteFile(temporary, text.Bytes(), 0o600); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return os.Rename(temporary, l.path)
}

// Read returns what happened, counted, in the order of the last times. No file
// means that nothing did.
func (l *Log) Read() ([]Event, error) {
	file, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer file.Close()
	var events []Event
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Count > 0 {
			events = append(events, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return count(events), nil
}
