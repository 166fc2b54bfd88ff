package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"podrun/container/env"
)

var given = env.Objects{
	ConfigMaps: map[string]*v1.ConfigMap{
		"conf": {Data: map[string]string{"a": "one", "b": "two"}, BinaryData: map[string][]byte{"bin": {0, 1}}},
	},
	Secrets: map[string]*v1.Secret{"login": {Data: map[string][]byte{"password": []byte("hunter2")}}},
}

// input is the input of a pod with one volume, given in YAML.
func input(t *testing.T, volume string) Input {
	t.Helper()
	vol := v1.Volume{Name: "v"}
	if err := yaml.UnmarshalStrict([]byte(volume), &vol.VolumeSource); err != nil {
		t.Fatal(err)
	}
	p := pod(vol)
	p.ObjectMeta = metav1.ObjectMeta{Name: "web", Labels: map[string]string{"tier": "front", "app": "w"}}
	p.Spec.Containers[0].Resources.Limits = v1.ResourceList{v1.ResourceMemory: resource.MustParse("64Mi")}
	return Input{Pod: p, Objects: given}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		volume string
		want   string // PATH MODE DATA, separated by " | "
		err    string
	}{
		"a whole ConfigMap":      {`{configMap: {name: conf}}`, `a 644 one | b 644 two | bin 644 \x00\x01`, ""},
		"with a mode":            {`{configMap: {name: conf, defaultMode: 256, items: [{key: a, path: a}]}}`, "a 400 one", ""},
		"items, paths and modes": {`{configMap: {name: conf, items: [{key: a, path: x/y, mode: 511}, {key: b, path: z}]}}`, "x/y 777 one | z 644 two", ""},
		"a Secret":               {`{secret: {secretName: login}}`, "password 644 hunter2", ""},
		"no such ConfigMap":      {`{configMap: {name: none}}`, "", `configmap "none" not found`},
		"no such Secret":         {`{secret: {secretName: none}}`, "", `secret "none" not found`},
		"no such key":            {`{configMap: {name: conf, items: [{key: c, path: c}]}}`, "", "configmap references non-existent config key: c"},
		"no such secret key":     {`{secret: {secretName: login, items: [{key: c, path: c}]}}`, "", "references non-existent secret key: c"},
		"optional, no object":    {`{configMap: {name: none, optional: true}}`, "", ""},
		"optional, no key":       {`{secret: {secretName: login, optional: true, items: [{key: c, path: c}, {key: password, path: p}]}}`, "p 644 hunter2", ""},
		"the downward API": {`{downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: d/mem, mode: 288, resourceFieldRef: {containerName: c, resource: limits.memory, divisor: 1Mi}}]}}`,
			`d/mem 440 64 | labels 644 app="w"\ntier="front"`, ""},
		"no such container": {`{downwardAPI: {items: [{path: m, resourceFieldRef: {containerName: none, resource: limits.memory}}]}}`, "", "container none not found"},
		"projected, the later wins": {`{projected: {sources: [{configMap: {name: conf}}, {secret: {name: login, items: [{key: password, path: a}]}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}`,
			`a 644 hunter2 | b 644 two | bin 644 \x00\x01 | name 644 web`, ""},
		"projected, all that is wrong": {`{projected: {sources: [{configMap: {name: x}}, {secret: {name: z}}, {serviceAccountToken: {path: t}}]}}`, "",
			"configmap \"x\" not found\nsecret \"z\" not found\nthis source of a projected volume is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(t, test.volume)
			from, ok := sourcesOf(&in.Pod.Spec.Volumes[0])
			if !ok || !Follows(in.Pod) {
				t.Fatal("the volume has no sources")
			}
			files, err := from.collect(in)
			var got []string
			for _, name := range slices.Sorted(maps.Keys(files)) {
				quoted := fmt.Sprintf("%q", files[name].data)
				text := quoted[1 : len(quoted)-1]
				got = append(got, fmt.Sprintf("%s %o %s", name, files[name].mode, strings.ReplaceAll(text, `\"`, `"`)))
			}
			if text := strings.Join(got, " | "); err == nil && text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("error %v, want %s", err, test.err)
			}
		})
	}
}

// listing is what a directory holds: names, links, modes and data.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	data, err := os.Readlink(filepath.Join(dir, current))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		name = strings.ReplaceAll(name, data, "NOW")
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v", name, info.Mode())
		if entry.Type() == fs.ModeSymlink {
			target, _ := os.Readlink(path)
			line = name + " -> " + strings.ReplaceAll(target, data, "NOW")
		} else if !entry.IsDir() {
			text, _ := os.ReadFile(path)
			line += " " + string(text)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestPublish(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	put := func(want string, files map[string]file) {
		t.Helper()
		if err := publish(dir, files, nil); err != nil {
			t.Fatal(err)
		}
		if got := listing(t, dir); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	first := `..data -> NOW
NOW drwxr-xr-x
NOW/a -rw-r--r-- one
NOW/d drwxr-xr-x
NOW/d/b -r-------- two
a -> ..data/a
d -> ..data/d`
	files := map[string]file{"a": {[]byte("one"), 0o644}, "d/b": {[]byte("two"), 0o400}}
	put(first, files)
	before, _ := os.Readlink(filepath.Join(dir, current))
	put(first, files)
	if after, _ := os.Readlink(filepath.Join(dir, current)); after != before {
		t.Error("what did not change was written again")
	}
	// One changes, one goes, one comes.
	put("..data -> NOW\nNOW drwxr-xr-x\nNOW/a -rw-r--r-- uno\nNOW/c -rwxrwxrwx three\na -> ..data/a\nc -> ..data/c",
		map[string]file{"a": {[]byte("uno"), 0o644}, "c": {[]byte("three"), 0o777}})
	if _, err := os.Stat(filepath.Join(dir, before)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the earlier contents: %v", err)
	}
	// What a killed writer left.
	for _, left := range []string{"..2020_01_01_00_00_00.1", "..2020_01_01_00_00_00.2"} {
		if err := os.Mkdir(filepath.Join(dir, left), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, upcoming)); err != nil {
		t.Fatal(err)
	}
	put("..data -> NOW\nNOW drwxr-xr-x", nil)
}

func TestPublishStaysInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"../x", "/x", "..data", "a/../../x", "", "."} {
		if err := publish(dir, map[string]file{name: {}}, nil); err == nil && name != "." {
			t.Errorf("published %q", name)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 1 {
		t.Errorf("beside the directory: %v, %v", left, err)
	}
}

func TestPublishForAGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test gives files away and must run as root")
	}
	dir := t.TempDir()
	if err := publish(dir, map[string]file{"d/a": {[]byte("x"), 0o400}}, new(int64(1001))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"..data/d/a": 0o440, "..data/d": fs.ModeDir | fs.ModeSetgid | 0o755} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if gid := info.Sys().(*syscall.Stat_t).Gid; info.Mode() != want || gid != 1001 {
			t.Errorf("%s: mode %v, group %d, want %v", name, info.Mode(), gid, want)
		}
	}
}

func TestSecretsAreInMemory(t *testing.T) {
	dir := volumeDir(t)
	for source, memory := range map[string]bool{
		`{secret: {secretName: login}}`: true, `{projected: {sources: []}}`: true, `{downwardAPI: {}}`: true, `{configMap: {name: conf}}`: false,
	} {
		in := input(t, source)
		in.Dir = dir
		volumes, err := Setup(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		mounted, err := mountinfo.Mounted(volumes["v"].Path)
		if err != nil || mounted != memory {
			t.Errorf("%s is mounted: %v, %v", source, mounted, err)
		}
		if !volumes["v"].ReadOnly {
			t.Errorf("%s may be written", source)
		}
	}
}

func TestUpdate(t *testing.T) {
	dir := volumeDir(t)
	in := input(t, `{configMap: {name: conf, items: [{key: a, path: a}]}}`)
	in.Dir = dir
	volumes, err := Setup(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	read := func(want string) {
		t.Helper()
		if data, err := os.ReadFile(filepath.Join(volumes["v"].Path, "a")); err != nil || string(data) != want {
			t.Errorf("%q, %v, want %q", data, err, want)
		}
	}
	read("one")
	in.Objects = env.Objects{ConfigMaps: map[string]*v1.ConfigMap{"conf": {Data: map[string]string{"a": "uno"}}}}
	if err := Update(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	read("uno")
	in.Objects = env.Objects{}
	if err := Update(context.Background(), in); err == nil || err.Error() != `update volume "v": configmap "conf" not found` {
		t.Errorf("error %v", err)
	}
	read("uno")
}

func TestExceeded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	limit := resource.MustParse("64Ki")
	p := pod(emptyDir("free", v1.EmptyDirVolumeSource{}), emptyDir("v", v1.EmptyDirVolumeSource{SizeLimit: &limit}))
	check := func(want string) {
		t.Helper()
		if got, err := Exceeded(t.Context(), dir, p); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if !Limited(p) || Limited(pod(emptyDir("free", v1.EmptyDirVolumeSource{}))) {
		t.Error("which volumes are limited")
	}
	check("")
	path := emptyDirPath(dir, "v")
	write(t, filepath.Join(emptyDirPath(dir, "free"), "large"), strings.Repeat("x", 1<<20))
	write(t, filepath.Join(path, "d/small"), strings.Repeat("x", 24<<10))
	// Names of one file count once, and what a link leads to not at all.
	for i := range 5 {
		if err := os.Link(filepath.Join(path, "d/small"), filepath.Join(path, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(emptyDirPath(dir, "free"), filepath.Join(path, "link")); err != nil {
		t.Fatal(err)
	}
	check("")
	write(t, filepath.Join(path, "d/more"), strings.Repeat("x", 48<<10))
	check(`Usage of EmptyDir volume "v" exceeds the limit "64Ki". `)
}
