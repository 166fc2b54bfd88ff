package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limits: the cgroups of the pod and of its container say what the manifest
// says.
func limits(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  containers:
  - name: a
    image: PROBE
    args: [-wait=-1s]
    resources: {requests: {cpu: 250m, memory: 32Mi}, limits: {cpu: 500m, memory: 64Mi}}
`)
	group := process(t, pod, "/probe").Cgroup
	parent := podCgroup("burstable", string(pod.UID))
	if filepath.Dir(group) != parent {
		t.Errorf("the container is in %s, not below %s", group, parent)
	}
	for _, group := range []string{group, parent} {
		for _, want := range []struct{ controller, v1, v2, value, value2 string }{
			{"memory", "memory.limit_in_bytes", "memory.max", "67108864", "67108864"},
			{"cpu", "cpu.cfs_quota_us", "cpu.max", "50000", "50000 100000"},
			{"cpu", "cpu.cfs_period_us", "cpu.max", "100000", "50000 100000"},
		} {
			if got, value := cgroupFile(t, group, want.controller, want.v1, want.v2, want.value, want.value2); got != value {
				t.Errorf("%s of %s is %s, want %s", want.v1, group, got, value)
			}
		}
	}
	if got, value := cgroupFile(t, group, "cpu", "cpu.shares", "", "256", ""); got != value {
		t.Errorf("cpu.shares is %s, want %s", got, value)
	}
}

// podResources: what is said of the pod as a whole limits it, and its containers
// that say nothing; it makes the QoS class too. Space is not limited, and that
// is said.
func podResources(t *testing.T, in *instance) {
	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: whole}
spec:
  resources: {requests: {cpu: 500m, memory: 64Mi}, limits: {cpu: 500m, memory: 64Mi}}
  containers:
  - {name: a, image: PROBE, args: [-wait=-1s]}
  - name: b
    image: BUSYBOX
    command: [sleep, "1000"]
    resources: {limits: {cpu: 100m, memory: 32Mi, ephemeral-storage: 1Gi}}
`)
	in.later(t, text)
	r := in.input(t, text, "up", "-").want(t, 0)
	if !strings.Contains(r.stderr, "ignored on one machine: containers[1].resources.limits[ephemeral-storage]") {
		t.Errorf("it says %s", r.stderr)
	}
	pod := in.pod(t, "whole")
	if pod.Status.QOSClass != "Guaranteed" {
		t.Errorf("QoS class %s", pod.Status.QOSClass)
	}
	parent := podCgroup("", string(pod.UID))
	for name, test := range map[string]struct {
		group           string
		shares          string
		quota, memory   string
		quota2, memory2 string
	}{
		"the pod":                     {parent, "512", "50000", "67108864", "50000 100000", "67108864"},
		"a container without its own": {process(t, pod, "/probe").Cgroup, "512", "50000", "67108864", "50000 100000", "67108864"},
		"a container":                 {process(t, pod, "sleep").Cgroup, "102", "10000", "33554432", "10000 100000", "33554432"},
	} {
		if !strings.HasPrefix(test.group, parent) {
			t.Errorf("%s is in %s", name, test.group)
		}
		for _, file := range []struct{ controller, v1, v2, value, value2 string }{
			{"cpu", "cpu.shares", "", test.shares, ""},
			{"cpu", "cpu.cfs_quota_us", "cpu.max", test.quota, test.quota2},
			{"memory", "memory.limit_in_bytes", "memory.max", test.memory, test.memory2},
		} {
			if got, want := cgroupFile(t, test.group, file.controller, file.v1, file.v2, file.value, file.value2); got != want {
				t.Errorf("%s of %s is %s, want %s", file.v1, name, got, want)
			}
		}
	}
}

// cgroupDriver is the variable that says which driver all tests are run with.
const cgroupDriver = "PODRUN_CGROUP_DRIVER"

// podCgroup is where a pod's cgroup has to be, by its level and its UID.
func podCgroup(level, uid string) string {
	if os.Getenv(cgroupDriver) != "systemd" {
		return filepath.Join("/podrun", level, "pod"+uid)
	}
	dir, slice := "/podrun.slice", "podrun"
	if level != "" {
		slice += "-" + level
		dir = filepath.Join(dir, slice+".slice")
	}
	return filepath.Join(dir, slice+"-pod"+strings.ReplaceAll(uid, "-", "_")+".slice")
}

// cgroupFile reads a file of a cgroup, v1 where the controller has a hierarchy
// of its own and v2 elsewhere, and returns with it the value to be expected
// there. An empty name in v2 stands for a file that is not compared.
func cgroupFile(t *testing.T, group, controller, name1, name2, value1, value2 string) (got, want string) {
	t.Helper()
	path, want := filepath.Join("/sys/fs/cgroup", controller, group, name1), value1
	if _, err := os.Stat(filepath.Join("/sys/fs/cgroup", controller)); err != nil {
		if name2 == "" {
			return "", ""
		}
		path, want = filepath.Join("/sys/fs/cgroup", group, name2), value2
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data)), want
}

// sandboxFiles: hosts, hostname, resolv.conf and /dev/shm are as a kubelet
// makes them.
func sandboxFiles(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: sharedfiles}
spec:
  hostname: chosen
  containers: [{name: a, image: PROBE, args: ["-http=:80", -wait=-1s]}]
`)
	r := ask(t, addr(pod.Status.PodIP, 80), "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm")
	hosts := "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n" +
		hostsLines(pod, "chosen")
	if got := r.Files["/etc/hosts"].Data; got != hosts {
		t.Errorf("/etc/hosts is\n%s", got)
	}
	if got := r.Files["/etc/hostname"].Data; got != "chosen\n" || r.Hostname != "chosen" {
		t.Errorf("/etc/hostname is %q, the host name %q", got, r.Hostname)
	}
	if got, want := nameservers(r.Files["/etc/resolv.conf"].Data), hostNameservers(t); !slices.Equal(got, want) {
		t.Errorf("name servers %v, want %v", got, want)
	}
	if mode, opts := r.Files["/dev/shm"].Mode, r.Mounts["/dev/shm"]; mode != "dtrwxrwxrwx" || !strings.Contains(opts, "size=65536k") {
		t.Errorf("/dev/shm has mode %s, options %s", mode, opts)
	}
	if opts := r.Mounts["/"]; !strings.Contains(opts, "volatile") {
		t.Errorf("the end of a container waits for the disk: its root has options %s", opts)
	}
}

func nameservers(resolv string) (servers []string) {
	for line := range strings.Lines(resolv) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			servers = append(servers, f[1])
		}
	}
	return servers[:min(3, len(servers))]
}

func hostNameservers(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("/run/systemd/resolve/resolv.conf")
	if err != nil {
		data, err = os.ReadFile("/etc/resolv.conf")
	}
	if err != nil {
		t.Fatal(err)
	}
	return nameservers(string(data))
}

// environment: command, args, variables and working directory; and nothing of
// the environment that podrun was called with.
func environment(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: env}
spec:
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", "-wait=$(FOREVER)"]
    workingDir: /made/for/me
    env:
    - {name: FOREVER, value: "-1s"}
    - {name: GREETING, value: "hello $(FOREVER) $$(FOREVER) $(LATER)"}
    - {name: LATER, value: "x"}
`)
	r := ask(t, addr(pod.Status.PodIP, 80))
	for _, want := range []string{"FROM_IMAGE=yes", "GREETING=hello -1s $(FOREVER) $(LATER)", "HOSTNAME=env"} {
		if !slices.Contains(r.Env, want) {
			t.Errorf("no %q in %q", want, r.Env)
		}
	}
	if i := slices.IndexFunc(r.Env, func(e string) bool { return strings.HasPrefix(e, "PODRUN_") }); i >= 0 {
		t.Errorf("%s came from outside", r.Env[i])
	}
	if want := []string{"/probe", "-http=:80", "-wait=-1s"}; !slices.Equal(r.Args, want) {
		t.Errorf("arguments %q, want %q", r.Args, want)
	}
	if r.Dir != "/made/for/me" || r.PID != 1 {
		t.Errorf("directory %s, pid %d", r.Dir, r.PID)
	}
}

func emptyDir(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: empty}
spec:
  volumes:
  - {name: disk, emptyDir: {}}
  - {name: ram, emptyDir: {medium: Memory}}
  - {name: own, emptyDir: {mode: 01750}}
  - {name: ramown, emptyDir: {medium: Memory, mode: 0700}}
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", -wait=-1s]
    volumeMounts:
    - {name: disk, mountPath: /disk, bindMountOptions: [noexec, nosuid]}
    - {name: ram, mountPath: /ram}
    - {name: own, mountPath: /own, subPath: below, bindMountOptions: [nodev]}
  - name: b
    image: BUSYBOX
    command: [sleep, "1000"]
    volumeMounts:
    - {name: disk, mountPath: /disk}
    - {name: own, mountPath: /own}
    - {name: ramown, mountPath: /ramown}
`)
	r := ask(t, addr(pod.Status.PodIP, 80), "/disk", "/ram")
	if mode := r.Files["/disk"].Mode; mode != "drwxrwxrwx" {
		t.Errorf("the volume on disk has mode %s", mode)
	}
	if fs := strings.Fields(r.Mounts["/ram"] + " ")[0]; fs != "tmpfs" {
		t.Errorf("the volume in memory is %s", fs)
	}
	if got := in.ok(t, "exec", "empty", "-c", "b", "--", "stat", "-c", "%a", "/own", "/ramown"); got != "1750\n700\n" {
		t.Errorf("modes are %s", got)
	}
	for name, want := range map[string]map[string]string{
		"/probe": {"/disk": "noexec,nosuid", "/own": "nodev", "/ram": ""},
		"sleep":  {"/disk": "", "/own": ""},
	} {
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", process(t, pod, name).PID))
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range want {
			if got := restrictions(string(mounts), path); got != want {
				t.Errorf("%s in the container of %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

// restrictions are those of a mount, in the form of /proc/PID/mounts, sorted.
func restrictions(mounts, path string) string {
	var found []string
	for line := range strings.Lines(mounts) {
		if fields := strings.Fields(line); fields[1] == path {
			found = slices.DeleteFunc(strings.Split(fields[3], ","), func(o string) bool {
				return o != "noexec" && o != "nodev" && o != "nosuid"
			})
		}
	}
	slices.Sort(found)
	return strings.Join(found, ",")
}

// hostPath: a directory of the machine is seen, changed, and still there when
// the pod is gone.
func hostPath(t *testing.T, in *instance) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: hostpath}
spec:
  volumes: [{name: v, hostPath: {path: %s, type: Directory}}]
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /v}]}
`, dir))
	in.ok(t, "exec", "hostpath", "--", "sh", "-c", "cp /v/mine /v/copy")
	in.ok(t, "rm", "--force", "hostpath")
	for _, name := range []string{"mine", "copy"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); string(data) != "keep" {
			t.Errorf("%s holds %q: %v", name, data, err)
		}
	}
}

// hostPathChanges: however often something else takes the place of a directory, a
// container that demands one finds one, or is not made.
func hostPathChanges(t *testing.T, in *instance) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "path"), filepath.Join(dir, "other")
	if err := errors.Join(os.Mkdir(path, 0o755), os.WriteFile(other, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				if err := unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer group.Wait()
	defer close(done)
	text := manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: changes}
spec:
  volumes: [{name: v, hostPath: {path: %s, type: Directory}}, {name: seen}]
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: seen, mountPath: /seen}]}
  - name: b
    image: BUSYBOX
    command: [sh, -c, "stat -c %%F /v >> /seen/types; exit 1"]
    volumeMounts: [{name: v, mountPath: /v}, {name: seen, mountPath: /seen}]
`, path))
	in.later(t, text)
	in.input(t, text, "up", "-d", "-", "--backoff-base", "10ms").want(t, 0)
	eventually(t, 60*time.Second, func() error {
		types := in.run(t, "exec", "changes", "-c", "a", "--", "cat", "/seen/types").stdout
		if strings.Count(types, "directory\n") != strings.Count(types, "\n") {
			t.Fatalf("mounted was a\n%s", types)
		}
		if strings.Count(types, "\n") < 6 {
			return fmt.Errorf("seen only\n%s", types)
		}
		return nil
	})
}

// manyAtOnce: pods that are made and removed at the same time get along.
func manyAtOnce(t *testing.T, in *instance) {
	const pods = 4
	for i := range pods {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			pod := in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: many-%d}
spec:
  containers: [{name: a, image: PROBE, args: ["-http=:80", -wait=-1s]}]
`, i))
			if got := ask(t, addr(pod.Status.PodIP, 80)).Hostname; got != pod.Name {
				t.Errorf("%s answers on the address of %s", got, pod.Name)
			}
		})
	}
}

// TestPausesShareRoot: the bundled pause program needs no root filesystem for each
// pod, and cannot change the one that there is. It stays as long as a pod is there,
// whatever becomes of the image.
func TestPausesShareRoot(t *testing.T) {
	in := alone(t)
	pauseOf := func(name string) (root string) {
		pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: `+name+`}
spec:
  containers:
  - {name: main, image: BUSYBOX, command: [sleep, "1000"]}
`)
		return fmt.Sprintf("/proc/%d/root", process(t, pod, "/pause").PID)
	}
	one, other := pauseOf("one"), pauseOf("other")
	var roots [2]os.FileInfo
	for i, root := range []string{one, other} {
		info, err := os.Stat(root)
		if err != nil {
			t.Fatal(err)
		}
		roots[i] = info
		if err := os.WriteFile(root+"/file", nil, 0o600); !errors.Is(err, unix.EROFS) {
			t.Errorf("write into the root of pause: %v", err)
		}
	}
	if !os.SameFile(roots[0], roots[1]) {
		t.Error("each pause has a root of its own")
	}
	pause := ""
	for field := range strings.FieldsSeq(in.ok(t, "images")) {
		if strings.HasPrefix(field, "podrun.local/pause:") {
			pause = field
		}
	}
	in.ok(t, "rmi", "--force", pause)
	for _, path := range []string{one + "/pause", other + "/proc/1/stat"} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	third, err := os.Stat(pauseOf("third"))
	if err != nil {
		t.Fatal(err)
	}
	in.ok(t, "rm", "--force", "one", "other")
	if !os.SameFile(roots[0], third) {
		t.Error("the image that was made again has another root")
	}
}
