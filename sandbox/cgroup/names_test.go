package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestNames(t *testing.T) {
	t.Parallel()
	own := &Driver{root: "podrun"}
	other := &Driver{root: "podrun", systemd: true}
	for _, test := range []struct {
		name                 string
		resources            v1.ResourceRequirements
		path, slices, parent string // the last one for runtimes
	}{
		{
			"guaranteed", resources("cpu=1,memory=1Gi", "cpu=1,memory=1Gi"),
			"/podrun/pod12-ab", "/podrun.slice/podrun-pod12_ab.slice", "podrun-pod12_ab.slice",
		},
		{
			"burstable", resources("cpu=1", ""), "/podrun/burstable/pod12-ab",
			"/podrun.slice/podrun-burstable.slice/podrun-burstable-pod12_ab.slice", "podrun-burstable-pod12_ab.slice",
		},
		{
			"best effort", resources("", ""), "/podrun/besteffort/pod12-ab",
			"/podrun.slice/podrun-besteffort.slice/podrun-besteffort-pod12_ab.slice", "podrun-besteffort-pod12_ab.slice",
		},
	} {
		pod := podOf(test.resources)
		pod.UID = "12-ab"
		for _, name := range []struct{ got, want string }{
			{own.Path(pod), test.path},
			{own.Parent(pod), test.path},
			{own.ContainerPath(pod, "c1"), test.path + "/c1"},
			{other.Path(pod), test.slices},
			{other.Parent(pod), test.parent},
			{other.ContainerPath(pod, "c1"), test.slices + "/podrun-c1.scope"},
		} {
			if name.got != name.want {
				t.Errorf("%s: %s, want %s", test.name, name.got, name.want)
			}
		}
		for _, d := range []*Driver{own, other} {
			uid, ok := d.uidOf(level(pod), path.Base(d.Path(pod)))
			if !ok || uid != "12-ab" {
				t.Errorf("%s: UID %s, %v of %s", test.name, uid, ok, d.Path(pod))
			}
		}
	}
	for d, names := range map[*Driver][]string{
		own:   {"", "pod", "system", "burstable", "cgroup.procs"},
		other: {"", "podrun-burstable.slice", "podrun-pod.slice", "podrun-burstable-pod.slice", "podrun-pod1.scope", "pod1", "cgroup.procs"},
	} {
		for _, name := range names {
			for _, level := range levels {
				if uid, ok := d.uidOf(level, name); ok {
					t.Errorf("%q on level %q is pod %s", name, level, uid)
				}
			}
		}
	}
}

func TestUnsafeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", ".", "..", "a/b", "/", "../../x", "a\x00"} {
		if _, err := Detect(name); err == nil {
			t.Errorf("root %q was taken", name)
		}
		d := &Driver{root: "podrun"}
		pod := podOf(resources("", ""))
		pod.UID = types.UID(name)
		for verb, err := range map[string]error{
			"create": d.Create(pod),
			"kill":   d.Kill(name),
			"remove": d.Remove(name),
		} {
			if err == nil {
				t.Errorf("%s took the UID %q", verb, name)
			}
		}
	}
}

// With v2 the caller's cgroup tells nothing: it may have no memory controller.
func TestSwapV2(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &Driver{root: "podrun", unified: true, hierarchies: []hierarchy{{path: dir}}}
	for _, test := range []struct {
		file string // that comes into being
		want bool
	}{
		{"cgroup.controllers", false},
		{"podrun/cgroup.controllers", false},
		{"system.slice/memory.max", false},
		{"system.slice/memory.swap.max", true},
	} {
		file := filepath.Join(dir, test.file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := d.Swap(); got != test.want {
			t.Errorf("with %s: %v, want %v", test.file, got, test.want)
		}
	}
}

func TestHierarchies(t *testing.T) {
	t.Parallel()
	mount := func(minor int, path, options string) *mountinfo.Info {
		return &mountinfo.Info{Major: 0, Minor: minor, Mountpoint: path, VFSOptions: options}
	}
	found := hierarchies([]*mountinfo.Info{
		mount(1, "/sys/fs/cgroup/unified", "rw,nsdelegate"),
		mount(2, "/sys/fs/cgroup/systemd", "rw,xattr,name=systemd"),
		mount(3, "/mnt/somewhere/else/cpu,cpuacct", "rw,cpu,cpuacct"),
		mount(4, "/sys/fs/cgroup/elogind", "rw,name=elogind"),
		mount(3, "/sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct"),
		mount(3, "/var/lib/some/root/sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct"),
		mount(5, "/sys/fs/cgroup/memory", "rw,memory"),
	})
	var got []string
	for _, h := range found {
		got = append(got, h.path)
	}
	want := "[/sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/memory]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	d := &Driver{root: "podrun", hierarchies: found}
	if dir, err := d.dir("cpu", "/podrun"); err != nil || dir != "/sys/fs/cgroup/cpu,cpuacct/podrun" {
		t.Errorf("cpu is in %s, %v", dir, err)
	}
	if _, err := d.dir("pids", "/podrun"); err == nil || !strings.Contains(err.Error(), "no pids controller") {
		t.Errorf("pids: got %v", err)
	}
}
