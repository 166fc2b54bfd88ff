package objects

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func configMap(name, value string) *v1.ConfigMap {
	return &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"key": value}}
}

func secret(name, value string) *v1.Secret {
	return &v1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Type:       v1.SecretTypeOpaque,
		Data:       map[string][]byte{"key": []byte(value)},
	}
}

func put(t *testing.T, s *Store, object Object, want Change) {
	t.Helper()
	if got, err := s.Put(object); err != nil || got != want {
		t.Fatalf("put %s: %q, %v, want %q", RefOf(object), got, err, want)
	}
}

func TestPutGetDelete(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	object := configMap("env", "one")
	ref := RefOf(object)
	if _, err := s.Get(ref); !errdefs.IsNotFound(err) {
		t.Errorf("before: %v", err)
	}
	put(t, s, object, Created)
	put(t, s, object, Unchanged)
	put(t, s, configMap("env", "two"), Configured)
	put(t, s, secret("env", "x"), Created) // another kind is another object
	got, err := s.Get(ref)
	if err != nil || !Equal(got, configMap("env", "two")) {
		t.Errorf("got %+v, %v", got, err)
	}
	for range 2 {
		if err := s.Delete(ref); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(ref); !errdefs.IsNotFound(err) {
		t.Errorf("after: %v", err)
	}
	if _, err := s.Get(Ref{Secret, "default", "env"}); err != nil {
		t.Errorf("the object of the other kind: %v", err)
	}
	if err := s.Delete(Ref{Secret, "default", "env"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left behind: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	if refs, err := s.List(ConfigMap); err != nil || len(refs) > 0 {
		t.Errorf("of nothing: %v, %v", refs, err)
	}
	elsewhere := configMap("c", "")
	elsewhere.Namespace = "a"
	for _, object := range []Object{configMap("b", ""), elsewhere, configMap("a", ""), secret("s", "")} {
		put(t, s, object, Created)
	}
	want := []Ref{{ConfigMap, "a", "c"}, {ConfigMap, "default", "a"}, {ConfigMap, "default", "b"}}
	if refs, err := s.List(ConfigMap); err != nil || !reflect.DeepEqual(refs, want) {
		t.Errorf("got %v, %v, want %v", refs, err, want)
	}
}

func TestOnlyRootReads(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	root := t.TempDir()
	s := New(root)
	put(t, s, secret("login", "hunter2"), Created)
	put(t, s, secret("login", "hunter3"), Configured)
	files := 0
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = fs.ModeDir | 0o700
		} else {
			files++
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		return nil
	})
	if err != nil || files != 1 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestNamesStayInside(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "precious"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(root)
	long := strings.Repeat("a", 253) // the longest name that Kubernetes has
	put(t, s, configMap(long, ""), Created)
	for _, ref := range []Ref{
		{ConfigMap, "default", ""}, {ConfigMap, "", "a"}, {ConfigMap, "default", "."}, {ConfigMap, "default", ".."},
		{ConfigMap, "..", "precious"}, {ConfigMap, "default", "../../precious"}, {ConfigMap, "../..", "precious"},
		{ConfigMap, "default", "/etc/passwd"}, {ConfigMap, "default", unfinished + "1"}, {ConfigMap, "default", "a\x00b"},
		{"..", "default", "a"}, {"Pod", "default", "a"},
	} {
		_, err := s.Get(ref)
		if err == nil || errdefs.IsNotFound(err) {
			t.Errorf("get %+v: %v", ref, err)
		}
		if err := s.Delete(ref); err == nil {
			t.Errorf("deleted %+v", ref)
		}
	}
	if _, err := s.Put(configMap("../precious", "")); err == nil {
		t.Error("put outside")
	}
	if _, err := os.Stat(filepath.Join(root, "precious")); err != nil {
		t.Error(err)
	}
}

func TestAKilledWriterLeavesWhatCanBeSwept(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	put(t, s, configMap("env", "one"), Created)
	path, err := s.file(RefOf(configMap("env", "")))
	if err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(filepath.Dir(path), unfinished+"1")
	if err := os.WriteFile(leftover, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if refs, err := s.List(ConfigMap); err != nil || len(refs) != 1 {
		t.Errorf("list: %v, %v", refs, err)
	}
	files, err := s.Leftovers()
	if err != nil || !reflect.DeepEqual(files, []string{leftover}) {
		t.Fatalf("leftovers: %v, %v", files, err)
	}
	if err := s.Sweep(files); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(leftover); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after sweeping: %v", err)
	}
	if _, err := s.Get(RefOf(configMap("env", ""))); err != nil {
		t.Error(err)
	}
}

// TestReadersSeeWholeObjects has one reader beside a writer that changes an
// object's size all the time.
func TestReadersSeeWholeObjects(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	put(t, s, configMap("env", ""), Created)
	done := make(chan error, 1)
	go func() {
		for i := range 50 {
			if _, err := s.Put(configMap("env", strings.Repeat("x", 1+i%7*5000))); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		if _, err := s.Get(Ref{ConfigMap, "default", "env"}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	changed, err := s.Watch(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	// Each is told although the directories go and come.
	for name, change := range map[string]func() error{
		"first of a kind": func() error { _, err := s.Put(configMap("env", "one")); return err },
		"another kind":    func() error { _, err := s.Put(secret("login", "one")); return err },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		hinted(t, changed, name)
	}
	put(t, s, configMap("env", "two"), Configured)
	hinted(t, changed, "changed")
	if err := s.Delete(Ref{ConfigMap, "default", "env"}); err != nil {
		t.Fatal(err)
	}
	hinted(t, changed, "deleted, and its directory")
	put(t, s, configMap("env", "three"), Created)
	hinted(t, changed, "made again")
	put(t, s, configMap("env", "four"), Configured)
	hinted(t, changed, "changed again")
	cancel()
}

// hinted waits for a hint after a change, and takes those that belong to it.
func hinted(t *testing.T, changed <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: not told", what)
	}
	for quiet := time.NewTimer(50 * time.Millisecond); ; {
		select {
		case <-changed:
		case <-quiet.C:
			return
		}
	}
}
