package container

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/contrib/apparmor"
	hostapparmor "github.com/containerd/containerd/v2/pkg/apparmor"
	hostoci "github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// ConfigError is the reason CreateContainerConfigError.
type ConfigError = oci.ConfigError

// defaultAppArmor is the name of the AppArmor profile RuntimeDefault, which is
// loaded into the kernel when it is first needed and stays there.
const defaultAppArmor = "podrun-default"

// AppArmor says whether this machine has AppArmor, and what loads its profiles.
func AppArmor() bool { return hostapparmor.HostSupports() }

// confine adds to the input of a spec what only the machine knows: profiles
// that the security context names, and devices.
func (s *Store) confine(in *oci.Input) error {
	var err error
	if in.SELinux, err = Labels(in.Pod, in.Container); err != nil {
		return err
	}
	if oci.Privileged(in.Container) {
		if in.Devices, err = hostoci.HostDevices(); err != nil {
			return fmt.Errorf("list devices: %w", err)
		}
		return nil
	}
	if name := oci.LocalhostSeccomp(in.Pod, in.Container); name != "" {
		if in.Seccomp, err = loadSeccomp(filepath.Join(s.config.SeccompDir, name)); err != nil {
			return err
		}
	}
	if AppArmor() {
		in.AppArmor, err = loadAppArmor(oci.AppArmor(in.Pod, in.Container))
	}
	return err
}

// loadSeccomp reads a profile; the texts are containerd's.
func loadSeccomp(path string) (*specs.LinuxSeccomp, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot load seccomp profile %q: %w", path, err)
	}
	profile := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(data, profile); err != nil {
		return nil, fmt.Errorf("decoding seccomp profile failed %q: %w", path, err)
	}
	return profile, nil
}

// loadAppArmor returns the name of the profile that is meant, which is loaded
// when it is the default one. One of the machine's own is checked by the
// runtime.
func loadAppArmor(profile *v1.AppArmorProfile) (string, error) {
	switch {
	case profile == nil || profile.Type == v1.AppArmorProfileTypeRuntimeDefault:
		if err := apparmor.LoadDefaultProfile(defaultAppArmor); err != nil {
			return "", fmt.Errorf("load AppArmor profile: %w", err)
		}
		return defaultAppArmor, nil
	case profile.Type == v1.AppArmorProfileTypeLocalhost && profile.LocalhostProfile != nil:
		return *profile.LocalhostProfile, nil
	}
	return "", nil
}
