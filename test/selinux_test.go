package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// withSELinux: processes and files have the labels that the manifest asks for, where
// the machine has SELinux; elsewhere that is refused. What is the host's keeps its own.
func withSELinux(t *testing.T, in *instance) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("of the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: labelled}
spec:
  securityContext: {seLinuxOptions: {level: "s0:c3,c7"}}
  volumes:
  - {name: v, emptyDir: {}}
  - {name: m, emptyDir: {medium: Memory}}
  - {name: d, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
  - {name: h, hostPath: {path: %s}}
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "echo said; echo made >/v/made; echo made >/m/made; exec sleep 1000"]
    volumeMounts: [{name: v, mountPath: /v}, {name: m, mountPath: /m}, {name: d, mountPath: /d}, {name: h, mountPath: /h}]
  - name: b
    image: BUSYBOX
    command: [tail, -f, /dev/null]
    securityContext: {seLinuxOptions: {level: "s0:c9"}}
`, dir))
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		r := in.input(t, text, "up", "-").want(t, 2)
		for _, field := range []string{"spec.securityContext.seLinuxOptions", "spec.containers[1].securityContext.seLinuxOptions"} {
			if !strings.Contains(r.stderr, field+": cannot enforce SELinux: ") {
				t.Errorf("it does not say that of %s: %s", field, r.stderr)
			}
		}
		return
	}
	before := labelOf(t, filepath.Join(dir, "file"))
	pod := in.up(t, text)
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: unlabelled}
spec: {containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"]}]}
`)
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: labelled-privileged}
spec:
  securityContext: {seLinuxOptions: {level: "s0:c3,c7"}}
  containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"], securityContext: {privileged: true}}]
`)

	const domain, files = "system_u:system_r:container_t:", "system_u:object_r:container_file_t:"
	a := process(t, pod, "sleep")
	for program, want := range map[string]string{"sleep": domain + "s0:c3,c7", "tail": domain + "s0:c9", "/pause": domain + "s0:c3,c7"} {
		if got := domainOf(t, process(t, pod, program).PID); got != want {
			t.Errorf("%s runs as %s, want %s", program, got, want)
		}
	}
	for what, pid := range map[string]int{
		"a privileged container":  process(t, in.pod(t, "labelled-privileged"), "sleep").PID,
		"a pod that does not ask": process(t, in.pod(t, "unlabelled"), "sleep").PID,
	} {
		if got := domainOf(t, pid); strings.HasPrefix(got, domain) {
			t.Errorf("%s runs as %s", what, got)
		}
	}
	if got := in.ok(t, "exec", "labelled", "-c", "a", "--", "cat", "/proc/self/attr/current"); strings.TrimRight(got, "\x00\n") != domain+"s0:c3,c7" {
		t.Errorf("exec runs as %q", got)
	}

	root := filepath.Join("/proc", fmt.Sprint(a.PID), "root")
	for _, file := range []string{"/", "/bin/busybox", "/dev", "/dev/shm", "/etc/hosts", "/etc/resolv.conf", "/dev/termination-log", "/v", "/v/made", "/m", "/m/made", "/d", "/d/..data/name"} {
		if got := labelOf(t, root+file); got != files+"s0:c3,c7" {
			t.Errorf("%s is %s", file, got)
		}
	}
	if got := labelOf(t, fmt.Sprintf("/proc/%d/root/bin/busybox", process(t, pod, "tail").PID)); got != files+"s0:c9" {
		t.Errorf("the root filesystem of b is %s", got)
	}
	if after := labelOf(t, filepath.Join(dir, "file")); after != before {
		t.Errorf("the host's file was %s, is %s", before, after)
	}
	if got := in.ok(t, "logs", "labelled", "-c", "a"); got != "said\n" {
		t.Errorf("the log is %q", got)
	}
}

// domainOf is what SELinux has a process as.
func domainOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/attr/current", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(text), "\x00\n")
}

// labelOf is the label of a file.
func labelOf(t *testing.T, file string) string {
	t.Helper()
	label := make([]byte, 256)
	n, err := unix.Getxattr(file, "security.selinux", label)
	if err != nil {
		t.Fatalf("label of %s: %v", file, err)
	}
	return strings.TrimRight(string(label[:n]), "\x00")
}
