package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"podrun/container/tree"
)

// A world is made of lines: "d PATH MODE", "f PATH MODE CONTENT", "l PATH TARGET",
// "p PATH" for a FIFO, "c PATH" for a device.
func build(t *testing.T, dir string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		f := strings.SplitN(line, " ", 4)
		path := filepath.Join(dir, f[1])
		var mode uint32
		if len(f) > 2 {
			_, _ = fmt.Sscanf(f[2], "%o", &mode)
		}
		var err error
		switch f[0] {
		case "d":
			err = errors.Join(os.Mkdir(path, 0o700), unix.Chmod(path, mode))
		case "f":
			err = errors.Join(os.WriteFile(path, []byte(f[3]), 0o600), unix.Chmod(path, mode))
		case "l":
			err = os.Symlink(f[2], path)
		case "p":
			err = unix.Mkfifo(path, 0o666)
		case "c":
			err = unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// list tells what is below a directory, in the lines that build it.
func list(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return err
		}
		switch mode := stat.Mode & 0o7777; stat.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			lines = append(lines, fmt.Sprintf("d %s %o", name, mode))
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			lines = append(lines, fmt.Sprintf("f %s %o %s", name, mode, data))
			return err
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			lines = append(lines, fmt.Sprintf("l %s %s", name, target))
			return err
		default:
			lines = append(lines, fmt.Sprintf("? %s", name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func want(t *testing.T, dir string, lines ...string) {
	t.Helper()
	if got := list(t, dir); !slices.Equal(got, lines) {
		t.Errorf("there is\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

func open(t *testing.T, dir string) *tree.Root {
	t.Helper()
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// roots makes two directories and opens them as roots.
func roots(t *testing.T) (a, b string, rootA, rootB *tree.Root) {
	t.Helper()
	a, b = t.TempDir(), t.TempDir()
	return a, b, open(t, a), open(t, b)
}

func none(t *testing.T) func(path, what string) {
	return func(path, what string) { t.Errorf("passed over %s: %s", path, what) }
}

// What becomes of what, by docker's rules.
func TestCopyRules(t *testing.T) {
	t.Parallel()
	source := []string{"d dir 750", "f dir/x 640 x", "l dir/up ..", "f file 600 new", "l link file"}
	there := []string{"d old 700", "f old/y 600 y", "f plain 644 old"}
	for _, c := range []struct {
		from, to string
		want     []string // beside there; nil for an error
	}{
		{"/file", "/copy", []string{"f copy 600 new"}},
		{"file", "copy", []string{"f copy 600 new"}},
		{"/file", "/old", []string{"f old/file 600 new"}},
		{"/file", "/old/", []string{"f old/file 600 new"}},
		{"/file", "/", []string{"f file 600 new"}},
		{"/file", "/plain", []string{"f plain 600 new"}},
		{"/file", "/nowhere/", nil},
		{"/file", "/nowhere/copy", nil},
		{"/file", "/plain/", nil},
		{"/file", "/plain/copy", nil},
		{"/link", "/copy", []string{"l copy file"}},
		{"/link/", "/copy", nil}, // the file is no directory
		{"/dir", "/copy", []string{"d copy 750", "l copy/up ..", "f copy/x 640 x"}},
		{"/dir/", "/copy/", []string{"d copy 750", "l copy/up ..", "f copy/x 640 x"}},
		{"/dir", "/old", []string{"d old/dir 750", "l old/dir/up ..", "f old/dir/x 640 x"}},
		{"/dir/.", "/old", []string{"l old/up ..", "f old/x 640 x"}},
		{"/dir/.", "/copy", []string{"d copy 750", "l copy/up ..", "f copy/x 640 x"}},
		{"/dir", "/plain", nil},
		{"/dir", "/nowhere/copy", nil},
		{"/nothing", "/copy", nil},
	} {
		a, b, from, to := roots(t)
		build(t, a, source...)
		build(t, b, there...)
		err := tree.Copy(t.Context(), tree.Place{Root: from, Path: c.from}, tree.Place{Root: to, Path: c.to}, tree.Rights{}, none(t))
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
		byPath := map[string]string{}
		for _, line := range append(slices.Clone(there), c.want...) {
			byPath[strings.Fields(line)[1]] = line
		}
		var lines []string
		for _, line := range byPath {
			lines = append(lines, line)
		}
		slices.SortFunc(lines, func(a, b string) int { return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1]) })
		got := list(t, b)
		slices.SortFunc(got, func(a, b string) int { return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1]) })
		if !slices.Equal(got, lines) {
			t.Errorf("%s to %s: there is %q, want %q", c.from, c.to, got, lines)
		}
	}
}

func TestCopyKeepsModesAndTimesAndGivesOwners(t *testing.T) {
	t.Parallel()
	a, b, from, to := roots(t)
	build(t, a, "d d 1777", "f d/suid 6755 x", "d d/gid 2755", "f d/none 0 y")
	when := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	if err := errors.Join(os.Chown(filepath.Join(a, "d/suid"), 1000, 1001), unix.Chmod(filepath.Join(a, "d/suid"), 0o6755), os.Chtimes(filepath.Join(a, "d/suid"), when, when)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rights tree.Rights
		want   []string
	}{
		{tree.Rights{SetID: true, UID: 5, GID: 6}, []string{"d d 1777", "d d/gid 2755", "f d/none 0 y", "f d/suid 6755 x"}},
		{tree.Rights{}, []string{"d d 1777", "d d/gid 755", "f d/none 0 y", "f d/suid 755 x"}},
	} {
		if err := os.RemoveAll(filepath.Join(b, "d")); err != nil {
			t.Fatal(err)
		}
		if err := tree.Copy(t.Context(), tree.Place{Root: from, Path: "d"}, tree.Place{Root: to}, c.rights, none(t)); err != nil {
			t.Fatal(err)
		}
		want(t, b, c.want...)
		info, err := os.Stat(filepath.Join(b, "d/suid"))
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		if int(stat.Uid) != c.rights.UID || int(stat.Gid) != c.rights.GID || !info.ModTime().Equal(when) {
			t.Errorf("owners %d:%d, time %v", stat.Uid, stat.Gid, info.ModTime())
		}
	}
}

// No link of the source leads out of its root, wherever it stands.
func TestCopyStaysInItsSource(t *testing.T) {
	t.Parallel()
	secret := t.TempDir()
	build(t, secret, "f passwd 600 secret")
	a, b, from, to := roots(t)
	build(t, a, "d etc 755", "f etc/passwd 644 own", "l abs "+secret, "l up ../../../../../.."+secret, "l file "+secret+"/passwd",
		"l self /etc", "l magic /proc/self/root")
	for _, path := range []string{"/abs/passwd", "/up/passwd", "/abs/", "/up/.", "/../../.." + secret + "/passwd", "/magic/etc/passwd"} {
		if err := tree.Copy(t.Context(), tree.Place{Root: from, Path: path}, tree.Place{Root: to}, tree.Rights{}, none(t)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	want(t, b)
	for _, path := range []string{"/self/passwd", "/file"} {
		if err := tree.Copy(t.Context(), tree.Place{Root: from, Path: path}, tree.Place{Root: to}, tree.Rights{}, none(t)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	want(t, b, "l file "+secret+"/passwd", "f passwd 644 own")
	machine := open(t, "/")
	err := tree.Copy(t.Context(), tree.Place{Root: machine, Path: "/proc/self/root/" + secret + "/passwd"}, tree.Place{Root: to}, tree.Rights{}, none(t))
	if !errors.Is(err, unix.ELOOP) {
		t.Errorf("through a link of the kernel: %v", err)
	}
}

// What would block, or do harm when it is read or made, is passed over.
func TestCopyPassesOver(t *testing.T) {
	t.Parallel()
	a, b, from, to := roots(t)
	build(t, a, "d d 755", "p d/fifo", "c d/null", "f d/x 644 x")
	var passed []string
	err := tree.Copy(t.Context(), tree.Place{Root: from, Path: "d"}, tree.Place{Root: to}, tree.Rights{}, func(path, what string) {
		passed = append(passed, path+" "+what)
	})
	slices.Sort(passed)
	if err != nil || !slices.Equal(passed, []string{"d/fifo a FIFO", "d/null a device"}) {
		t.Errorf("passed over %q, %v", passed, err)
	}
	want(t, b, "d d 755", "f d/x 644 x")
	for _, path := range []string{"d/fifo", "d/null"} {
		if err := tree.Copy(t.Context(), tree.Place{Root: from, Path: path}, tree.Place{Root: to}, tree.Rights{}, none(t)); err == nil {
			t.Errorf("%s was copied", path)
		}
	}
}

// Neither a link that is in the destination nor a FIFO there is followed.
func TestCopyStaysInItsDestination(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	a, b, from, to := roots(t)
	build(t, a, "d d 755", "d d/sub 755", "f d/sub/x 644 x", "f d/f 644 f")
	build(t, b, "d d 755", "l d/sub "+outside)
	copyIt := func() error {
		return tree.Copy(t.Context(), tree.Place{Root: from, Path: "d"}, tree.Place{Root: to}, tree.Rights{}, none(t))
	}
	if err := copyIt(); err == nil {
		t.Error("a link was taken for a directory")
	}
	want(t, outside)
	// In the place of a file, anything but a directory is replaced.
	for _, line := range []string{"l d/f " + outside + "/f", "p d/f", "c d/f"} {
		if err := os.RemoveAll(filepath.Join(b, "d")); err != nil {
			t.Fatal(err)
		}
		build(t, b, "d d 755", line)
		if err := copyIt(); err != nil {
			t.Error(err)
		}
		want(t, b, "d d 755", "f d/f 644 f", "d d/sub 755", "f d/sub/x 644 x")
	}
	want(t, outside)
	if err := os.RemoveAll(filepath.Join(b, "d/f")); err != nil {
		t.Fatal(err)
	}
	build(t, b, "d d/f 755")
	if err := copyIt(); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a file in the place of a directory: %v", err)
	}
}

// archive makes a tar archive.
func archive(t *testing.T, headers ...tar.Header) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := h.Uname // there is no better place
		h.Uname, h.Size = "", int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	build(t, outside, "f f 600 safe")
	reg := func(name, content string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Uname: content, Uid: 77, Gid: 78}
	}
	for _, c := range []struct {
		name    string
		headers []tar.Header
		want    []string // nil for an error
	}{
		{"no directories", []tar.Header{reg("a/b/c", "x"), reg("/d", "y"), reg("./e", "z")}, []string{"d a 755", "d a/b 755", "f a/b/c 644 x", "f d 644 y", "f e 644 z"}},
		{"up", []tar.Header{reg("../x", "x")}, nil},
		{"up in the middle", []tar.Header{reg("a/../../x", "x")}, nil},
		{"through a link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: outside}, reg("l/f", "x")}, nil},
		{"through a link that goes up", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}, reg("l/x", "x")}, nil},
		{"over a link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: outside + "/f"}, reg("l", "x")}, []string{"f l 644 x"}},
		{"link", []tar.Header{reg("a", "x"), {Typeflag: tar.TypeLink, Name: "b/c", Linkname: "a"}}, []string{"f a 644 x", "d b 755", "f b/c 644 x"}},
		{"link to itself", []tar.Header{reg("a", "x"), {Typeflag: tar.TypeLink, Name: "a", Linkname: "a"}}, []string{"f a 644 x"}},
		{"link out", []tar.Header{{Typeflag: tar.TypeLink, Name: "a", Linkname: "../f"}}, nil},
		{"link through a link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: outside}, {Typeflag: tar.TypeLink, Name: "a", Linkname: "l/f"}}, nil},
		{"link to a link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: outside + "/f"}, {Typeflag: tar.TypeLink, Name: "a", Linkname: "l"}}, nil},
		{"directory over a link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: outside}, {Typeflag: tar.TypeDir, Name: "l/", Mode: 0o777}}, nil},
		{"a name too long", []tar.Header{reg(strings.Repeat("x/", 3000)+"x", "x")}, nil},
	} {
		dir := t.TempDir()
		err := tree.Unpack(t.Context(), archive(t, c.headers...), tree.Place{Root: open(t, dir)}, tree.Rights{}, none(t))
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want != nil {
			want(t, dir, c.want...)
		}
		for _, line := range list(t, dir) {
			if strings.Contains(line, ".podrun-") {
				t.Errorf("%s: there is %s", c.name, line)
			}
		}
	}
	want(t, outside, "f f 600 safe")
	dir, passed := t.TempDir(), 0
	err := tree.Unpack(t.Context(), archive(t, tar.Header{Typeflag: tar.TypeChar, Name: "c"}, tar.Header{Typeflag: tar.TypeFifo, Name: "p"}),
		tree.Place{Root: open(t, dir)}, tree.Rights{}, func(string, string) { passed++ })
	if err != nil || passed != 2 {
		t.Errorf("%d passed over, %v", passed, err)
	}
	want(t, dir)
}

func TestPack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build(t, dir, "d d 750", "f d/f 640 content", "l d/l f")
	var buf bytes.Buffer
	if err := tree.Pack(t.Context(), &buf, tree.Place{Root: open(t, dir), Path: "/d/"}, none(t)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&buf); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%c %s %o %s%s", h.Typeflag, h.Name, h.Mode, data, h.Linkname))
	}
	slices.Sort(got)
	if want := []string{"0 d/f 640 content", "2 d/l 777 f", "5 d/ 750 "}; !slices.Equal(got, want) {
		t.Errorf("the archive holds %q", got)
	}
}

// A container that swaps a directory and a link to elsewhere as fast as it can
// leads no copy astray, in neither direction.
func TestCopyAgainstARenamingLoop(t *testing.T) {
	t.Parallel()
	secret := t.TempDir()
	build(t, secret, "f f 600 secret", "d sub 755", "f sub/f 600 secret")
	container, outside, inside, machine := roots(t)
	build(t, container, "d d 755", "d d/x 755", "f d/x/f 644 own", "d d/x/sub 755", "f d/x/sub/f 644 own", "l d/y "+secret)
	build(t, outside, "d in 755", "d in/x 755", "f in/x/new 644 new", "d in/x/sub 755", "f in/x/sub/new 644 new")
	ctx, cancel := context.WithCancel(t.Context())
	var swaps sync.WaitGroup
	swaps.Go(func() {
		x, y := filepath.Join(container, "d/x"), filepath.Join(container, "d/y")
		for ctx.Err() == nil {
			_ = unix.Renameat2(unix.AT_FDCWD, x, unix.AT_FDCWD, y, unix.RENAME_EXCHANGE)
		}
	})
	copied := 0
	for round := range 100 {
		out := fmt.Sprintf("out%d", round)
		// An error is as good as a copy of what was there.
		for _, err := range []error{
			tree.Copy(ctx, tree.Place{Root: inside, Path: "d"}, tree.Place{Root: machine, Path: out}, tree.Rights{}, none(t)),
			tree.Copy(ctx, tree.Place{Root: inside, Path: "d/x/sub"}, tree.Place{Root: machine, Path: out}, tree.Rights{}, none(t)),
			tree.Copy(ctx, tree.Place{Root: machine, Path: "in/."}, tree.Place{Root: inside, Path: "d"}, tree.Rights{}, none(t)),
			tree.Copy(ctx, tree.Place{Root: machine, Path: "in/x/sub"}, tree.Place{Root: inside, Path: "d/x"}, tree.Rights{}, none(t)),
		} {
			if err == nil {
				copied++
			}
		}
	}
	cancel()
	swaps.Wait()
	if copied == 0 {
		t.Error("nothing was ever copied")
	}
	for _, line := range list(t, outside) {
		if strings.HasSuffix(line, " secret") {
			t.Fatalf("there is %s", line)
		}
	}
	want(t, secret, "f f 600 secret", "d sub 755", "f sub/f 600 secret")
}

// A copy that is broken off leaves no part of a file.
func TestCopyIsBrokenOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	reader, writer := io.Pipe()
	broken := errors.New("enough")
	go func() {
		w := tar.NewWriter(writer)
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644, Size: 1 << 20})
		_, _ = w.Write(make([]byte, 1000))
		cancel(broken)
		_, _ = w.Write(make([]byte, 1000))
	}()
	if err := tree.Unpack(ctx, reader, tree.Place{Root: open(t, dir)}, tree.Rights{}, none(t)); !errors.Is(err, broken) {
		t.Errorf("ended with %v", err)
	}
	reader.Close()
	want(t, dir)
}

// Whatever an archive holds, nothing of it gets out of its directory.
func FuzzUnpack(f *testing.F) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755},
		{Typeflag: tar.TypeSymlink, Name: "d/l", Linkname: "../.."},
		{Typeflag: tar.TypeReg, Name: "d/l/f", Mode: 0o6777},
		{Typeflag: tar.TypeLink, Name: "h", Linkname: "d/l/f"},
		{Typeflag: tar.TypeFifo, Name: "p"},
	} {
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add(bytes.ReplaceAll(buf.Bytes(), []byte("d/l/f"), []byte("../.f")))
	f.Fuzz(func(t *testing.T, archive []byte) {
		dir := t.TempDir()
		build(t, dir, "d in 755", "f f 600 safe")
		in := open(t, filepath.Join(dir, "in"))
		_ = tree.Unpack(t.Context(), bytes.NewReader(archive), tree.Place{Root: in}, tree.Rights{}, func(string, string) {})
		if err := os.RemoveAll(filepath.Join(dir, "in")); err != nil {
			t.Fatal(err)
		}
		want(t, dir, "f f 600 safe")
	})
}
