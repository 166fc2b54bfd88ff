package container

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"podrun/container/oci"
)

// bind makes a directory stand for an image's root filesystem; it needs root.
func bind(dir string) []mount.Mount {
	return []mount.Mount{{Type: "bind", Source: dir, Options: []string{"rbind", "ro"}}}
}

func rootfs(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestResolveUser(t *testing.T) {
	t.Parallel()
	accounts := map[string]string{
		"etc/passwd": "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n007:x:0:0::/:/bin/sh\n",
		"etc/group":  "root:x:0:\nwheel:x:10:root\napp:x:1001:\nextra:x:2000:app\n",
	}
	for name, test := range map[string]struct {
		identity oci.Identity
		want     oci.User
	}{
		"root":      {oci.Identity{User: "0"}, oci.User{AdditionalGids: []uint32{10}}},
		"name":      {oci.Identity{User: "app"}, oci.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{2000}}},
		"number":    {oci.Identity{User: "1000"}, oci.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{2000}}},
		"no number": {oci.Identity{User: "007"}, oci.User{UID: 7}}, // although there is a user of this name
		"stranger":  {oci.Identity{User: "4711"}, oci.User{UID: 4711}},
		"group": {oci.Identity{User: "app", Group: new(uint32(12)), Groups: []uint32{3000}},
			oci.User{UID: 1000, GID: 12, AdditionalGids: []uint32{2000, 3000}}},
		"strict": {oci.Identity{User: "app", Strict: true, Groups: []uint32{3000}},
			oci.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{3000}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := test.want
			at := filepath.Join(t.TempDir(), "rootfs")
			got, err := ResolveUser(test.identity, bind(rootfs(t, accounts)), at)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the mount point is still there: %v", err)
			}
		})
	}
}

func TestResolveUserRefuses(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{
		"2147483648", "4294967296", "-1", "99999999999999999999", "0:4294967296", // would wrap around
		"nobody-here", "0:nogroup-here",
	} {
		if got, err := ResolveUser(oci.Identity{User: spec}, bind(rootfs(t, nil)), filepath.Join(t.TempDir(), "rootfs")); err == nil {
			t.Errorf("%q: %+v", spec, got)
		}
	}
}

// An image's files are its maker's: nothing outside of it is read, and nothing
// can make the reader wait.
func TestResolveUserHostile(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("app:x:0:0::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(passwd string) error{
		"link to the host":   func(p string) error { return os.Symlink(outside, p) },
		"link upwards":       func(p string) error { return os.Symlink(strings.Repeat("../", 30)+outside, p) },
		"FIFO":               func(p string) error { return unix.Mkfifo(p, 0o644) },
		"directory":          func(p string) error { return os.Mkdir(p, 0o755) },
		"link to itself":     func(p string) error { return os.Symlink("passwd", p) },
		"device of the host": func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := rootfs(t, map[string]string{"etc/group": ""})
			if err := make(filepath.Join(dir, "etc/passwd")); err != nil {
				t.Fatal(err)
			}
			if got, err := ResolveUser(oci.Identity{User: "app"}, bind(dir), filepath.Join(t.TempDir(), "rootfs")); err == nil {
				t.Errorf("resolved to %+v", got)
			}
		})
	}
}

func TestInputTellsItsEndOnce(t *testing.T) {
	t.Parallel()
	in, ends := newInput(strings.NewReader("text")), 0
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(in.reader())
		// Readers may ask again.
		_, _ = in.Read(make([]byte, 1))
		read <- string(text)
	}()
	in.atEnd(func() { ends++ })
	if text := <-read; text != "text" || ends != 1 {
		t.Errorf("read %q, told %d times", text, ends)
	}
	if newInput(nil).reader() != nil {
		t.Error("no input has a reader")
	}
}
