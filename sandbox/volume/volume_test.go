package volume

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func pod(volumes ...v1.Volume) *v1.Pod {
	return &v1.Pod{Spec: v1.PodSpec{Volumes: volumes, Containers: []v1.Container{{Name: "c"}}}}
}

func emptyDir(name string, source v1.EmptyDirVolumeSource) v1.Volume {
	return v1.Volume{Name: name, VolumeSource: v1.VolumeSource{EmptyDir: &source}}
}

func hostPath(path string, hostPathType v1.HostPathType) v1.Volume {
	return v1.Volume{Name: "host", VolumeSource: v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: path, Type: &hostPathType}}}
}

// volumeDir is removed as a pod's directory is, so that no mount is left behind.
func volumeDir(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test mounts file systems and must run as root")
	}
	dir := filepath.Join(t.TempDir(), "volumes")
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func setUp(t *testing.T, dir string, pod *v1.Pod) map[string]string {
	t.Helper()
	volumes, err := Setup(context.Background(), Input{Dir: dir, Pod: pod})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for name, vol := range volumes {
		paths[name] = vol.Path
	}
	return paths
}

func TestEmptyDirIsForEverybodyAndKeepsItsContents(t *testing.T) {
	dir := volumeDir(t)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	p := pod(emptyDir("data", v1.EmptyDirVolumeSource{}))
	path := setUp(t, dir, p)["data"]
	if want := filepath.Join(dir, "kubernetes.io~empty-dir/data"); path != want {
		t.Errorf("path = %q, want %q", path, want)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeDir|0o777 {
		t.Errorf("mode = %v, want drwxrwxrwx", info.Mode())
	}
	kept := filepath.Join(path, "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setUp(t, dir, p)
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("contents after a second set-up: %v", err)
	}
}

func TestEmptyDirInMemoryIsMountedOnceWithItsSize(t *testing.T) {
	dir := volumeDir(t)
	limit := resource.MustParse("4Mi")
	p := pod(emptyDir("mem", v1.EmptyDirVolumeSource{Medium: v1.StorageMediumMemory, SizeLimit: &limit}))
	setUp(t, dir, p)
	path := setUp(t, dir, p)["mem"]
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(mounts) != 1 || mounts[0].FSType != "tmpfs" || !strings.Contains(mounts[0].VFSOptions, "size=4096k") {
		t.Errorf("mounts = %+v, want one tmpfs of 4096k", mounts)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeDir|fs.ModeSticky|0o777 {
		t.Errorf("mode = %v, want the kernel's 1777", info.Mode())
	}
}

func TestMemorySize(t *testing.T) {
	t.Parallel()
	limits := func(memory ...string) []v1.Container {
		var list []v1.Container
		for _, m := range memory {
			var c v1.Container
			if m != "" {
				c.Resources.Limits = v1.ResourceList{v1.ResourceMemory: resource.MustParse(m)}
			}
			list = append(list, c)
		}
		return list
	}
	const machine = 1000
	for _, test := range []struct {
		name       string
		containers []v1.Container
		podLimit   string
		sizeLimit  string
		want       int64
	}{
		{name: "the machine's", containers: limits(""), want: machine},
		{name: "the pod's, when all containers have a limit", containers: limits("200", "300"), want: 500},
		{name: "one container is not limited", containers: limits("200", ""), want: machine},
		{name: "the pod as a whole is limited", containers: limits(""), podLimit: "700", want: 700},
		{name: "the volume's", containers: limits("200"), sizeLimit: "100", want: 100},
		{name: "the volume's limit is above the pod's", containers: limits("200"), sizeLimit: "300", want: 200},
		{name: "no limit at all is written as zero", containers: limits(""), sizeLimit: "0", want: machine},
		{name: "the pod's limit is above the machine", containers: limits("2000"), want: machine},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := &v1.Pod{Spec: v1.PodSpec{Containers: test.containers}}
			if test.podLimit != "" {
				p.Spec.Resources = &v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceMemory: resource.MustParse(test.podLimit)}}
			}
			var source v1.EmptyDirVolumeSource
			if test.sizeLimit != "" {
				size := resource.MustParse(test.sizeLimit)
				source.SizeLimit = &size
			}
			if got := memorySize(machine, p, &source); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestHostPathTypes(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir, file, socket, missing := base+"/dir", base+"/file", base+"/socket", base+"/missing"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, test := range []struct {
		path  string
		types v1.HostPathType
		want  string // error, after the part that is the same for all
	}{
		{file, v1.HostPathUnset, ""},
		{dir, v1.HostPathDirectory, ""},
		{dir, v1.HostPathDirectoryOrCreate, ""},
		{file, v1.HostPathFile, ""},
		{file, v1.HostPathFileOrCreate, ""},
		{socket, v1.HostPathSocket, ""},
		{"/dev/null", v1.HostPathCharDev, ""},
		{file, v1.HostPathDirectory, "is not a directory"},
		{file, v1.HostPathDirectoryOrCreate, "is not a directory"},
		{missing, v1.HostPathDirectory, "is not a directory"},
		{dir, v1.HostPathFile, "is not a file"},
		{socket, v1.HostPathFileOrCreate, "is not a file"},
		{missing, v1.HostPathFile, "is not a file"},
		{file, v1.HostPathSocket, "is not a socket file"},
		{file, v1.HostPathCharDev, "is not a character device"},
		{"/dev/null", v1.HostPathBlockDev, "is not a block device"},
	} {
		_, err := Setup(context.Background(), Input{Dir: base + "/volumes", Pod: pod(hostPath(test.path, test.types))})
		switch want := `set up volume "host": hostPath type check failed: ` + test.path + " " + test.want; {
		case test.want == "" && err != nil:
			t.Errorf("%s as %q: %v", test.path, test.types, err)
		case test.want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s as %q: error = %v\nwant %s", test.path, test.types, err, want)
		}
	}
}

func TestHostPathIsMadeWhereItsTypeSaysSo(t *testing.T) {
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	base := t.TempDir()
	for _, test := range []struct {
		types v1.HostPathType
		want  fs.FileMode
	}{
		{v1.HostPathUnset, fs.ModeDir | 0o755},
		{v1.HostPathDirectoryOrCreate, fs.ModeDir | 0o755},
		{v1.HostPathFileOrCreate, 0o644},
	} {
		path := filepath.Join(base, "new"+string(test.types))
		if _, err := Setup(context.Background(), Input{Dir: base, Pod: pod(hostPath(path, test.types))}); err != nil {
			t.Error(err)
			continue
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != test.want {
			t.Errorf("type %q: %v, %v, want %v", test.types, info, err, test.want)
		}
	}
	_, err := Setup(context.Background(), Input{Dir: base, Pod: pod(hostPath(base+"/no/parent", v1.HostPathFileOrCreate))})
	if err == nil {
		t.Error("the parent of a file was made")
	}
}

// TestHostPathChanges: what has taken the place of what was checked is found when
// it is mounted, whole or in part.
func TestHostPathChanges(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "host")
	write(t, filepath.Join(path, "below/mine"), "mine")
	pod := pod(hostPath(path, v1.HostPathDirectory))
	volumes, err := Setup(context.Background(), Input{Dir: base + "/volumes", Pod: pod})
	if err != nil {
		t.Fatal(err)
	}
	whole := &v1.Container{Name: "c", VolumeMounts: []v1.VolumeMount{{Name: "host", MountPath: "/host"}}}
	part := &v1.Container{Name: "c", VolumeMounts: []v1.VolumeMount{{Name: "host", MountPath: "/host", SubPath: "below"}}}
	dir := volumeDir(t)
	look := func() (string, string) {
		_, errPart := Mounts(part, dir, volumes)
		return fmt.Sprint(CheckMounted(base, Demands(pod, whole))), fmt.Sprint(errPart)
	}
	if whole, part := look(); whole != "<nil>" || part != "<nil>" || len(Demands(pod, &v1.Container{})) > 0 {
		t.Errorf("got %s, %s", whole, part)
	}
	if err := os.Rename(path, path+"-away"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "another's")
	want := "hostPath type check failed: " + path + " is not a directory"
	if whole, part := look(); whole != want || !strings.HasSuffix(part, want) {
		t.Errorf("got %s, %s, want %s", whole, part, want)
	}
}

func TestUnknownVolumeIsRefused(t *testing.T) {
	t.Parallel()
	_, err := Setup(context.Background(), Input{Dir: t.TempDir(), Pod: pod(v1.Volume{Name: "x"})})
	if err == nil || !strings.Contains(err.Error(), `volume "x"`) {
		t.Errorf("error = %v", err)
	}
}

func TestRemoveTouchesNothingOutside(t *testing.T) {
	dir := volumeDir(t)
	outside := t.TempDir()
	precious := filepath.Join(outside, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := setUp(t, dir, pod(emptyDir("data", v1.EmptyDirVolumeSource{})))["data"]
	for _, link := range []string{outside, precious, "/"} {
		if err := os.Symlink(link, filepath.Join(path, "link"+filepath.Base(link))); err != nil {
			t.Fatal(err)
		}
	}
	// Mounts on top of and below each other, a mounted file, a mount that is busy.
	deep := filepath.Join(path, "a/b/c")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	bind(t, outside, filepath.Join(path, "a"))
	bind(t, outside, filepath.Join(path, "a"))
	mountpoint := filepath.Join(path, "file")
	if err := os.WriteFile(mountpoint, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bind(t, precious, mountpoint)
	busy, err := os.Open(filepath.Join(path, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()

	for range 2 { // a second time, there is nothing to do
		if err := Remove(context.Background(), dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("directory: %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("a file outside: %v", err)
	}
}

func TestRemovingDoesNotCrossAMount(t *testing.T) {
	dir := volumeDir(t)
	outside := t.TempDir()
	precious := filepath.Join(outside, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(dir, "below")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	bind(t, outside, below)
	// As if it had been mounted after all mounts were taken away.
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	if err := removeAt(parent, filepath.Base(dir)); err == nil {
		t.Error("removed across a mount")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("a file on the mount: %v", err)
	}
}

func bind(t *testing.T, source, target string) {
	t.Helper()
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
}
