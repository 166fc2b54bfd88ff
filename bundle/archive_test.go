package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func digest(archive string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(archive))) }

// pack packs files with the given contents, in the order of their names.
func pack(t *testing.T, contents ...string) string {
	t.Helper()
	var files []string
	for i, content := range contents {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("file%d", i))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	var b bytes.Buffer
	if err := Pack(&b, files); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	contents := []string{"#!/bin/sh\n", "", strings.Repeat("x", 1<<20)}
	archive := pack(t, contents...)
	dir := t.TempDir()
	if err := Unpack(dir, archive, digest(archive)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(contents) {
		t.Fatalf("unpacked %v, %v; want %d files", entries, err, len(contents))
	}
	for i, want := range contents {
		file := filepath.Join(dir, fmt.Sprintf("file%d", i))
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v; want %d bytes", file, len(got), err, len(want))
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o755 {
			t.Errorf("%s: mode %v, %v; want 0755", file, info.Mode(), err)
		}
	}
}

func TestPackIsDeterministic(t *testing.T) {
	t.Parallel()
	first, second := pack(t, "a", "b"), pack(t, "a", "b")
	if first != second {
		t.Error("the same files gave different archives")
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	line := func(name, content string) string { return digest(content) + "  " + name + "\n" }
	tests := []struct {
		name    string
		entries [][2]string // name, content
		want    string
	}{
		{"no sums", [][2]string{{"a", "A"}}, `first entry is "a"`},
		{"other content", [][2]string{{Sums, line("a", "A")}, {"a", "B"}}, "digest is"},
		{"unlisted file", [][2]string{{Sums, line("a", "A")}, {"b", "A"}}, `"b" is not in`},
		{"missing file", [][2]string{{Sums, line("a", "A") + line("b", "B")}, {"a", "A"}}, "next of 1 files"},
		{"a path above", [][2]string{{Sums, line("../a", "A")}, {"../a", "A"}}, "malformed"},
		{"an absolute path", [][2]string{{Sums, line("/a", "A")}, {"/a", "A"}}, "malformed"},
		{"the directory above", [][2]string{{Sums, line("..", "A")}, {"..", "A"}}, "malformed"},
		{"a malformed line", [][2]string{{Sums, "a\n"}, {"a", "A"}}, "malformed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			archive := compress(t, test.entries)
			err := Unpack(t.TempDir(), archive, digest(archive))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v; want an error with %q", err, test.want)
			}
		})
	}
}

func TestUnpackChecksDigestFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Unpack(dir, pack(t, "a"), digest("something else")); err == nil {
		t.Error("an archive with another digest was unpacked")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left %v", entries)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("aa  a\n"), "a", []byte("A"))
	f.Add([]byte(digest("A")+"  a\n"), "a", []byte("A"))
	f.Add([]byte(digest("A")+"  ../a\n"), "../a", []byte("A"))
	f.Fuzz(func(t *testing.T, sums []byte, name string, content []byte) {
		archive := compress(t, [][2]string{{Sums, string(sums)}, {name, string(content)}})
		outer := t.TempDir()
		dir := filepath.Join(outer, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = Unpack(dir, archive, digest(archive))
		if entries, _ := os.ReadDir(outer); len(entries) != 1 {
			t.Errorf("wrote outside of its directory: %v", entries)
		}
	})
}

// compress makes an archive of any entries. One that tar itself refuses ends the test.
func compress(t *testing.T, entries [][2]string) string {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e[0], Size: int64(len(e[1]))}); err != nil {
			t.SkipNow() // no such archive
		}
		if _, err := w.Write([]byte(e[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
