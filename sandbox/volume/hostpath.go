package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	v1 "k8s.io/api/core/v1"
)

// setupHostPath makes what the type of the volume says is to be made, and checks
// what is there; the texts are the kubelet's (volume/hostpath). Without a type, a
// directory that is missing is made, as container runtimes do.
func setupHostPath(source *v1.HostPathVolumeSource) error {
	hostPathType := v1.HostPathUnset
	if source.Type != nil {
		hostPathType = *source.Type
	}
	if err := makeHostPath(source.Path, hostPathType); err != nil {
		return err
	}
	expected, ok := expectedTypes[hostPathType]
	if !ok {
		return fmt.Errorf("%s is an invalid volume type", hostPathType)
	}
	if expected.is == nil {
		return nil
	}
	info, err := os.Stat(source.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	if err != nil || !expected.is(info.Mode()) {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", source.Path, expected.name)
	}
	return nil
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

// expectedTypes says what each type of hostPath demands to be there.
var expectedTypes = map[v1.HostPathType]struct {
	name string
	is   func(fs.FileMode) bool // nil: no check
}{
	v1.HostPathUnset:             {},
	v1.HostPathDirectoryOrCreate: {"directory", fs.FileMode.IsDir},
	v1.HostPathDirectory:         {"directory", fs.FileMode.IsDir},
	v1.HostPathFileOrCreate:      {"file", fs.FileMode.IsRegular},
	v1.HostPathFile:              {"file", fs.FileMode.IsRegular},
	v1.HostPathSocket:            {"socket file", func(m fs.FileMode) bool { return m.Type() == fs.ModeSocket }},
	v1.HostPathCharDev:           {"character device", func(m fs.FileMode) bool { return m.Type() == fs.ModeDevice|fs.ModeCharDevice }},
	v1.HostPathBlockDev:          {"block device", func(m fs.FileMode) bool { return m.Type() == fs.ModeDevice }},
}
