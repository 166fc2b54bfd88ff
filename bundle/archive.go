package bundle

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// Sums is the archive's first entry and lists the digest of every other one, in the format of sha256sum.
	Sums = "SHA256SUMS"

	// window, in bytes, reaches back over containerd, the largest file, so that what the Go programs have in
	// common is stored once. Unpacking needs that much memory.
	window = 32 << 20
)

// Pack writes the named files to w as a tar archive compressed with zstd. Their directories are
// dropped, all become executable, and nothing but their names and contents gets in: the same files
// in the same order give the same archive.
func Pack(w io.Writer, files []string) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	sums, err := sum(files)
	if err != nil {
		return err
	}
	if err := add(t, Sums, 0o644, int64(len(sums)), strings.NewReader(sums)); err != nil {
		return err
	}
	for _, file := range files {
		if err := addFile(t, file); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

// sum returns the content of Sums.
func sum(files []string) (string, error) {
	var b strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(data), filepath.Base(file))
	}
	return b.String(), nil
}

func addFile(t *tar.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return add(t, filepath.Base(file), 0o755, info.Size(), f)
}

func add(t *tar.Writer, name string, mode, size int64, content io.Reader) error {
	header := &tar.Header{Name: name, Mode: mode, Size: size, Format: tar.FormatUSTAR}
	if err := t.WriteHeader(header); err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	if _, err := io.Copy(t, content); err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	return nil
}

// Unpack writes the files of an archive into dir, which must be there and empty, and sees to it that
// they are on disk. Nothing is written when the archive's SHA-256 digest is not the given one, and
// each file is compared with its own digest as it is written. After an error dir holds some of the
// files: the caller removes it.
func Unpack(dir, archive, digest string) error {
	h := sha256.New()
	_, _ = io.WriteString(h, archive) // a hash never fails
	if got := hex.EncodeToString(h.Sum(nil)); got != digest {
		return fmt.Errorf("unpack bundle: digest is %s, not %s", got, digest)
	}
	z, err := zstd.NewReader(strings.NewReader(archive), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return fmt.Errorf("unpack bundle: %w", err)
	}
	defer z.Close()
	t := tar.NewReader(z)
	sums, err := readSums(t)
	if err != nil {
		return fmt.Errorf("unpack bundle: %w", err)
	}
	for len(sums) > 0 {
		header, err := t.Next()
		if err != nil {
			return fmt.Errorf("unpack bundle: next of %d files: %w", len(sums), err)
		}
		want, ok := sums[header.Name]
		if !ok {
			return fmt.Errorf("unpack bundle: %q is not in %s", header.Name, Sums)
		}
		delete(sums, header.Name)
		if err := write(filepath.Join(dir, header.Name), t, want); err != nil {
			return fmt.Errorf("unpack bundle: %w", err)
		}
	}
	return SyncDir(dir)
}

// readSums reads the first entry: the digests by file name.
func readSums(t *tar.Reader) (map[string]string, error) {
	header, err := t.Next()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Sums, err)
	}
	if header.Name != Sums {
		return nil, fmt.Errorf("first entry is %q, not %s", header.Name, Sums)
	}
	sums := map[string]string{}
	lines := bufio.NewScanner(t)
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || name == "" || name != filepath.Base(name) || name == ".." || name == "." {
			return nil, fmt.Errorf("read %s: malformed line %q", Sums, lines.Text())
		}
		sums[name] = sum
	}
	return sums, lines.Err()
}

// write makes an executable file that is on disk when it returns.
func write(path string, content io.Reader, digest string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, h), 1<<20)
	if _, err := io.Copy(w, content); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != digest {
		return fmt.Errorf("write %s: digest is %s, not %s", path, got, digest)
	}
	return errors.Join(f.Chmod(0o755), f.Sync(), f.Close()) // chmod: whatever the umask
}

// SyncDir sees to it that the entries of dir, not their contents, are on disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
