package logs

import (
	"bytes"
	"os"
)

// tail finds where the last lines of a log begin. Lines of both streams count,
// pieces of a long line as one. Text at the end that no newline ends yet is a
// line too. When they begin in a log before this one, missing says how many do
// there, 0 for the one that may go on in this one; else it is negative.
func tail(file *os.File, lines int) (at int64, missing int, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, -1, err
	}
	back := backward{file: file, at: info.Size()}
	for first := true; ; {
		raw, at, err := back.line()
		if err != nil || len(raw) == 0 {
			return at, lines, err
		}
		l, ok := parse(bytes.TrimSuffix(raw, []byte{'\n'}))
		if !ok || raw[len(raw)-1] != '\n' {
			continue // not a line, or one that is still being written
		}
		if l.full || first {
			if lines == 0 {
				return at + int64(len(raw)), -1, nil
			}
			lines--
		}
		first = false
	}
}

// backward reads a file line by line from its end.
type backward struct {
	file *os.File
	at   int64  // where buf begins in the file
	buf  []byte // read, and not yet returned
}

// line returns the last line before the one returned last, with its newline,
// and where it begins; an empty one at the file's beginning. Without a newline
// in a megabyte the rest of the file counts as one line.
func (b *backward) line() (raw []byte, at int64, err error) {
	for {
		body := bytes.TrimSuffix(b.buf, []byte{'\n'})
		start := bytes.LastIndexByte(body, '\n') + 1
		if start > 0 || b.at == 0 || len(b.buf) > 1<<20 {
			raw, b.buf = b.buf[start:], b.buf[:start]
			return raw, b.at + int64(start), nil
		}
		size := min(b.at, readerSize)
		grown := make([]byte, size, size+int64(len(b.buf)))
		if _, err := b.file.ReadAt(grown, b.at-size); err != nil {
			return nil, 0, err
		}
		b.at -= size
		b.buf = append(grown, b.buf...)
	}
}
