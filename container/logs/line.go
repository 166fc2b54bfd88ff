package logs

import (
	"bytes"
	"time"
)

// maxLine is the longest content of one line of a log, in bytes, as containerd's
// CRI has it. Longer lines are cut into pieces.
const maxLine = 16384

// A stream is one of a container's two outputs, and the index of its spool.
type stream int

const (
	stdout stream = iota
	stderr
	streams // how many there are
)

// names are the streams' names in a log.
var names = [streams]string{stdout: "stdout", stderr: "stderr"}

// A line is one line of a log: time, stream, tag and content, a blank between
// each. Tag F says that the content ends with a newline (which is left out),
// P that it goes on in the stream's next line.
type line struct {
	time    []byte // RFC 3339 with up to nine digits of a second's fraction
	stream  stream
	full    bool
	content []byte
}

// parse reads a line, given without its newline. The result shares its memory.
func parse(b []byte) (l line, ok bool) {
	when, b, ok := bytes.Cut(b, []byte{' '})
	if !ok || len(when) == 0 {
		return line{}, false
	}
	name, b, ok := bytes.Cut(b, []byte{' '})
	if !ok {
		return line{}, false
	}
	tags, content, ok := bytes.Cut(b, []byte{' '})
	if !ok {
		return line{}, false
	}
	l = line{time: when, content: content}
	switch string(name) {
	case names[stdout]:
		l.stream = stdout
	case names[stderr]:
		l.stream = stderr
	default:
		return line{}, false
	}
	// Further tags may follow the first, after a colon. None is known.
	tag, _, _ := bytes.Cut(tags, []byte{':'})
	switch string(tag) {
	case "F":
		l.full = true
	case "P":
	default:
		return line{}, false
	}
	return l, true
}

// A remainder says what becomes of output that no newline ends yet.
type remainder int

const (
	leave  remainder = iota // the rest of the line will come
	show                    // it has stood for long enough to be shown, but may go on
	finish                  // nothing more comes
)

// A framer turns output into lines of a log, all with one time.
type framer struct {
	full, partial []byte // what stands before the content
}

func newFramer(now time.Time, s stream) framer {
	head := append(now.AppendFormat(nil, time.RFC3339Nano), " "+names[s]+" "...)
	return framer{
		full:    append(head[:len(head):len(head)], "F "...),
		partial: append(head[:len(head):len(head)], "P "...),
	}
}

// frame appends lines made from src to dst until src is used up or dst has
// grown to limit, and returns dst and how many bytes of src the lines stand
// for. At least one line is made when src holds a newline or more than
// maxLine+1 bytes. A \r before a newline is dropped, so it is never parted
// from a newline that may follow.
func (f framer) frame(dst, src []byte, rest remainder, limit int) ([]byte, int) {
	taken := 0
	for len(dst) < limit && taken < len(src) {
		head, content, size := f.next(src[taken:], rest)
		if size == 0 {
			break
		}
		dst = append(dst, head...)
		dst = append(dst, content...)
		dst = append(dst, '\n')
		taken += size
	}
	return dst, taken
}

// next finds the first line in src: what stands before its content, the
// content, and how many bytes of src it stands for; 0 when it is not complete.
func (f framer) next(src []byte, rest remainder) (head, content []byte, size int) {
	window := src[:min(len(src), maxLine+len("\r\n"))]
	if end := bytes.IndexByte(window, '\n'); end >= 0 {
		if content = dropCR(src[:end]); len(content) <= maxLine {
			return f.full, content, end + 1
		}
	}
	standing := window
	if rest != finish && len(window) < maxLine+len("\r\n") {
		standing = dropCR(window)
	}
	if len(standing) > maxLine || rest != leave {
		size = min(len(standing), maxLine)
		return f.partial, standing[:size], size
	}
	return nil, nil, 0
}

func dropCR(b []byte) []byte { return bytes.TrimSuffix(b, []byte{'\r'}) }
