package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"podrun/container"
	"podrun/container/image"
	"podrun/container/stack"
	"podrun/sandbox/network"
)

// Finding is what Examine found out about one part of the machine.
type Finding struct {
	Name   string
	Detail string
	Mend   string // what to do about it; empty when all is well
}

// Examine looks at what pods need of the machine. It changes nothing.
func Examine(ctx context.Context, config Config) []Finding {
	status, err := stack.Inspect(ctx, config.Stack())
	findings := []Finding{
		examineUser(),
		examineKernel(),
		examineCgroups(config),
		examineSecurity(),
		examineOverlay(),
		examineContainerd(status, err),
		examineProgram("runc", status.Bundled, []string{"runc"}, "install runc 1.3.3 or newer"),
		examinePlugins(status.Bundled, status.CNIBinDirs, config),
		examineFilter(),
		examineIPv6(config),
		examineRegistries(config),
	}
	for _, dir := range []string{config.Root, config.RunDir} {
		findings = append(findings, examineSpace(dir))
	}
	return findings
}

func examineUser() Finding {
	if os.Geteuid() != 0 {
		return Finding{Name: "root", Detail: fmt.Sprintf("this is user %d", os.Geteuid()), Mend: "run podrun as root, with sudo for example"}
	}
	return Finding{Name: "root", Detail: "this is root"}
}

func examineKernel() Finding {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Finding{Name: "kernel", Detail: err.Error(), Mend: "use a Linux kernel of 5.6 or newer"}
	}
	f := Finding{Name: "kernel", Detail: unix.ByteSliceToString(name.Release[:])}
	// openat2 is what image files are opened with.
	if fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC}); err != nil {
		f.Detail += ": no openat2"
		f.Mend = "use a Linux kernel of 5.6 or newer"
	} else {
		unix.Close(fd)
	}
	return f
}

func examineCgroups(config Config) Finding {
	driver, err := detect(config.Systemd)
	if err != nil {
		return Finding{Name: "cgroups", Detail: err.Error(), Mend: "mount cgroup2 on /sys/fs/cgroup"}
	}
	version, by := "v1", ""
	if driver.Unified() {
		version = "v2"
	}
	if driver.Systemd() {
		by = ", made by systemd"
	}
	return Finding{Name: "cgroups", Detail: version + by}
}

// examineSecurity tells what security contexts can ask for. Each of it is well: a
// pod that asks for more is refused.
func examineSecurity() Finding {
	parts := []string{"seccomp"}
	for name, has := range map[string]bool{"AppArmor": container.AppArmor(), "SELinux": container.SELinux()} {
		if has {
			parts = append(parts, name)
		}
	}
	slices.Sort(parts[1:])
	return Finding{Name: "security", Detail: strings.Join(parts, ", ")}
}

func examineOverlay() Finding {
	f := Finding{Name: "overlayfs", Detail: "known to the kernel"}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(filesystems), "\toverlay\n") {
		f.Detail, f.Mend = "not known to the kernel", "modprobe overlay"
	}
	return f
}

func examineContainerd(status stack.Status, err error) Finding {
	f := Finding{Name: "containerd"}
	switch {
	case err != nil:
		f.Detail, f.Mend = err.Error(), "see its log, then podrun stack stop"
	case status.Running:
		f.Detail = fmt.Sprintf("%s at %s", status.Version, status.Address)
	case status.Bundled:
		f.Detail = "podrun's own, started when it is needed"
	default:
		f.Detail = "nothing answers at " + status.Address
		f.Mend = "start containerd, or use a build of podrun that carries its own"
	}
	return f
}

func examineProgram(name string, bundled bool, alternatives []string, mend string) Finding {
	if bundled {
		return Finding{Name: name, Detail: "podrun's own"}
	}
	for _, program := range alternatives {
		if path, err := exec.LookPath(program); err == nil {
			return Finding{Name: name, Detail: path}
		}
	}
	return Finding{Name: name, Detail: "not found", Mend: mend}
}

func examinePlugins(bundled bool, dirs []string, config Config) Finding {
	f := Finding{Name: "CNI", Detail: "podrun's own plugins"}
	if config.CNIConfDir != "" {
		f.Detail = "configured in " + config.CNIConfDir
	}
	if bundled {
		return f
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			f.Detail = "plugins in " + dir
			return f
		}
	}
	return Finding{Name: "CNI", Detail: "no plugins found", Mend: "install containernetworking-plugins, 1.9.1 or newer, in /opt/cni/bin"}
}

// examineFilter looks whether the kernel translates addresses, which the
// built-in network has it do; no program is needed for that.
func examineFilter() Finding {
	if err := network.CanTranslate(); err != nil {
		return Finding{Name: "netfilter", Detail: err.Error(), Mend: "modprobe nf_tables, or use a kernel that has it"}
	}
	return Finding{Name: "netfilter", Detail: "nf_tables"}
}

// examineIPv6 tells what pods of the built-in network can do with IPv6. Each of it
// is well: whether the machine forwards is for its owner to decide.
func examineIPv6(config Config) Finding {
	f := Finding{Name: "IPv6"}
	if config.CNIConfDir != "" {
		f.Detail = "as configured in " + config.CNIConfDir
		return f
	}
	switch network.MachineIPv6() {
	case network.IPv6Off:
		f.Detail = "off in the kernel, pods have IPv4 alone"
	case network.IPv6Local:
		f.Detail = "pods and this machine reach each other; for more, before pods are made: sysctl -w net.ipv6.conf.all.forwarding=1 " +
			"(where routers advertise the machine's address, net.ipv6.conf.LINK.accept_ra=2 first)"
	case network.IPv6Forwards:
		f.Detail = "pods reach the world, and the world their host ports"
	}
	return f
}

// examineRegistries looks at what images are pulled with.
func examineRegistries(config Config) Finding {
	path, err := image.Configured()
	if err != nil {
		return Finding{Name: "registries", Detail: oneLine(err), Mend: "mend " + path + ", or install what it names"}
	}
	var parts []string
	if path != "" {
		parts = append(parts, "credentials of "+path)
	}
	for _, dir := range config.hostDirs() {
		if _, err := os.Stat(dir); err == nil {
			parts = append(parts, "configuration in "+dir)
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "neither credentials nor mirrors are configured")
	}
	return Finding{Name: "registries", Detail: strings.Join(parts, ", ")}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// minSpace is what is needed for a small image and its logs.
const minSpace = 512 << 20

func examineSpace(dir string) Finding {
	f := Finding{Name: "space"}
	for existing := dir; ; existing = filepath.Dir(existing) {
		var stat unix.Statfs_t
		err := unix.Statfs(existing, &stat)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			f.Detail, f.Mend = err.Error(), "make the directory readable"
			return f
		}
		free := int64(stat.Bavail) * stat.Bsize
		f.Detail = fmt.Sprintf("%d MiB free for %s", free>>20, dir)
		if free < minSpace {
			f.Mend = "free some space, or name another directory with --root and --run-dir"
		}
		return f
	}
}
