package test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// with keeps objects until the end of the test.
func (in *instance) with(tb testing.TB, text string) {
	tb.Helper()
	in.input(tb, text, "up", "-").want(tb, 0)
	tb.Cleanup(func() { in.input(tb, text, "down", "--volumes", "--force", "-").want(tb, 0) })
}

// told: a process finds in its environment what its pod, objects and the
// machine say, in Kubernetes' order, and what is secret is nowhere else.
func told(t *testing.T, in *instance) {
	in.with(t, `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: told}, data: {A: a, B: b, REF: "$(A) $$"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: told-2}, data: {B: b2}}
- {apiVersion: v1, kind: Secret, metadata: {name: told}, stringData: {password: hunter2-of-the-test}}
`)
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: told, labels: {tier: front}, annotations: {note: "x y"}}
spec:
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", -wait=-1s, "$(IP)"]
    resources: {limits: {cpu: 1250m, memory: 64Mi}, requests: {cpu: 10m}}
    envFrom:
    - {configMapRef: {name: told}}
    - {configMapRef: {name: told-2}}
    - {prefix: P_, secretRef: {name: told}}
    - {secretRef: {name: none, optional: true}}
    env:
    - {name: OWN, value: "$(A)-$(B)-$(IP)"}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
    - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: HOSTS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: SPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: THIS, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    - {name: TIER, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
    - {name: NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note']"}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: MILLI, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: KEY, valueFrom: {configMapKeyRef: {name: told, key: REF}}}
    - {name: PASS, valueFrom: {secretKeyRef: {name: told, key: password}}}
    - {name: NONE, valueFrom: {secretKeyRef: {name: told, key: none, optional: true}}}
    - {name: AGAIN, value: "$(KEY) $(PASS)"}
`)
	ip, host := pod.Status.PodIP, pod.Status.HostIP
	var ips, hosts []string
	for _, ip := range pod.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	for _, ip := range pod.Status.HostIPs {
		hosts = append(hosts, ip.IP)
	}
	node, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, addr(ip, 80))
	for _, want := range []string{
		"A=a", "B=b2", "REF=$(A) $$", "P_password=hunter2-of-the-test",
		"OWN=a-b2-$(IP)", "IP=" + ip, "IPS=" + strings.Join(ips, ","), "HOST=" + host, "HOSTS=" + strings.Join(hosts, ","), "NODE=" + node, "ACCOUNT=default",
		"NAME=told", "SPACE=default", "THIS=" + string(pod.UID), "TIER=front", "NOTE=x y",
		"CPU=2", "MILLI=10", "MEM=64", "KEY=$(A) $$", "PASS=hunter2-of-the-test", "AGAIN=$(A) $$ hunter2-of-the-test",
	} {
		if !slices.Contains(r.Env, want) {
			t.Errorf("no %q in %q", want, r.Env)
		}
	}
	if slices.ContainsFunc(r.Env, func(e string) bool { return strings.HasPrefix(e, "NONE=") }) {
		t.Errorf("what is optional and missing is set: %q", r.Env)
	}
	if r.Args[len(r.Args)-1] != ip {
		t.Errorf("arguments %q", r.Args)
	}
	in.keepsSecret(t, "hunter2-of-the-test", pod.Name)
}

// keepsSecret looks for a secret wherever others than root may look.
func (in *instance) keepsSecret(t *testing.T, secret, pod string) {
	t.Helper()
	for _, args := range [][]string{{"inspect", pod}, {"ps", "-o", "json"}, {"logs", pod}} {
		if r := in.run(t, args...).want(t, 0); strings.Contains(r.stdout+r.stderr, secret) {
			t.Errorf("podrun %q tells the secret", args)
		}
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range lines {
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), secret) {
			t.Errorf("%s tells the secret", file)
		}
	}
	for _, dir := range []string{in.Root, in.RunDir} {
		for _, file := range open(t, dir) {
			if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), secret) {
				t.Errorf("%s tells the secret, and anybody may read it", file)
			}
		}
	}
}

// open lists the files below dir that anybody may read, were dir itself open.
func open(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		info, err := entry.Info()
		switch {
		case err != nil:
		case entry.IsDir() && path != dir && info.Mode().Perm()&0o001 == 0:
			return fs.SkipDir
		case info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0:
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// givenFiles: volumes that are made of objects and of the pod's own fields hold
// what Kubernetes would put there, cannot be written, and follow what they are
// made of.
func givenFiles(t *testing.T, in *instance) {
	const objects = `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: files}, data: {a: "%[1]s", b.conf: "b = 1\n"}, binaryData: {bin: AAE=}}
- {apiVersion: v1, kind: Secret, metadata: {name: files}, stringData: {password: "%[2]s"}}
`
	const text = `
apiVersion: v1
kind: Pod
metadata: {name: files, labels: {tier: "%[1]s"}, annotations: {note: "x\"y"}}
spec:
  volumes:
  - {name: conf, configMap: {name: files, defaultMode: 0640}}
  - {name: some, configMap: {name: files, items: [{key: b.conf, path: etc/b.conf, mode: 0400}]}}
  - {name: login, secret: {secretName: files}}
  - {name: none, configMap: {name: none, optional: true}}
  - name: pod
    downwardAPI:
      items:
      - {path: labels, fieldRef: {fieldPath: metadata.labels}}
      - {path: annotations, fieldRef: {fieldPath: metadata.annotations}}
      - {path: memory, resourceFieldRef: {containerName: a, resource: limits.memory, divisor: 1Mi}}
  - name: all
    projected:
      sources:
      - configMap: {name: files, items: [{key: a, path: conf/a}]}
      - secret: {name: files}
      - downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", -wait=-1s]
    resources: {limits: {memory: 64Mi}}
    volumeMounts:
    - {name: conf, mountPath: /conf}
    - {name: some, mountPath: /some}
    - {name: login, mountPath: /login}
    - {name: none, mountPath: /none}
    - {name: pod, mountPath: /pod}
    - {name: all, mountPath: /all}
    - {name: conf, mountPath: /one/a, subPath: a}
`
	in.with(t, fmt.Sprintf(objects, "one", "hunter3-of-the-test"))
	pod := in.up(t, fmt.Sprintf(text, "front"))
	type found struct{ mode, data string }
	want := map[string]found{
		"/conf/a": {"-rw-r-----", "one"}, "/conf/b.conf": {"-rw-r-----", "b = 1\n"}, "/conf/bin": {"-rw-r-----", "\x00\x01"},
		"/some/etc/b.conf": {"-r--------", "b = 1\n"}, "/login/password": {"-rw-r--r--", "hunter3-of-the-test"},
		"/pod/labels": {"-rw-r--r--", `tier="front"`}, "/pod/annotations": {"-rw-r--r--", `note="x\"y"`}, "/pod/memory": {"-rw-r--r--", "64"},
		"/all/conf/a": {"-rw-r--r--", "one"}, "/all/password": {"-rw-r--r--", "hunter3-of-the-test"}, "/all/name": {"-rw-r--r--", "files"},
		"/one/a": {"-rw-r-----", "one"}, "/none": {"drwxrwxrwx", ""},
	}
	check := func() error {
		r, err := get(addr(pod.Status.PodIP, 80), slices.Collect(maps.Keys(want))...)
		for path, w := range want {
			if f := r.Files[path]; err == nil && (found{f.Mode, f.Data}) != w {
				err = fmt.Errorf("%s is %+v, want %+v", path, f, w)
			}
		}
		return err
	}
	eventually(t, 5*time.Second, check)
	r := ask(t, addr(pod.Status.PodIP, 80), "/some/a")
	if r.Files["/some/a"].Error == "" {
		t.Error("a key that is not among the items is there")
	}
	for path, kind := range map[string]string{"/conf": "", "/login": "tmpfs", "/pod": "tmpfs", "/all": "tmpfs", "/none": "", "/one/a": ""} {
		if got := r.Mounts[path]; !strings.HasPrefix(got, kind) || !strings.Contains(got+",", "ro,") {
			t.Errorf("%s is mounted as %q", path, got)
		}
	}
	in.keepsSecret(t, "hunter3-of-the-test", pod.Name)

	// All follow at once, but for what is mounted by its subPath.
	in.input(t, fmt.Sprintf(objects, "two", "hunter4-of-the-test"), "up", "-").want(t, 0)
	in.input(t, manifest(fmt.Sprintf(text, "back")), "up", "-").want(t, 0)
	want["/conf/a"], want["/all/conf/a"] = found{"-rw-r-----", "two"}, found{"-rw-r--r--", "two"}
	want["/login/password"], want["/all/password"] = found{"-rw-r--r--", "hunter4-of-the-test"}, found{"-rw-r--r--", "hunter4-of-the-test"}
	want["/pod/labels"] = found{"-rw-r--r--", `tier="back"`}
	eventually(t, 5*time.Second, check)
	if again := in.pod(t, "files"); container(t, again, "a").RestartCount != 0 || again.UID != pod.UID {
		t.Error("the container was restarted for it")
	}
}

// claims: what is written to a claim outlives the pod, until its claim goes.
func claims(t *testing.T, in *instance) {
	in.with(t, `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: alone}, spec: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}}
`)
	const text = `
apiVersion: v1
kind: Pod
metadata: {name: claims-%[1]d}
spec:
  terminationGracePeriodSeconds: 1
  volumes:
  - {name: d, persistentVolumeClaim: {claimName: data}}
  - {name: r, persistentVolumeClaim: {claimName: data, readOnly: true}}
  - {name: x, persistentVolumeClaim: {claimName: %[2]s}}
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "echo %[1]d >> /d/log; touch /r/x || echo cannot; cat /r/log; exec sleep 1000"]
    volumeMounts: [{name: d, mountPath: /d}, {name: r, mountPath: /r}, {name: x, mountPath: /x}]
`
	logs := func(pod, want string) {
		t.Helper()
		eventually(t, 5*time.Second, func() error {
			if got := in.ok(t, "logs", pod); got != want {
				return fmt.Errorf("%s logs %q, want %q", pod, got, want)
			}
			return nil
		})
	}
	path := filepath.Join(in.Root, "claims/default/data")
	in.up(t, fmt.Sprintf(text, 1, "alone"))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("the claim's directory: %v, %v", info, err)
	}
	logs("claims-1", "cannot\n1\n")
	// Another pod may use the one claim at the same time, and not the other.
	in.up(t, fmt.Sprintf(text, 2, "data"))
	logs("claims-2", "cannot\n1\n2\n")
	r := in.input(t, manifest(fmt.Sprintf(text, 3, "alone")), "up", "-").want(t, 1)
	if !strings.Contains(r.stderr, "ReadWriteOncePod") || !strings.Contains(r.stderr, "claims-1") {
		t.Errorf("the reason is not named: %s", r.stderr)
	}
	in.ok(t, "rm", "--force", "claims-1", "claims-2")
	in.up(t, fmt.Sprintf(text, 3, "alone"))
	logs("claims-3", "cannot\n1\n2\n3\n")
	in.ok(t, "rm", "--force", "claims-3")
	in.input(t, `{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}`,
		"down", "--volumes", "-").want(t, 0)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data of a removed claim: %v", err)
	}
}

// subPaths: a container finds what it names inside of a volume, also when it is
// made anew, and what leads out of the volume is not mounted.
func subPaths(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: subpaths}
spec:
  volumes: [{name: v}]
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "echo here > /v/d/file; ln -s /etc /v/out; test -e /sub/again || { touch /sub/again; exit 1; }; cat /sub/file; ls /own; exec sleep 1000"]
    env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    volumeMounts:
    - {name: v, mountPath: /v}
    - {name: v, mountPath: /sub, subPath: d}
    - {name: v, mountPath: /own, subPathExpr: "$(POD)/x"}
`)
	eventually(t, 10*time.Second, func() error {
		if a := container(t, in.pod(t, "subpaths"), "a"); a.RestartCount != 1 || a.State.Running == nil {
			return fmt.Errorf("container a: %+v", a)
		}
		return nil
	})
	if got := in.ok(t, "exec", "subpaths", "--", "cat", "/sub/file", "/v/d/file"); got != "here\nhere\n" {
		t.Errorf("the files are %q", got)
	}
	if got := in.ok(t, "exec", "subpaths", "--", "ls", "-l", "/v/subpaths"); !strings.Contains(got, "drwxrwxrwx") {
		t.Errorf("what was made is %q", got)
	}
	host := filepath.Join(in.Root, "pods", string(pod.UID), "volumes/kubernetes.io~empty-dir/v")
	r := in.input(t, manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: subpaths-out}
spec:
  volumes: [{name: v, hostPath: {path: %q}}]
  containers: [{name: a, image: PROBE, args: [-wait=-1s], volumeMounts: [{name: v, mountPath: /v, subPath: out}]}]
`, host)), "up", "-").want(t, 1)
	if !strings.Contains(r.stderr, `failed to prepare subPath for volumeMount "v" of container "a"`) {
		t.Errorf("standard error is %q", r.stderr)
	}
}

// mountsBelow: what is mounted below a hostPath is as much read-only, and what
// is mounted there later comes to the container, as is asked for.
func mountsBelow(t *testing.T, in *instance) {
	dir := t.TempDir()
	mount := func(path string) {
		t.Helper()
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size=1m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	mount(dir)
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	mount(filepath.Join(dir, "early"))
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: below}
spec:
  volumes: [{name: v, hostPath: {path: %s}}]
  containers:
  - name: a
    image: BUSYBOX
    command: [sleep, "1000"]
    volumeMounts:
    - {name: v, mountPath: /none}
    - {name: v, mountPath: /slave, mountPropagation: HostToContainer}
    - {name: v, mountPath: /ro, readOnly: true}
    - {name: v, mountPath: /rro, readOnly: true, recursiveReadOnly: Enabled}
    - {name: v, mountPath: /maybe, readOnly: true, recursiveReadOnly: IfPossible}
`, dir))
	mount(filepath.Join(dir, "late"))
	if err := os.WriteFile(filepath.Join(dir, "late/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]int{
		"test -e /slave/late/file": 0, "test -e /none/late/file": 1, "touch /none/early/a": 0,
		"touch /ro/a": 1, "touch /ro/early/a": 0,
		"touch /rro/a": 1, "touch /rro/early/a": 1, "touch /maybe/early/a": 1,
	} {
		in.run(t, "exec", "below", "--", "sh", "-c", command).want(t, want)
	}
	for _, m := range container(t, in.pod(t, "below"), "a").VolumeMounts {
		if want := m.MountPath == "/rro" || m.MountPath == "/maybe"; m.ReadOnly && (*m.RecursiveReadOnly == "Enabled") != want {
			t.Errorf("%s says recursiveReadOnly %s", m.MountPath, *m.RecursiveReadOnly)
		}
	}
	alone := t.TempDir()
	mount(alone)
	if err := unix.Mount("", alone, "", unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	r := in.input(t, manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: below-alone}
spec:
  volumes: [{name: v, hostPath: {path: %s}}]
  containers: [{name: a, image: PROBE, args: [-wait=-1s], volumeMounts: [{name: v, mountPath: /v, mountPropagation: HostToContainer}]}]
`, alone)), "up", "-").want(t, 1)
	if !strings.Contains(r.stderr, "not a shared or slave mount") {
		t.Errorf("standard error is %q", r.stderr)
	}
}

// imageVolumes: a volume is what an image holds, also in part, and nobody can
// write it.
func imageVolumes(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: image-volume}
spec:
  volumes: [{name: v, image: {reference: BUSYBOX}}]
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", -wait=-1s]
    volumeMounts: [{name: v, mountPath: /img}, {name: v, mountPath: /bin, subPath: bin}]
  - name: b
    image: BUSYBOX
    command: [sh, -c, "touch /img/x || echo cannot; exec sleep 1000"]
    volumeMounts: [{name: v, mountPath: /img}]
`)
	r := ask(t, addr(pod.Status.PodIP, 80), "/img/bin/busybox", "/bin/busybox", "/img/etc")
	whole, part := r.Files["/img/bin/busybox"], r.Files["/bin/busybox"]
	if whole.Error != "" || len(whole.Data) == 0 || whole.Data != part.Data {
		t.Errorf("the files are %q, %q", whole.Error, part.Error)
	}
	for _, path := range []string{"/img", "/bin"} {
		if !strings.Contains(r.Mounts[path]+",", "ro,") {
			t.Errorf("%s is mounted as %q", path, r.Mounts[path])
		}
	}
	eventually(t, 5*time.Second, func() error {
		if got := in.ok(t, "logs", "image-volume", "-c", "b"); !strings.Contains(got, "cannot") {
			return fmt.Errorf("the log is %q", got)
		}
		return nil
	})
	r2 := in.input(t, manifest(`
apiVersion: v1
kind: Pod
metadata: {name: image-volume-none}
spec:
  volumes: [{name: v, image: {reference: "REGISTRY/nowhere:1"}}]
  containers: [{name: a, image: PROBE, args: [-wait=-1s], volumeMounts: [{name: v, mountPath: /v}]}]
`), "up", "-").want(t, 1)
	if !strings.Contains(r2.stderr, "ErrImagePull") || !strings.Contains(r2.stderr, "nowhere:1") {
		t.Errorf("standard error is %q", r2.stderr)
	}
}

// variablesOfFiles: an init container tells the others what it found out.
func variablesOfFiles(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: env-files}
spec:
  volumes: [{name: v}]
  initContainers:
  - name: i
    image: BUSYBOX
    command: [sh, -c]
    args: ["echo \"A='a \\$B' # found\" > /v/env"]
    volumeMounts: [{name: v, mountPath: /v}]
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", -wait=-1s]
    env:
    - {name: FOUND, valueFrom: {fileKeyRef: {volumeName: v, path: env, key: A}}}
    - {name: NONE, valueFrom: {fileKeyRef: {volumeName: v, path: env, key: B, optional: true}}}
    - {name: AGAIN, value: "<$(FOUND)>"}
`)
	r := ask(t, addr(pod.Status.PodIP, 80))
	for _, want := range []string{"FOUND=a $B", "AGAIN=<a $B>"} {
		if !slices.Contains(r.Env, want) {
			t.Errorf("no %q in %q", want, r.Env)
		}
	}
	if slices.ContainsFunc(r.Env, func(e string) bool { return strings.HasPrefix(e, "NONE=") }) {
		t.Errorf("what is optional and missing is set: %q", r.Env)
	}
}

// evicted: a pod that fills a volume beyond its limit is ended, and says so.
func evicted(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: evicted}
spec:
  volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]
  containers:
  - {name: a, image: BUSYBOX, command: [sh, -c, "head -c 3000000 /dev/zero > /v/file; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
`)
	pod := in.phase(t, "evicted", corev1.PodFailed)
	if want := `Usage of EmptyDir volume "v" exceeds the limit "1Mi". `; pod.Status.Reason != "Evicted" || pod.Status.Message != want {
		t.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
	}
	if !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == "TerminationByKubelet"
	}) {
		t.Errorf("conditions %+v", pod.Status.Conditions)
	}
}

// exampleConfig: examples/config.yaml does what it says.
func exampleConfig(t *testing.T, in *instance) {
	data, err := os.ReadFile("../examples/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "localhost:5000/busybox:1", lab.busybox)
	t.Cleanup(func() {
		uids := in.uidsOf(t, "site")
		in.input(t, text, "down", "--volumes", "--force", "-").want(t, 0)
		in.gone(t, uids...)
	})
	r := in.input(t, text, "up", "-").want(t, 0)
	if want := "configmap/site created\nsecret/login created\npersistentvolumeclaim/visits created\npod/site created\n"; r.stdout != want {
		t.Errorf("up prints %q", r.stdout)
	}
	page := func(want string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			got, err := page(addr(in.pod(t, "site").Status.PodIP, 80))
			if err == nil && got != want {
				err = fmt.Errorf("the page is %q, want %q", got, want)
			}
			return err
		})
	}
	page("hello from a ConfigMap\n")
	r = in.input(t, strings.Replace(text, "hello from a ConfigMap\n", "hello again\n", 1), "up", "-").want(t, 0)
	if !strings.HasPrefix(r.stdout, "configmap/site configured\n") || !strings.HasSuffix(r.stdout, "pod/site unchanged\n") {
		t.Errorf("up prints %q", r.stdout)
	}
	page("hello again\n")
	in.input(t, text, "down", "-").want(t, 0)
	in.input(t, text, "up", "-").want(t, 0)
	if got := in.ok(t, "exec", "site", "--", "sh", "-c", "echo $PASSWORD; cat /visits/log"); got != "change me\nsite started\nsite started\n" {
		t.Errorf("the log is %q", got)
	}
}
