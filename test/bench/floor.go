package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The network of the floor. The subnet is one that is set aside for benchmarks.
const (
	bridgeConf = `{"cniVersion":"1.0.0","name":"prbench","type":"bridge","bridge":"prbench0",
"isGateway":true,"ipMasq":true,"hairpinMode":true,
"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"198.18.213.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}%s}`
	portmapConf = `{"cniVersion":"1.0.0","name":"prbench","type":"portmap","snat":true,
"runtimeConfig":{"portMappings":[{"hostPort":18081,"containerPort":80,"protocol":"tcp"}]}%s}`
)

// floor makes the pod by hand: a network namespace, two plugins, three times
// runc, each after the other. All of it happens in a network namespace of its
// own, which takes the bridge and the plugins' firewall chains along at the end.
type floor struct {
	dir    string
	bin    string // the directory of the bundle's programs
	result []byte // of the bridge plugin
	jobs   chan job
}

// job is something to be done in the floor's network namespace.
type job struct {
	do   func() error
	done chan error
}

func newFloor(dir string) (*floor, error) {
	bin, err := filepath.Abs("bundle/out")
	if err != nil {
		return nil, err
	}
	f := &floor{dir: dir, bin: bin, jobs: make(chan job)}
	root := filepath.Join(dir, "rootfs", "bin")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	for from, to := range map[string]string{"/bin/busybox": "busybox", filepath.Join(bin, "pause"): "pause"} {
		data, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("run make first: %w", err)
		}
		if err := os.WriteFile(filepath.Join(root, to), data, 0o700); err != nil {
			return nil, err
		}
	}
	go f.work()
	return f, f.inside(func() error { return unix.Unshare(unix.CLONE_NEWNET) })
}

// work does the jobs on one thread, which ends with this goroutine, because it
// is not unlocked.
func (f *floor) work() {
	runtime.LockOSThread()
	for j := range f.jobs {
		j.done <- j.do()
	}
}

func (f *floor) inside(do func() error) error {
	j := job{do, make(chan error)}
	f.jobs <- j
	return <-j.done
}

// containers are the three of the pod and what they run.
var containers = []struct {
	name string
	args []string
}{
	{"prbench-pause", []string{"/bin/pause"}},
	{"prbench-sleep", []string{"/bin/busybox", "sleep", "1000"}},
	{"prbench-web", []string{"/bin/busybox", "httpd", "-f", "-p", "80"}},
}

func (f *floor) up(ctx context.Context) error {
	return f.inside(func() error { return f.add(ctx) })
}

func (f *floor) down(ctx context.Context) error {
	return f.inside(func() error { return f.remove(ctx) })
}

func (f *floor) add(ctx context.Context) error {
	if err := makeNetNS(f.netns()); err != nil {
		return err
	}
	var err error
	if f.result, err = f.plugin(ctx, "bridge", "ADD", f.bridge("")); err != nil {
		return err
	}
	previous := fmt.Sprintf(`,"prevResult":%s`, f.result)
	if _, err := f.plugin(ctx, "portmap", "ADD", fmt.Sprintf(portmapConf, previous)); err != nil {
		return err
	}
	pause := 0
	for _, c := range containers {
		pid, err := f.run(ctx, c.name, c.args, pause)
		if err != nil {
			return err
		}
		if pause == 0 {
			pause = pid
		}
	}
	return nil
}

func (f *floor) remove(ctx context.Context) error {
	var errs []error
	for _, c := range containers {
		errs = append(errs, f.runc(ctx, "delete", "--force", c.name))
	}
	previous := fmt.Sprintf(`,"prevResult":%s`, f.result)
	_, err := f.plugin(ctx, "portmap", "DEL", fmt.Sprintf(portmapConf, previous))
	errs = append(errs, err)
	_, err = f.plugin(ctx, "bridge", "DEL", f.bridge(previous))
	errs = append(errs, err, unix.Unmount(f.netns(), 0), os.Remove(f.netns()))
	return errors.Join(errs...)
}

// close removes what an interrupted turn may have left.
func (f *floor) close(ctx context.Context) error {
	for _, c := range containers {
		_ = f.runc(ctx, "delete", "--force", c.name)
	}
	close(f.jobs)
	_ = unix.Unmount(f.netns(), unix.MNT_DETACH)
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/prbench")
	for _, group := range append(groups, "/sys/fs/cgroup/prbench") {
		_ = os.Remove(group)
	}
	return os.RemoveAll(f.dir)
}

func (f *floor) netns() string { return filepath.Join(f.dir, "netns") }

func (f *floor) bridge(previous string) string {
	return fmt.Sprintf(bridgeConf, filepath.Join(f.dir, "ipam"), previous)
}

// plugin calls one CNI plugin.
func (f *floor) plugin(ctx context.Context, name, verb, conf string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(f.bin, name))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=" + verb, "CNI_CONTAINERID=prbench",
		"CNI_NETNS=" + f.netns(), "CNI_IFNAME=eth0", "CNI_PATH=" + f.bin,
	}
	cmd.Stdin = strings.NewReader(conf)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, verb, err, out)
	}
	return out, nil
}

// run makes a bundle and starts the container; pause is the process whose
// namespaces it joins, 0 for the pause container itself.
func (f *floor) run(ctx context.Context, name string, args []string, pause int) (pid int, err error) {
	dir := filepath.Join(f.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	config, err := json.Marshal(f.spec(name, args, pause))
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		return 0, err
	}
	pidFile := filepath.Join(dir, "pid")
	if err := f.runc(ctx, "run", "--detach", "--bundle", dir, "--pid-file", pidFile, name); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(bytes.TrimSpace(text)))
}

func (f *floor) runc(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(f.bin, "runc"), append([]string{"--root", filepath.Join(f.dir, "runc")}, args...)...)
	// No pipes: the container would keep them open.
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("runc %s: %w", args[0], err)
	}
	return nil
}

func (f *floor) spec(name string, args []string, pause int) *specs.Spec {
	join := func(kind specs.LinuxNamespaceType, name string) specs.LinuxNamespace {
		if pause == 0 {
			return specs.LinuxNamespace{Type: kind}
		}
		return specs.LinuxNamespace{Type: kind, Path: fmt.Sprintf("/proc/%d/ns/%s", pause, name)}
	}
	return &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"}},
		Root:    &specs.Root{Path: filepath.Join(f.dir, "rootfs"), Readonly: true},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=65536k"}},
		},
		Linux: &specs.Linux{
			CgroupsPath: "/prbench/" + name,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace},
				{Type: specs.NetworkNamespace, Path: f.netns()},
				join(specs.IPCNamespace, "ipc"), join(specs.UTSNamespace, "uts"),
			},
		},
	}
}

// makeNetNS binds a new network namespace to path.
func makeNetNS(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_ = file.Close()
	done := make(chan error)
	go func() {
		// The thread ends with this goroutine, because it is not unlocked.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		done <- err
	}()
	return <-done
}
