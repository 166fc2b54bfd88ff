package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// setupHostPath makes what the type of the volume says is to be made, and checks
// what is there; the texts are the kubelet's (volume/hostpath). Without a type, a
// directory that is missing is made, as container runtimes do. What is mounted in
// the end is checked once more: see CheckMounted.
func setupHostPath(source *v1.HostPathVolumeSource) (Volume, error) {
	hostPathType := v1.HostPathUnset
	if source.Type != nil {
		hostPathType = *source.Type
	}
	if err := makeHostPath(source.Path, hostPathType); err != nil {
		return Volume{}, err
	}
	expected, ok := expectedTypes[hostPathType]
	if !ok {
		return Volume{}, fmt.Errorf("%s is an invalid volume type", hostPathType)
	}
	vol := Volume{Path: source.Path, expected: expected}
	if expected.is == nil {
		return vol, nil
	}
	file, err := vol.open()
	if err != nil {
		return Volume{}, err
	}
	return vol, file.Close()
}

// Demand is a mount of a hostPath of which a type is demanded.
type Demand struct {
	path   string // in the container
	volume Volume
}

// Demands are those of a container whose mounts the runtime makes.
func Demands(pod *v1.Pod, spec *v1.Container) []Demand {
	typed := map[string]Volume{}
	for _, v := range pod.Spec.Volumes {
		if v.HostPath != nil && v.HostPath.Type != nil {
			typed[v.Name] = Volume{Path: v.HostPath.Path, expected: expectedTypes[*v.HostPath.Type]}
		}
	}
	var demands []Demand
	for _, m := range spec.VolumeMounts {
		if typed[m.Name].expected.is != nil && m.SubPath == "" && m.SubPathExpr == "" {
			demands = append(demands, Demand{m.MountPath, typed[m.Name]})
		}
	}
	return demands
}

// CheckMounted says whether what is mounted is of the types that are demanded,
// whatever took the place of what Setup has checked. root is the container's root
// directory as the machine sees it; nothing must have run in it yet.
func CheckMounted(root string, demands []Demand) error {
	dir, err := openPath(unix.AT_FDCWD, root, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, d := range demands {
		file, err := openPath(int(dir.Fd()), d.path, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
		if err == nil {
			err = errors.Join(d.volume.check(file), file.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open opens what a volume is on the host, for its place alone. What a hostPath
// names is checked.
func (v Volume) open() (*os.File, error) {
	file, err := openPath(unix.AT_FDCWD, v.Path, 0)
	if errors.Is(err, fs.ErrNotExist) && v.expected.is != nil {
		return nil, v.unexpected()
	}
	if err != nil {
		return nil, err
	}
	if err := v.check(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (v Volume) check(file *os.File) error {
	if v.expected.is == nil {
		return nil
	}
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	if !v.expected.is(info.Mode()) {
		return v.unexpected()
	}
	return nil
}

func (v Volume) unexpected() error {
	return fmt.Errorf("hostPath type check failed: %s is not a %s", v.Path, v.expected.name)
}

func makeHostPath(path string, hostPathType v1.HostPathType) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch hostPathType {
	case v1.HostPathUnset, v1.HostPathDirectoryOrCreate:
		return os.MkdirAll(path, 0o755)
	case v1.HostPathFileOrCreate:
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
		if err != nil {
			return err
		}
		return f.Close()
	}
	return nil
}

// expectedType is what a type of hostPath demands to be there.
type expectedType struct {
	name string
	is   func(fs.FileMode) bool // nil: no check
}

var expectedTypes = map[v1.HostPathType]expectedType{
	v1.HostPathUnset:             {},
	v1.HostPathDirectoryOrCreate: {"directory", fs.FileMode.IsDir},
	v1.HostPathDirectory:         {"directory", fs.FileMode.IsDir},
	v1.HostPathFileOrCreate:      {"file", fs.FileMode.IsRegular},
	v1.HostPathFile:              {"file", fs.FileMode.IsRegular},
	v1.HostPathSocket:            {"socket file", func(m fs.FileMode) bool { return m.Type() == fs.ModeSocket }},
	v1.HostPathCharDev:           {"character device", func(m fs.FileMode) bool { return m.Type() == fs.ModeDevice|fs.ModeCharDevice }},
	v1.HostPathBlockDev:          {"block device", func(m fs.FileMode) bool { return m.Type() == fs.ModeDevice }},
}
