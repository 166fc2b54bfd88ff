package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A position says how far copying has come: up to where the log is complete,
// and which part of each spool it then holds. All in bytes.
type position struct {
	log   int64
	spool [streams]int64
}

// checkpointSize is small enough that a write of it is never seen in part by
// another process, whatever happens to the writer.
const checkpointSize = 8*(1+int(streams)) + 4

// store writes the position in place of the one before.
func (p position) store(file *os.File) error {
	b := make([]byte, 0, checkpointSize)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.log))
	for _, offset := range p.spool {
		b = binary.LittleEndian.AppendUint64(b, uint64(offset))
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if _, err := file.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// load reads the position that was stored last; ok is false when there is none.
func load(file *os.File) (p position, ok bool, err error) {
	b := make([]byte, checkpointSize)
	if _, err := file.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return position{}, false, nil
	} else if err != nil {
		return position{}, false, fmt.Errorf("read checkpoint: %w", err)
	}
	body, sum := b[:checkpointSize-4], b[checkpointSize-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(sum) {
		return position{}, false, nil
	}
	p.log = int64(binary.LittleEndian.Uint64(body))
	for i := range p.spool {
		p.spool[i] = int64(binary.LittleEndian.Uint64(body[8*(i+1):]))
	}
	return p, true, nil
}

// firstData is where a spool's content begins: what lies before was given back
// to the file system, and so had been copied.
func firstData(file *os.File) (int64, error) {
	offset, err := unix.Seek(int(file.Fd()), 0, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) { // nothing but holes, or empty
		return file.Seek(0, io.SeekEnd)
	}
	if err != nil { // the file system does not tell, so it has no holes either
		return 0, nil
	}
	return offset, nil
}
