package volume

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"k8s.io/kubernetes/pkg/kubelet/util/env"
)

// maxVariables bounds a file with variables, which a container may have written.
const maxVariables = 1 << 20

// errVariables is all that a kubelet says of a file with variables that it
// cannot read.
var errVariables = errors.New("couldn't parse env file")

// Variable returns a variable that a file in a volume sets, empty when it does
// not. Symbolic links are followed as if the volume were all that there is.
func Variable(vol Volume, path, name string) (string, error) {
	root, err := openPath(unix.AT_FDCWD, vol.Path, 0)
	if err != nil {
		return "", errVariables
	}
	defer root.Close()
	file, err := openPath(int(root.Fd()), path, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	if err != nil {
		return "", errVariables
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxVariables {
		return "", errVariables
	}
	value, err := env.ParseEnv(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), name)
	if err != nil {
		return "", errVariables
	}
	return value, nil
}
