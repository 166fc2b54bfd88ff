package test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copies: into an image that has no program for it, with its volumes and with
// the files that are mounted in it; and back.
func copies(t *testing.T, in *instance) {
	dir := t.TempDir()
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: copied}
spec:
  volumes: [{name: v}, {name: r}]
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", -wait=-1s]
    volumeMounts: [{name: v, mountPath: /v}, {name: r, mountPath: /r, readOnly: true}]
  - {name: b, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /w}, {name: r, mountPath: /r}]}
`)
	site := filepath.Join(dir, "site")
	if err := errors.Join(os.MkdirAll(filepath.Join(site, "sub"), 0o750), os.WriteFile(filepath.Join(site, "sub/f"), []byte("hello"), 0o600),
		os.Chmod(filepath.Join(site, "sub/f"), 0o640), os.Chown(filepath.Join(site, "sub/f"), 1000, 1000), os.Symlink("sub/f", filepath.Join(site, "l"))); err != nil {
		t.Fatal(err)
	}
	in.ok(t, "cp", site, "copied:/v")
	in.ok(t, "cp", site+"/.", "copied:/new")
	in.ok(t, "cp", site+"/sub/f", "copied:w/g", "-c", "b")
	r := ask(t, addr(pod.Status.PodIP, 80), "/v/site/l", "/new/sub/f", "/v/g")
	for path, f := range r.Files {
		if f.Data != "hello" || f.Mode != "-rw-r-----" || f.UID != 0 || f.GID != 0 {
			t.Errorf("%s is %+v", path, f)
		}
	}
	// What is mounted stays mounted.
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte("192.0.2.1 copied.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.ok(t, "cp", filepath.Join(dir, "hosts"), "copied:/etc/hosts")
	for _, name := range []string{"a", "b"} {
		in.ok(t, "cp", "copied:/etc/hosts", filepath.Join(dir, name), "-c", name)
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != "192.0.2.1 copied.test\n" {
			t.Errorf("/etc/hosts of %s: %q, %v", name, data, err)
		}
	}
	if r := in.run(t, "cp", site, "copied:/r").want(t, 1); !strings.Contains(r.stderr, "read-only file system") {
		t.Errorf("into a read-only volume: %s", r.stderr)
	}
	if got := in.ok(t, "exec", "copied", "-c", "b", "--", "ls", "-A", "/r"); got != "" {
		t.Errorf("the read-only volume has %q", got)
	}
	in.ok(t, "cp", "copied:/v/site", filepath.Join(dir, "back"))
	if target, err := os.Readlink(filepath.Join(dir, "back/l")); err != nil || target != "sub/f" {
		t.Errorf("the link came back as %q, %v", target, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "back/sub/f")); err != nil || string(data) != "hello" {
		t.Errorf("the file came back as %q, %v", data, err)
	}
	archive := in.ok(t, "cp", "copied:/v/site", "-")
	if got := members(t, archive); !slices.Equal(got, []string{"site/", "site/l", "site/sub/", "site/sub/f"}) {
		t.Errorf("the archive holds %q", got)
	}
	in.input(t, archive, "cp", "-", "copied:/v/site/sub").want(t, 0)
	if got := in.ok(t, "exec", "copied", "-c", "b", "--", "cat", "/w/site/sub/site/l"); got != "hello" {
		t.Errorf("the archive became %q", got)
	}
	in.run(t, "cp", "copied:/nothing", dir).want(t, 1)
	in.run(t, "cp", "copied:/v", dir, "-c", "nobody").want(t, 2)
	in.run(t, "cp", "copied:/v", "copied:/w").want(t, 2)
	in.run(t, "cp", dir, dir).want(t, 2)
	in.run(t, "cp", "nowhere:/v", dir).want(t, 1)
}

// members are the names in an archive, sorted.
func members(t *testing.T, archive string) (names []string) {
	t.Helper()
	r := tar.NewReader(strings.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// copiesNothingOfTheHost: whatever links, FIFOs and swapped directories a
// container has, a copy reads and writes its files alone.
func copiesNothingOfTheHost(t *testing.T, in *instance) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := errors.Join(os.Mkdir(secret, 0o755), os.WriteFile(filepath.Join(secret, "f"), []byte("secret"), 0o644)); err != nil {
		t.Fatal(err)
	}
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: hostile}
spec:
  containers:
  - name: a
    image: BUSYBOX
    command:
    - sh
    - -c
    - |
      ln -s %[1]s /abs; ln -s ../../../../../../..%[1]s /up; ln -s /proc/1/root/proc/1/cwd /magic
      mkdir /evil; ln -s %[1]s/f /evil/f; mkfifo /evil/fifo; mknod /evil/null c 1 3; mkdir /d /d/x; echo own >/d/x/f
      touch /ready
      while :; do mv -T /d/x /d/z; ln -s %[1]s /d/x; rm /d/x; mv -T /d/z /d/x; done
`, secret))
	eventually(t, settle, func() error {
		if r := in.run(t, "cp", "hostile:/ready", filepath.Join(dir, "ready")); r.code != 0 {
			return errors.New(r.stderr)
		}
		return nil
	})
	out := filepath.Join(dir, "out")
	for _, path := range []string{"/abs/f", "/up/f", "/magic/f", "/abs/.", "/evil/fifo", "/evil/null"} {
		in.run(t, "cp", "hostile:"+path, out).want(t, 1)
	}
	// A link is a link: in the container, and out of it.
	in.ok(t, "cp", "hostile:/evil", out)
	if target, err := os.Readlink(filepath.Join(out, "f")); err != nil || target != secret+"/f" {
		t.Errorf("the link came out as %q, %v", target, err)
	}
	for _, name := range []string{"fifo", "null"} {
		if _, err := os.Lstat(filepath.Join(out, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s came out: %v", name, err)
		}
	}
	own := filepath.Join(dir, "own")
	if err := os.WriteFile(own, []byte("own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.ok(t, "cp", own, "hostile:/evil/f")
	in.run(t, "cp", own, "hostile:/abs/f").want(t, 1)
	for i := range 10 {
		in.run(t, "cp", own, "hostile:/d/x/f")
		in.run(t, "cp", "hostile:/d", filepath.Join(dir, fmt.Sprint("loop", i)))
		in.run(t, "cp", "hostile:/d/x/f", filepath.Join(dir, fmt.Sprint("loop", i, "f")))
	}
	loops, err := filepath.Glob(filepath.Join(dir, "loop*"))
	if err != nil || len(loops) == 0 {
		t.Fatalf("nothing was copied: %v", err)
	}
	for _, loop := range loops {
		_ = filepath.WalkDir(loop, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				if data, _ := os.ReadFile(path); string(data) == "secret" {
					t.Errorf("%s is the host's", path)
				}
			}
			return nil
		})
	}
	entries, err := os.ReadDir(secret)
	if data, _ := os.ReadFile(filepath.Join(secret, "f")); err != nil || len(entries) != 1 || string(data) != "secret" {
		t.Errorf("the host has %v, %q", entries, data)
	}
}
