package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// statusOf returns the fields of /proc/1/status of a container, as the kernel
// shows them inside of it.
func (in *instance) statusOf(t *testing.T, pod, name string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for line := range strings.Lines(in.ok(t, "exec", pod, "-c", name, "--", "cat", "/proc/1/status")) {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

// wantStatus compares fields of /proc/1/status: "Uid=1 1 1 1".
func (in *instance) wantStatus(t *testing.T, pod, name string, want ...string) {
	t.Helper()
	fields := in.statusOf(t, pod, name)
	for _, w := range want {
		key, value, _ := strings.Cut(w, "=")
		if fields[key] != value {
			t.Errorf("container %s: %s is %q, want %q", name, key, fields[key], value)
		}
	}
}

// defaultCapabilities are containerd's fourteen, as the kernel prints them.
const defaultCapabilities = "00000000a80425fb"

func usersAndGroups(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: users}
spec:
  securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000, 5]}
  volumes: [{name: disk}, {name: ram, emptyDir: {medium: Memory}}]
  containers:
  - name: pods
    image: BUSYBOX
    command: [sleep, "1000"]
    volumeMounts: [{name: disk, mountPath: /disk}, {name: ram, mountPath: /ram}]
  - name: own
    image: BUSYBOX
    command: [tail, -f, /dev/null]
    securityContext: {runAsUser: 65534, runAsGroup: 0}
  - name: root
    image: BUSYBOX
    command: [tail, -f, /dev/null]
    securityContext: {runAsUser: 0}
`)
	in.wantStatus(t, "users", "pods", "Uid=1000 1000 1000 1000", "Gid=2000 2000 2000 2000", "Groups=5 2000 3000 4000",
		"CapEff=0000000000000000", "CapBnd="+defaultCapabilities, "CapInh=0000000000000000", "CapAmb=0000000000000000")
	in.wantStatus(t, "users", "own", "Uid=65534 65534 65534 65534", "Gid=0 0 0 0", "Groups=0 5 3000 4000")
	in.wantStatus(t, "users", "root", "Uid=0 0 0 0", "Gid=2000 2000 2000 2000", "CapEff="+defaultCapabilities, "NoNewPrivs=0", "Seccomp=2")
	for dir, mode := range map[string]string{"/disk": "2777 0 3000", "/ram": "3777 0 3000"} {
		got := in.ok(t, "exec", "users", "--", "sh", "-c", "stat -c '%a %u %g' "+dir+" && touch "+dir+"/new && stat -c '%u %g' "+dir+"/new")
		if want := mode + "\n1000 3000\n"; got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
	if p := process(t, pod, "sleep"); !strings.Contains(hostStatus(t, p.PID), "\nGid:\t2000\t") {
		t.Errorf("the machine sees another group of process %d", p.PID)
	}
	if p := process(t, pod, "/pause"); !strings.Contains(hostStatus(t, p.PID), "\nUid:\t1000\t") {
		t.Errorf("the machine sees another user of process %d", p.PID)
	}
}

func hostStatus(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// usersOfImages: an image names its user in one of two ways, and its passwd file
// says the group. Strict leaves out the groups of its group file.
func usersOfImages(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: imageusers}
spec:
  containers:
  - {name: name, image: REGISTRY/nobody:1, command: [sleep, "1000"]}
  - {name: number, image: REGISTRY/number:1, command: [sleep, "1000"]}
  - {name: group, image: REGISTRY/nobody:1, command: [sleep, "1000"], securityContext: {runAsGroup: 7}}
  - {name: stranger, image: BUSYBOX, command: [sleep, "1000"], securityContext: {runAsUser: 7}}
  - {name: member, image: BUSYBOX, command: [sleep, "1000"]}
`)
	in.wantStatus(t, "imageusers", "name", "Uid=65534 65534 65534 65534", "Gid=65534 65534 65534 65534", "Groups=65534")
	in.wantStatus(t, "imageusers", "number", "Uid=65534 65534 65534 65534", "Gid=65534 65534 65534 65534")
	in.wantStatus(t, "imageusers", "group", "Uid=65534 65534 65534 65534", "Gid=7 7 7 7", "Groups=7")
	in.wantStatus(t, "imageusers", "stranger", "Uid=7 7 7 7", "Gid=0 0 0 0", "Groups=0")
	in.wantStatus(t, "imageusers", "member", "Groups=0 10")

	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: strict}
spec:
  securityContext: {supplementalGroupsPolicy: Strict, supplementalGroups: [9]}
  containers: [{name: member, image: BUSYBOX, command: [sleep, "1000"]}]
`)
	in.wantStatus(t, "strict", "member", "Groups=0 9")
}

// nonRoot: a container that may be root although it must not is not started,
// and says why in the words of a kubelet.
func nonRoot(t *testing.T, in *instance) {
	for name, test := range map[string]struct{ image, context, want string }{
		"user": {"BUSYBOX", "{runAsNonRoot: true, runAsUser: 0}", "container's runAsUser breaks non-root policy"},
		"root": {"BUSYBOX", "{runAsNonRoot: true}", "container has runAsNonRoot and image will run as root"},
		"name": {"REGISTRY/nobody:1", "{runAsNonRoot: true}",
			"container has runAsNonRoot and image has non-numeric user (nobody), cannot verify user is non-root"},
	} {
		text := manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: nonroot-%s}
spec:
  containers: [{name: a, image: %s, command: [sleep, "1000"], securityContext: %s}]
`, name, test.image, test.context))
		pod := in.later(t, text)
		r := in.input(t, text, "up", "-").want(t, 1)
		if !strings.Contains(r.stderr, "CreateContainerConfigError: "+test.want) {
			t.Errorf("%s: %s", name, r.stderr)
		}
		in.input(t, text, "up", "--detach", "-").want(t, 0)
		eventually(t, 10*time.Second, func() error {
			pod = in.pod(t, pod.Name)
			w := container(t, pod, "a").State.Waiting
			message := fmt.Sprintf("%s (pod: \"%s_default(%s)\", container: a)", test.want, pod.Name, pod.UID)
			if w == nil || w.Reason != "CreateContainerConfigError" || w.Message != message {
				return fmt.Errorf("waits for %+v, want %s", w, message)
			}
			return nil
		})
	}
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: nonroot}
spec:
  securityContext: {runAsNonRoot: true}
  containers:
  - {name: image, image: REGISTRY/number:1, command: [sleep, "1000"]}
  - {name: user, image: BUSYBOX, command: [sleep, "1000"], securityContext: {runAsUser: 1}}
`)
	in.wantStatus(t, "nonroot", "image", "Uid=65534 65534 65534 65534")
	in.wantStatus(t, "nonroot", "user", "Uid=1 1 1 1")
}

// confinement: what a container may do less, or more, than others.
func confinement(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: confined}
spec:
  securityContext: {seccompProfile: {type: Unconfined}}
  volumes: [{name: v}]
  containers:
  - name: less
    image: BUSYBOX
    command: [sleep, "1000"]
    securityContext:
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [all], add: [NET_BIND_SERVICE]}
      seccompProfile: {type: RuntimeDefault}
    volumeMounts: [{name: v, mountPath: /v}]
  - name: more
    image: BUSYBOX
    command: [sleep, "1000"]
    securityContext: {capabilities: {add: [net_admin], drop: [CHOWN]}}
`)
	in.wantStatus(t, "confined", "less", "CapEff=0000000000000400", "CapPrm=0000000000000400", "CapBnd=0000000000000400", "NoNewPrivs=1", "Seccomp=2")
	in.wantStatus(t, "confined", "more", "CapEff=00000000a80435fa", "NoNewPrivs=0", "Seccomp=0")
	for _, file := range []string{"/new", "/tmp/new", "/etc/resolv.conf", "/etc/hostname", "/proc/sys/kernel/hostname"} {
		r := in.run(t, "exec", "confined", "-c", "less", "--", "sh", "-c", ": >> "+file)
		if r.code == 0 || !strings.Contains(r.stderr, "Read-only file system") {
			t.Errorf("%s can be written: %d %s", file, r.code, r.stderr)
		}
	}
	for _, file := range []string{"/v/new", "/etc/hosts", "/dev/shm/new"} {
		in.ok(t, "exec", "confined", "-c", "less", "--", "sh", "-c", ": >> "+file)
	}
	in.ok(t, "exec", "confined", "-c", "more", "--", "sh", "-c", ": > /new && ip addr add 127.0.0.9/32 dev lo")
	if r := in.run(t, "exec", "confined", "-c", "more", "--", "chown", "1", "/tmp"); r.code == 0 {
		t.Error("chown works without its capability")
	}
}

func privileged(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: privileged}
spec:
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], securityContext: {privileged: true}}
  - {name: b, image: BUSYBOX, command: [tail, -f, /dev/null]}
`)
	own, _, _ := strings.Cut(strings.SplitAfter(hostStatus(t, os.Getpid()), "CapEff:\t")[1], "\n")
	in.wantStatus(t, "privileged", "a", "CapEff="+own, "CapBnd="+own, "NoNewPrivs=0", "Seccomp=0")
	in.wantStatus(t, "privileged", "b", "CapEff="+defaultCapabilities, "Seccomp=2")
	in.ok(t, "exec", "privileged", "-c", "a", "--", "sh", "-c", `
		set -e
		mkdir /m && mount -t tmpfs m /m && umount /m
		test "$(cat /proc/sys/kernel/panic)" && : > /proc/sys/kernel/panic_on_oops
		grep -q ' /sys sysfs rw,' /proc/mounts
		mknod /tmp/null c 1 3 && echo > /tmp/null
		! grep -q ' /proc/kcore ' /proc/mounts`)
	if r := in.run(t, "exec", "privileged", "-c", "b", "--", "mount", "-t", "tmpfs", "m", "/tmp"); r.code == 0 {
		t.Error("a container beside it can mount")
	}
	for _, device := range devices(t, "/dev") {
		in.ok(t, "exec", "privileged", "-c", "a", "--", "test", "-e", device)
	}
	got, want := cgroupFile(t, process(t, pod, "sleep").Cgroup, "devices", "devices.list", "", "a *:* rwm", "")
	if got != want {
		t.Errorf("devices %q, want %q", got, want)
	}
}

// devices are some of the machine's that no container has by itself.
func devices(t *testing.T, dir string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode()&os.ModeDevice != 0 && (e.Name() == "mem" || e.Name() == "kmsg" || info.Mode()&os.ModeCharDevice == 0) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	if len(found) == 0 {
		t.Fatal("the machine has none of the devices that are looked for")
	}
	return found[:min(3, len(found))]
}

// localhostSeccomp: a profile below the root directory does what it says; one
// that is not there is an error of its container.
func localhostSeccomp(t *testing.T, in *instance) {
	dir := filepath.Join(in.Root, "seccomp", "own")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	profile := `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}`
	if err := os.WriteFile(filepath.Join(dir, "nodirs.json"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(in.Root, "seccomp")) })
	text := `
apiVersion: v1
kind: Pod
metadata: {name: seccomp}
spec:
  securityContext: {seccompProfile: {type: Localhost, localhostProfile: own/nodirs.json}}
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"]}
  - {name: b, image: BUSYBOX, command: [sleep, "1000"], securityContext: {seccompProfile: {type: RuntimeDefault}}}
`
	in.up(t, text)
	in.wantStatus(t, "seccomp", "a", "Seccomp=2")
	if r := in.run(t, "exec", "seccomp", "-c", "a", "--", "mkdir", "/tmp/d"); r.code == 0 || !strings.Contains(r.stderr, "not supported") {
		t.Errorf("mkdir: %d %s", r.code, r.stderr)
	}
	in.ok(t, "exec", "seccomp", "-c", "b", "--", "mkdir", "/tmp/d")

	missing := manifest(strings.NewReplacer("nodirs", "none", "name: seccomp", "name: noseccomp").Replace(text))
	in.later(t, missing)
	r := in.input(t, missing, "up", "-").want(t, 1)
	if want := `CreateContainerError: cannot load seccomp profile "` + filepath.Join(dir, "none.json"); !strings.Contains(r.stderr, want) {
		t.Errorf("no %q in %s", want, r.stderr)
	}
}

// sysctls: the safe ones are the pod's, others need a word of the caller's, and
// the machine's own stay as they are.
func sysctls(t *testing.T, in *instance) {
	text := `
apiVersion: v1
kind: Pod
metadata: {name: sysctls}
spec:
  securityContext:
    sysctls:
    - {name: net.ipv4.ip_unprivileged_port_start, value: "80"}
    - {name: kernel/shm_rmid_forced, value: "1"}
    - {name: net.core.somaxconn, value: "77"}
    - {name: kernel.msgmax, value: "5555"}
  containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"]}]
`
	names := []string{"net/ipv4/ip_unprivileged_port_start", "net/ipv4/ping_group_range", "kernel/shm_rmid_forced", "net/core/somaxconn", "kernel/msgmax"}
	read := func() (values []string) {
		for _, name := range names {
			value, err := os.ReadFile("/proc/sys/" + name)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, strings.TrimSpace(string(value)))
		}
		return values
	}
	before := read()
	r := in.input(t, manifest(text), "up", "-").want(t, 2)
	for _, want := range []string{`-:10: spec.securityContext.sysctls[2].name: forbidden sysctl: "net.core.somaxconn" not allowlisted`, `sysctls[3].name`} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("no %q in %s", want, r.stderr)
		}
	}
	in.up(t, text, "--allowed-unsafe-sysctls=net.core.somaxconn,kernel.msg*")
	got := in.ok(t, "exec", "sysctls", "--", "sh", "-c", "cd /proc/sys; cat "+strings.Join(names, " "))
	if want := "80\n0\t2147483647\n1\n77\n5555\n"; got != want {
		t.Errorf("%s are %q, want %q", names, got, want)
	}
	if after := read(); strings.Join(after, ",") != strings.Join(before, ",") {
		t.Errorf("the machine's were %s and are %s", before, after)
	}
	in.input(t, manifest(text), "down", "--force", "-").want(t, 0)
}
