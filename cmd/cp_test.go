package cmd

import (
	"os"
	"testing"
)

func TestPodPath(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string][2]string{
		"web:/etc": {"/etc", "web"}, "web:": {"", "web"}, "web:a:b": {"a:b", "web"},
		"file": {"file", ""}, "./a:b": {"./a:b", ""}, "/a:b": {"/a:b", ""}, "dir/a:b": {"dir/a:b", ""}, "..:x": {"..:x", ""}, ":x": {":x", ""}, "-": {"-", ""},
	} {
		if path, pod := podPath(arg); [2]string{path, pod} != want {
			t.Errorf("%q: path %q, pod %q", arg, path, pod)
		}
	}
}

// How a path ends is kept.
func TestOutside(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"-": "", "/a/b": "/a/b", "/a/": "/a/", "/a/.": "/a/.", "a": here + "/a", "a/": here + "/a/", ".": here + "/.", "./.": here + "/.",
	} {
		if got, err := outside(arg); err != nil || got != want {
			t.Errorf("%q: %q, %v", arg, got, err)
		}
	}
	if _, err := outside(""); err == nil {
		t.Error("an empty path is one")
	}
}
