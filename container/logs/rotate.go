package logs

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits bound what is kept of an instance's log. The kubelet's names are in
// parentheses.
type Limits struct {
	// MaxSize is the size in bytes from which on a log is rotated
	// (containerLogMaxSize).
	MaxSize int64
	// MaxFiles is how many files are kept, the one that is being written
	// included; at least 2 (containerLogMaxFiles).
	MaxFiles int
	// Every is how often the size is looked at (containerLogMonitorInterval).
	Every time.Duration
}

// DefaultLimits are a kubelet's.
var DefaultLimits = Limits{MaxSize: 10 << 20, MaxFiles: 5, Every: 10 * time.Second}

const (
	// stampFormat is the time that a rotated log has in its name, as a kubelet
	// writes it.
	stampFormat = "20060102-150405"
	packed      = ".gz"
	unfinished  = ".tmp"
	fresh       = "new"
)

// stamps matches what follows the log's own name in that of a rotated one.
var stamps = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}$`)

// rotated lists the logs that were rotated, the oldest first, by the names that
// they have before they are packed.
func (f Files) rotated() ([]string, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		stamp, ok := strings.CutPrefix(entry.Name(), filepath.Base(f.Log())+".")
		stamp = strings.TrimSuffix(stamp, packed)
		if ok && stamps.MatchString(stamp) {
			paths = append(paths, f.Log()+"."+stamp)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// openRotated opens a rotated log, packed or not. fs.ErrNotExist says that it
// was removed meanwhile.
func openRotated(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if file, err = os.Open(path + packed); err != nil {
		return nil, err
	}
	content, err := gzip.NewReader(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{content, file}, nil
}

// rotate begins a new log when the present one is large enough:
//
//  1. The checkpoint says where copying is.
//  2. The log gets its time for a name, and a new one its own.
//  3. The checkpoint says that the new one is empty.
//  4. What there is too much of is removed, and the rest packed.
//
// Killed in between, the next copier finds either the large log or an empty
// one, and in both cases the position in the spools that belongs to it.
func (c *copier) rotate(ctx context.Context) error {
	if c.at.log < c.limits.MaxSize || time.Since(c.looked) < c.limits.Every {
		return nil
	}
	c.looked = time.Now()
	if err := c.release(ctx); err != nil {
		return err
	}
	log, err := os.OpenFile(c.files.path("log."+fresh), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o640)
	if err != nil {
		// On a full disk the log goes on growing, if it can.
		return nil
	}
	if err := c.exchange(log); err != nil {
		return errors.Join(fmt.Errorf("rotate: %w", err), log.Close())
	}
	c.at.log, c.committed.log = 0, -1
	if err := c.release(ctx); err != nil {
		return err
	}
	c.packing.Wait()
	c.packing.Go(func() { c.files.tidy(ctx, c.limits.MaxFiles) })
	return nil
}

// exchange puts a new log in the place of the present one.
func (c *copier) exchange(log *os.File) error {
	rotated, err := c.files.rotated()
	if err != nil {
		return err
	}
	// Of two in the same second the later one gets the next.
	path := c.files.Log() + "." + c.looked.Format(stampFormat)
	if n := len(rotated); n > 0 && path <= rotated[n-1] {
		last, err := time.ParseInLocation(stampFormat, strings.TrimPrefix(rotated[n-1], c.files.Log()+"."), time.Local)
		if err != nil {
			return err
		}
		path = c.files.Log() + "." + last.Add(time.Second).Format(stampFormat)
	}
	if err := os.Rename(c.files.Log(), path); err != nil {
		return err
	}
	if err := os.Rename(log.Name(), c.files.Log()); err != nil {
		return err
	}
	old := c.log
	c.log = log
	return old.Close()
}

// tidy keeps as many files as are wanted: the log, the newest rotated one as it
// is, the others packed. What fails is tried again at the next rotation.
func (f Files) tidy(ctx context.Context, files int) {
	rotated, err := f.rotated()
	if err != nil {
		return
	}
	excess := max(0, len(rotated)-(files-1))
	for _, path := range rotated[:excess] {
		_ = remove(path, path+packed)
	}
	for _, path := range rotated[excess:max(excess, len(rotated)-1)] {
		_ = pack(ctx, path)
	}
}

// pack compresses a rotated log. It is idempotent.
func pack(ctx context.Context, path string) error {
	from, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is
	}
	if err != nil {
		return err
	}
	defer from.Close()
	temporary := path + unfinished
	to, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(to)
	_, err = io.Copy(z, contextReader{ctx, from})
	if err = errors.Join(err, z.Close(), to.Close()); err == nil {
		err = os.Rename(temporary, path+packed)
	}
	if err != nil {
		return errors.Join(err, remove(temporary))
	}
	return remove(path)
}

// contextReader ends with an error when its context is done.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
