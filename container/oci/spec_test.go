package oci

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	gi  = 1 << 30
	uid = "9e2a51b4-7f0d-4a5e-9d4f-5f3b1c6f0a11"
)

// golden compares a spec with a file. Of the seccomp profile it has the default
// action alone: the rest differs between architectures and has a test of its own.
func golden(t *testing.T, s *specs.Spec) {
	t.Helper()
	if s.Linux.Seccomp != nil {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: s.Linux.Seccomp.DefaultAction}
	}
	got, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", strings.ReplaceAll(t.Name(), "/", "_")+".json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

// list reads "cpu=100m,memory=64Mi".
func list(s string) v1.ResourceList {
	result := v1.ResourceList{}
	for entry := range strings.SplitSeq(s, ",") {
		if name, quantity, ok := strings.Cut(entry, "="); ok {
			result[v1.ResourceName(name)] = resource.MustParse(quantity)
		}
	}
	return result
}

func resources(requests, limits string) v1.ResourceRequirements {
	return v1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}
}

var labels = Labels{Process: "system_u:system_r:container_t:s0:c1,c2", Files: "system_u:object_r:container_file_t:s0:c1,c2"}

// input is a container that says nothing, on a machine that has everything.
func input() Input {
	pod := &v1.Pod{Spec: v1.PodSpec{Containers: []v1.Container{{Name: "web"}}}}
	pod.Name, pod.Namespace, pod.UID = "shop", "default", uid
	return Input{
		ID:        "c0ffee",
		Pod:       pod,
		Container: &pod.Spec.Containers[0],
		Image:     imagespec.ImageConfig{Entrypoint: []string{"/entrypoint"}, Cmd: []string{"serve"}},
		Shared: Shared{
			CgroupParent: "/podrun/besteffort/pod" + uid,
			Hostname:     "shop",
			NetNS:        "/run/podrun/netns/" + uid,
			PausePID:     4711,
			Mounts: []Mount{
				{Source: "/files/hosts", Destination: "/etc/hosts"},
				{Source: "/files/hostname", Destination: "/etc/hostname"},
				{Source: "/files/resolv.conf", Destination: "/etc/resolv.conf"},
				{Source: "/files/shm", Destination: "/dev/shm", Options: []string{"nosuid", "nodev", "noexec"}},
			},
			Annotations: map[string]string{"io.containerd.runc.v2.group": uid},
		},
		Machine: Machine{MemoryCapacity: 8 * gi, Swap: true, MinOOMScoreAdj: -1000, Capabilities: Capabilities[:3]},
	}
}

// TestTarget: only where each container has a PID namespace of its own it is that
// of another one that is joined.
func TestTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*v1.PodSpec)
		want   []specs.LinuxNamespace
	}{
		"own":    {func(*v1.PodSpec) {}, []specs.LinuxNamespace{{Type: specs.PIDNamespace, Path: "/proc/4712/ns/pid"}}},
		"shared": {func(s *v1.PodSpec) { s.ShareProcessNamespace = new(true) }, []specs.LinuxNamespace{{Type: specs.PIDNamespace, Path: "/proc/4711/ns/pid"}}},
		"host":   {func(s *v1.PodSpec) { s.HostPID = true }, nil},
	} {
		in := input()
		in.Target = 4712
		c.change(&in.Pod.Spec)
		spec, err := Spec(in)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type != specs.PIDNamespace })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Input){
		"minimal": func(*Input) {},
		"full": func(in *Input) {
			*in.Container = v1.Container{
				Name:       "web",
				Command:    []string{"/bin/server", "--name=$(NAME)"},
				Args:       []string{"--path=$(PATH)"},
				WorkingDir: "/srv",
				Env:        []v1.EnvVar{{Name: "NAME", Value: "a"}, {Name: "URL", Value: "http://$(NAME)/"}},
				Ports:      []v1.ContainerPort{{ContainerPort: 80, HostPort: 8080}},
				Resources:  resources("cpu=250m,memory=1Gi", "cpu=500m,memory=2Gi"),
				TTY:        true,
			}
			in.Image.Env = []string{"PATH=/bin", "SECRET", "NAME=image"}
			in.Image.WorkingDir = "/image"
			in.Image.Labels = map[string]string{"io.example": "not copied"}
			in.Pod.Annotations = map[string]string{"io.example": "not copied"}
			in.User = User{UID: 1000, GID: 100, AdditionalGids: []uint32{2000, 100, 5}}
			in.Shared.CgroupParent = "/podrun/burstable/pod" + uid
			in.Machine.CPUThrottlePaths = []string{"/sys/devices/system/cpu/cpu0/thermal_throttle"}
			in.Mounts = []Mount{
				{Source: "/vol/deep", Destination: "/data/a/b"},
				{Source: "/vol/data", Destination: "/data", ReadOnly: true},
				{Source: "/vol/hosts", Destination: "/etc/hosts/"},
				{Source: "/vol/log", Destination: "/dev/termination-log"},
			}
		},
		"hostnamespaces": func(in *Input) {
			in.Pod.Spec.HostNetwork, in.Pod.Spec.HostIPC, in.Pod.Spec.HostPID = true, true, true
			in.Shared.NetNS = ""
		},
		"target": func(in *Input) {
			in.Pod.Spec.EphemeralContainers = []v1.EphemeralContainer{{TargetContainerName: "web", EphemeralContainerCommon: v1.EphemeralContainerCommon{
				Name: "debugger", Command: []string{"sh"}, Stdin: true, TTY: true}}}
			in.Container = (*v1.Container)(&in.Pod.Spec.EphemeralContainers[0].EphemeralContainerCommon)
			in.Target = 4712
		},
		"cgroupv2": func(in *Input) {
			in.Machine.CgroupV2 = true
			in.Pod.Spec.ShareProcessNamespace = new(true)
			in.Container.Resources = resources("", "cpu=1,memory=64Mi")
			in.Shared.Systemd = true
			in.Shared.CgroupParent = "podrun-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"
		},
		"privileged": func(in *Input) {
			in.Container.SecurityContext = &v1.SecurityContext{
				Privileged:     new(true),
				Capabilities:   &v1.Capabilities{Drop: []v1.Capability{"ALL"}},
				SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeLocalhost, LocalhostProfile: new("p.json")},
			}
			in.Machine.CgroupV2 = true
			in.Devices = []specs.LinuxDevice{{Path: "/dev/sda", Type: "b", Major: 8}}
			in.SELinux = labels
		},
		"confined": func(in *Input) {
			in.Pod.Spec.SecurityContext = &v1.PodSecurityContext{
				SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeUnconfined},
			}
			in.Container.SecurityContext = &v1.SecurityContext{
				Capabilities:             &v1.Capabilities{Add: []v1.Capability{"net_admin"}, Drop: []v1.Capability{"ALL"}},
				ReadOnlyRootFilesystem:   new(true),
				AllowPrivilegeEscalation: new(false),
				SeccompProfile:           &v1.SeccompProfile{Type: v1.SeccompProfileTypeLocalhost, LocalhostProfile: new("p.json")},
			}
			in.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActLog}
			in.AppArmor = "podrun-default"
			in.SELinux = labels
			in.Shared.Mounts[1].WithRoot, in.Shared.Mounts[2].WithRoot = true, true
		},
		"unconfined": func(in *Input) {
			in.Container.SecurityContext = &v1.SecurityContext{
				ProcMount:      new(v1.UnmaskedProcMount),
				SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeUnconfined},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input()
			change(&in)
			s, err := Spec(in)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, s)
		})
	}
}

func TestPauseSpec(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*PauseInput){
		"own": func(*PauseInput) {},
		"hostnamespaces": func(in *PauseInput) {
			in.Pod.Spec.HostNetwork, in.Pod.Spec.HostIPC, in.Pod.Spec.HostPID = true, true, true
			in.Shared.NetNS = ""
			in.Machine.MinOOMScoreAdj = 0
		},
		"secured": func(in *PauseInput) {
			in.Pod.Spec.SecurityContext = &v1.PodSecurityContext{
				RunAsUser: new(int64(1000)), RunAsGroup: new(int64(2000)), FSGroup: new(int64(3000)), SupplementalGroups: []int64{4000},
				Sysctls: []v1.Sysctl{
					{Name: "net.ipv4.ping_group_range", Value: "0 0"}, {Name: "kernel/shm_rmid_forced", Value: "1"},
				},
			}
			in.SELinux = labels
		},
		"privileged": func(in *PauseInput) {
			in.Pod.Spec.InitContainers = []v1.Container{{Name: "i", SecurityContext: &v1.SecurityContext{Privileged: new(true)}}}
			in.SELinux = labels
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := input()
			in := PauseInput{
				ID:      "bead",
				Pod:     c.Pod,
				Image:   imagespec.ImageConfig{Entrypoint: []string{"/pause"}, Env: []string{"PATH=/"}, User: "65535:65535"},
				Shared:  c.Shared,
				Machine: c.Machine,
			}
			in.Shared.PausePID = 0
			change(&in)
			s, err := PauseSpec(in)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, s)
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Input){
		"no command specified": func(in *Input) { in.Image = imagespec.ImageConfig{} },
		`working directory "srv": not an absolute path`: func(in *Input) {
			in.Container.WorkingDir = "srv"
		},
		`working directory "app" of the image: not an absolute path`: func(in *Input) {
			in.Image.WorkingDir = "app"
		},
		`env "IP": value is not resolved`: func(in *Input) {
			in.Container.Env = []v1.EnvVar{{Name: "IP", ValueFrom: &v1.EnvVarSource{}}}
		},
		"join network: no network namespace": func(in *Input) { in.Shared.NetNS = "" },
		"join network: hostNetwork and a network namespace exclude each other": func(in *Input) {
			in.Pod.Spec.HostNetwork = true
		},
		`seccomp profile "p.json": not loaded`: func(in *Input) {
			in.Container.SecurityContext = &v1.SecurityContext{
				SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeLocalhost, LocalhostProfile: new("p.json")},
			}
		},
		`seccomp profile of type "Some": there is none`: func(in *Input) {
			in.Container.SecurityContext = &v1.SecurityContext{SeccompProfile: &v1.SeccompProfile{Type: "Some"}}
		},
		"join pod: no pause process": func(in *Input) { in.Shared.PausePID = 0 },
	} {
		in := input()
		change(&in)
		if _, err := Spec(in); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := PauseSpec(PauseInput{Pod: &v1.Pod{}}); err != ErrNoCommand {
		t.Errorf("pause without a command: got %v", err)
	}
}

// A spec must not share memory with the tables or with another spec.
func TestSpecsAreIndependent(t *testing.T) {
	t.Parallel()
	first, err := Spec(input())
	if err != nil {
		t.Fatal(err)
	}
	first.Mounts[0].Options[0] = "changed"
	first.Process.Capabilities.Bounding[0] = "changed"
	first.Linux.MaskedPaths[0] = "changed"
	first.Linux.ReadonlyPaths[0] = "changed"
	first.Annotations["new"] = "changed"
	second, err := Spec(input())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(second)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "changed") {
		t.Error("a change of one spec shows in another")
	}
}

func TestSeccomp(t *testing.T) {
	t.Parallel()
	s, err := Spec(input())
	if err != nil {
		t.Fatal(err)
	}
	profile := s.Linux.Seccomp
	if profile.DefaultAction != specs.ActErrno || len(profile.Architectures) == 0 {
		t.Fatalf("default action %s for %v", profile.DefaultAction, profile.Architectures)
	}
	allowed := func(name string) bool {
		return slices.ContainsFunc(profile.Syscalls, func(c specs.LinuxSyscall) bool {
			return c.Action == specs.ActAllow && len(c.Args) == 0 && slices.Contains(c.Names, name)
		})
	}
	for name, want := range map[string]bool{"read": true, "chroot": true, "mount": false, "bpf": false, "init_module": false} {
		if allowed(name) != want {
			t.Errorf("%s allowed: %t, want %t", name, !want, want)
		}
	}
}
