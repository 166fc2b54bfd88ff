package container

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"
)

func TestLayersOf(t *testing.T) {
	t.Parallel()
	overlay := func(options ...string) []mount.Mount {
		return []mount.Mount{{Type: "overlay", Source: "overlay", Options: options}}
	}
	for name, test := range map[string]struct{ rootfs, want []mount.Mount }{
		"layers":    {overlay("workdir=/w", "upperdir=/u", "lowerdir=/b:/a", "index=off"), overlay("lowerdir=/b:/a", "index=off")},
		"one layer": {overlay("index=off", "workdir=/w", "upperdir=/u", "lowerdir=/a"), bind("/a")},
		"no layers": {bind("/u"), bind("/u")},
	} {
		before := overlay()
		before[0].Options = append(before[0].Options, test.rootfs[0].Options...)
		if got := layersOf(test.rootfs); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v", name, got)
		}
		if !reflect.DeepEqual(test.rootfs[0].Options, before[0].Options) {
			t.Errorf("%s: the argument was changed: %+v", name, test.rootfs)
		}
	}
}

// The upper directory is not looked at, a later layer hides an earlier one, and a
// fleeting mount can be made by this kernel.
func TestOverlays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b", "upper", "work", "root"} {
		if err := os.Mkdir(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b", "upper"} {
		if err := os.WriteFile(at(name)+"/file", []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rootfs := []mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{
		"workdir=" + at("work"), "upperdir=" + at("upper"), "lowerdir=" + at("b") + ":" + at("a"),
	}}}
	for _, test := range []struct {
		rootfs []mount.Mount
		want   string
	}{
		{layersOf(rootfs), "b"},
		{fleeting(rootfs), "upper"},
	} {
		if err := mount.All(test.rootfs, at("root")); err != nil {
			t.Fatalf("%+v: %v", test.rootfs, err)
		}
		data, err := os.ReadFile(at("root") + "/file")
		if err := errors.Join(err, mount.UnmountAll(at("root"), unix.MNT_DETACH)); err != nil {
			t.Fatal(err)
		}
		if string(data) != test.want {
			t.Errorf("read %q, want %q", data, test.want)
		}
	}
	if err := mount.All(fleeting(rootfs), at("root")); err == nil {
		_ = mount.UnmountAll(at("root"), unix.MNT_DETACH)
		t.Error("a fleeting root filesystem was mounted a second time: is it one?")
	}
}
