package volume

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// mountOne mounts a path of a volume into a container.
func mountOne(dir, root string, m v1.VolumeMount, vars ...v1.EnvVar) (string, error) {
	m.Name, m.MountPath = "v", "/v"
	spec := &v1.Container{Name: "c", Env: vars, VolumeMounts: []v1.VolumeMount{m}}
	mounts, err := Mounts(spec, dir, map[string]Volume{"v": {Path: root}})
	if err != nil {
		return "", err
	}
	return mounts[0].Source, nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSubPath(t *testing.T) {
	dir, root := volumeDir(t), t.TempDir()
	write(t, filepath.Join(root, "d/file"), "inside")
	for link, target := range map[string]string{"link": "d", "filelink": "d/file"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, file := range map[string]string{"d": "file", "d/file": "", "./d/": "file", "link": "file", "filelink": ""} {
		for range 2 { // as for the next instance of the container
			source, err := mountOne(dir, root, v1.VolumeMount{SubPath: path})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if data, err := os.ReadFile(filepath.Join(source, file)); err != nil || string(data) != "inside" {
				t.Errorf("%s: %q, %v", path, data, err)
			}
		}
	}
}

func TestSubPathIsMadeLikeTheRoot(t *testing.T) {
	dir, root := volumeDir(t), t.TempDir()
	if err := os.Chmod(root, fs.ModeSetgid|fs.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := mountOne(dir, root, v1.VolumeMount{SubPath: "a/b"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a/b"} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.Mode() != fs.ModeDir|fs.ModeSetgid|fs.ModeSticky|0o777 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestSubPathExpr(t *testing.T) {
	dir, root := volumeDir(t), t.TempDir()
	vars := []v1.EnvVar{{Name: "POD", Value: "web"}, {Name: "EMPTY"}, {Name: "BOTH", Value: "$(POD)-1"}, {Name: "OUT", Value: "../x"}}
	for expression, want := range map[string]string{
		"$(POD)/logs": "", "$(BOTH)": "",
		"$(NONE)/$(EMPTY)/$(NONE)": "missing value for EMPTY, NONE",
		"$(OUT)":                   "unable to provision SubPath `../x`: must not contain '..'",
		"/$(POD)":                  "error SubPath `/web` must not be an absolute path",
	} {
		_, err := mountOne(dir, root, v1.VolumeMount{SubPathExpr: expression}, vars...)
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %s", expression, err, want)
		}
	}
	for _, made := range []string{"web/logs", "web-1"} {
		if _, err := os.Stat(filepath.Join(root, made)); err != nil {
			t.Error(err)
		}
	}
}

// TestSubPathDoesNotLeadOut tries what a container that may write into the
// volume may prepare for the next one.
func TestSubPathDoesNotLeadOut(t *testing.T) {
	dir, root, outside := volumeDir(t), t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "secret"), "outside")
	if err := os.Mkdir(filepath.Join(root, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"absolute": outside, "up": "../" + filepath.Base(outside), "d/up": "../../" + filepath.Base(outside),
		"proc": "/proc/self/root", "fd": "/proc/self/fd", "loop": "loop", "file": filepath.Join(outside, "secret"),
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"absolute", "absolute/secret", "absolute/new", "up", "d/up/secret", "d/up/new", "proc/etc", "fd/0", "loop", "file"} {
		_, err := mountOne(dir, root, v1.VolumeMount{SubPath: path})
		if err == nil || !strings.HasPrefix(err.Error(), `failed to prepare subPath for volumeMount "v" of container "c"`) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside: %v, %v", entries, err)
	}
}

// TestSubPathInARace renames a directory and a link to the outside onto each
// other's place all the time.
func TestSubPathInARace(t *testing.T) {
	dir, root, outside := volumeDir(t), t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "file"), "outside")
	write(t, filepath.Join(root, "a/file"), "inside")
	if err := os.Symlink(outside, filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, root+"/a", unix.AT_FDCWD, root+"/b", unix.RENAME_EXCHANGE)
			}
		}
	}()
	inside, refused := 0, 0
	for i := range 3000 {
		source, err := mountOne(dir, root, v1.VolumeMount{SubPath: []string{"a/file", "a", fmt.Sprintf("a/new-%d", i)}[i%3]})
		if err != nil {
			refused++
			continue
		}
		inside++
		data, err := os.ReadFile(source)
		if i%3 == 1 {
			data, err = os.ReadFile(filepath.Join(source, "file"))
		}
		if i%3 != 2 && (err != nil || string(data) != "inside") {
			t.Fatalf("mounted %q, %v", data, err)
		}
	}
	close(stop)
	<-stopped
	if inside == 0 || refused == 0 {
		t.Errorf("%d times inside, %d times refused: there was no race", inside, refused)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside: %v, %v", entries, err)
	}
}

func TestVariable(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "env"), "A='outside'\n")
	write(t, filepath.Join(root, "env"), "# text\nA='one'\nB='two\nlines' # text\n")
	write(t, filepath.Join(root, "bad"), "A=one\n")
	write(t, filepath.Join(root, "large"), strings.Repeat("#\n", maxVariables))
	for link, target := range map[string]string{"link": "env", "rooted": "/env", "out": filepath.Join(outside, "env"), "up": "../" + filepath.Base(outside) + "/env"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, name, want, err string }{
		{"env", "A", "one", ""}, {"env", "B", "two\nlines", ""}, {"env", "C", "", ""}, {"link", "A", "one", ""}, {"rooted", "A", "one", ""},
		{"bad", "A", "", "couldn't parse env file"}, {"none", "A", "", "couldn't parse env file"}, {"fifo", "A", "", "couldn't parse env file"},
		{".", "A", "", "couldn't parse env file"}, {"large", "A", "", "couldn't parse env file"},
		{"out", "A", "", "couldn't parse env file"}, {"up", "A", "", "couldn't parse env file"},
	} {
		got, err := Variable(Volume{Path: root}, test.path, test.name)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s of %s: %q, %v, want %q", test.name, test.path, got, err, test.want)
		}
	}
}
