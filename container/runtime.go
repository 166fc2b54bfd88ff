package container

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
)

// defaultRuntime is the runtime of pods that name none. The one that is
// bundled has its name as well.
const defaultRuntime = "runc"

// runtimeName is containerd's name of runc, and of whatever is called like it.
const runtimeName = "io.containerd.runc.v2"

// programs are runtimes that are called as runc is, by its shim.
var programs = []string{"crun", "youki"}

// runtimeDirs are where a containerd looks for shims.
var runtimeDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// shimFile is the name of a shim's program: containerd-shim-runsc-v1.
var shimFile = regexp.MustCompile(`^containerd-shim-([a-z0-9-]+)-(v[0-9]+)$`)

// Runtimes are the names of the runtimes that the machine has.
func Runtimes() []string {
	names := []string{defaultRuntime}
	for _, name := range programs {
		if findProgram(name) != "" {
			names = append(names, name)
		}
	}
	for _, dir := range runtimeDirs {
		shims, _ := filepath.Glob(filepath.Join(dir, "containerd-shim-*"))
		for _, shim := range shims {
			if parts := shimFile.FindStringSubmatch(filepath.Base(shim)); parts != nil {
				names = append(names, parts[1])
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// runtimeFor is how containerd has a runtime: the shim, and what that is told.
// systemd says who is to make cgroups.
func (s *Store) runtimeFor(name string, systemd bool) (containers.RuntimeInfo, error) {
	program := s.config.Runc
	if slices.Contains(programs, name) {
		if program = findProgram(name); program == "" {
			return containers.RuntimeInfo{}, fmt.Errorf("no runtime for %q is configured", name)
		}
	} else if ownShim(name) {
		if systemd {
			return containers.RuntimeInfo{}, fmt.Errorf("runtime %q cannot be told to have systemd make cgroups", name)
		}
		return shimRuntime(name)
	}
	options, err := typeurl.MarshalAny(&runcoptions.Options{BinaryName: program, Root: runcRoot(s.config.RunDir), SystemdCgroup: systemd})
	if err != nil {
		return containers.RuntimeInfo{}, fmt.Errorf("encode runtime options: %w", err)
	}
	return containers.RuntimeInfo{Name: runtimeName, Options: options}, nil
}

// ownShim says whether a runtime is called by a shim of its own, not by runc's.
func ownShim(name string) bool {
	return name != "" && name != defaultRuntime && !slices.Contains(programs, name)
}

// shimRuntime is a runtime with a shim of its own, which knows its options.
func shimRuntime(name string) (containers.RuntimeInfo, error) {
	for _, dir := range runtimeDirs {
		shims, _ := filepath.Glob(filepath.Join(dir, "containerd-shim-"+name+"-v[0-9]*"))
		for _, shim := range shims {
			if parts := shimFile.FindStringSubmatch(filepath.Base(shim)); parts != nil && parts[1] == name {
				return containers.RuntimeInfo{Name: "io.containerd." + name + "." + parts[2]}, nil
			}
		}
	}
	return containers.RuntimeInfo{}, fmt.Errorf("no runtime for %q is configured", name)
}

func findProgram(name string) string {
	for _, dir := range runtimeDirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}
