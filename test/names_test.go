package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// hostsStart is what /etc/hosts begins with.
const hostsStart = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
	"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"

// hostsLines are those of the pod's own addresses.
func hostsLines(pod *corev1.Pod, names string) (lines string) {
	for _, ip := range pod.Status.PodIPs {
		lines += ip.IP + "\t" + names + "\n"
	}
	return lines
}

func names(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: named}
spec:
  hostname: chosen
  subdomain: sub
  setHostnameAsFQDN: true
  hostAliases: [{ip: 192.0.2.7, hostnames: [seven, seven.example]}, {ip: "2001:db8::8", hostnames: [eight]}]
  dnsPolicy: None
  dnsConfig:
    nameservers: [192.0.2.53, "2001:db8::53"]
    searches: [a.example, b.example]
    options: [{name: ndots, value: "3"}, {name: edns0}]
  containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"]}]
`)
	const fqdn = "chosen.sub.default.svc.cluster.local"
	for command, want := range map[string]string{
		"hostname; cat /etc/hostname; echo $HOSTNAME": strings.Repeat(fqdn+"\n", 3),
		"cat /etc/hosts": hostsStart + hostsLines(pod, fqdn+"\tchosen") +
			"\n# Entries added by HostAliases.\n192.0.2.7\tseven\tseven.example\n2001:db8::8\teight\n",
		"cat /etc/resolv.conf": "search a.example b.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions ndots:3 edns0\n",
	} {
		if got := in.ok(t, "exec", "named", "--", "sh", "-c", command); got != want {
			t.Errorf("%s:\n%swant\n%s", command, got, want)
		}
	}
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: overridden}
spec:
  hostnameOverride: other.example
  subdomain: sub
  dnsConfig: {options: [{name: ndots, value: "9"}]}
  containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"]}]
`)
	if got := in.ok(t, "exec", "overridden", "--", "hostname"); got != "other.example\n" {
		t.Errorf("host name %q", got)
	}
	resolv := in.ok(t, "exec", "overridden", "--", "cat", "/etc/resolv.conf")
	if !strings.Contains(resolv, "ndots:9") || strings.Join(nameservers(resolv), " ") != strings.Join(hostNameservers(t), " ") {
		t.Errorf("resolv.conf is\n%s", resolv)
	}
}

// badNames: a name that the kernel does not take is refused before anything is
// made; that there is no cluster DNS is said.
func badNames(t *testing.T, in *instance) {
	text := manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: toolong}
spec:
  hostname: %s
  subdomain: sub
  setHostnameAsFQDN: true
  containers: [{name: a, image: BUSYBOX}]
`, strings.Repeat("a", 40)))
	r := in.input(t, text, "up", "-").want(t, 2)
	if !strings.Contains(r.stderr, "-:8: spec.setHostnameAsFQDN: failed to construct FQDN") {
		t.Errorf("it says %s", r.stderr)
	}
	text = manifest(`
apiVersion: v1
kind: Pod
metadata: {name: clusterdns}
spec:
  dnsPolicy: ClusterFirst
  containers: [{name: a, image: BUSYBOX, command: [sleep, "1000"]}]
`)
	in.later(t, text)
	r = in.input(t, text, "up", "-").want(t, 0)
	if strings.Count(r.stderr, "dnsPolicy") != 1 {
		t.Errorf("it says %s", r.stderr)
	}
}

// hostsFile: a container that mounts its own has its own, and what somebody
// wrote into the pod's is gone when a container is started again.
func hostsFile(t *testing.T, in *instance) {
	own := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(own, []byte("192.0.2.1 mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pod := in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: hosts}
spec:
  volumes: [{name: own, hostPath: {path: %s, type: File}}]
  containers:
  - {name: pods, image: BUSYBOX, command: [sleep, "1000"]}
  - {name: own, image: BUSYBOX, command: [sleep, "1001"], volumeMounts: [{name: own, mountPath: /etc/hosts}]}
`, own))
	if got := in.ok(t, "exec", "hosts", "-c", "own", "--", "cat", "/etc/hosts"); got != "192.0.2.1 mine\n" {
		t.Errorf("the container's own hosts file is %q", got)
	}
	want := hostsStart + hostsLines(pod, "hosts")
	in.ok(t, "exec", "hosts", "-c", "pods", "--", "sh", "-c", "echo 192.0.2.2 intruder >> /etc/hosts")
	if err := syscall.Kill(process(t, pod, "sleep").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		pod := in.pod(t, "hosts")
		for _, c := range pod.Status.ContainerStatuses {
			if c.RestartCount > 0 && c.State.Running != nil {
				return nil
			}
		}
		return fmt.Errorf("no container was started again: %+v", pod.Status.ContainerStatuses)
	})
	if got := in.ok(t, "exec", "hosts", "-c", "pods", "--", "cat", "/etc/hosts"); got != want {
		t.Errorf("the hosts file is\n%swant\n%s", got, want)
	}
}

// hostNamespaces: the machine's processes and shared memory are seen, and stay
// when the pod goes.
func hostNamespaces(t *testing.T, in *instance) {
	shared, err := os.CreateTemp("/dev/shm", "podrun-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(shared.Name())
	defer shared.Close()
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: hostns}
spec:
  hostPID: true
  hostIPC: true
  containers: [{name: a, image: BUSYBOX, command: [sh, -c, "sleep 1000 & wait"]}]
`)
	for _, ns := range []string{"pid", "ipc", "net", "uts", "mnt"} {
		inside := strings.TrimSpace(in.ok(t, "exec", "hostns", "--", "readlink", "/proc/self/ns/"+ns))
		machine, err := os.Readlink("/proc/self/ns/" + ns)
		if err != nil {
			t.Fatal(err)
		}
		if same := inside == machine; same != (ns == "pid" || ns == "ipc") {
			t.Errorf("namespace %s is %s, the machine's %s", ns, inside, machine)
		}
	}
	in.ok(t, "exec", "hostns", "--", "sh", "-c", fmt.Sprintf("test -d /proc/%d && echo seen > %s", os.Getpid(), shared.Name()))
	in.ok(t, "rm", "--force", "hostns")
	if text, err := os.ReadFile(shared.Name()); err != nil || string(text) != "seen\n" {
		t.Errorf("the machine's shared memory holds %q, %v", text, err)
	}
}

// sharedProcesses: the pause process is the first one of all containers, and
// takes what has lost its parent.
func sharedProcesses(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: sharedpid}
spec:
  shareProcessNamespace: true
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1234"]}
  - {name: b, image: BUSYBOX, command: [sh, -c, "trap exit TERM; while :; do sleep 0.1; done"]}
`)
	seen := in.ok(t, "exec", "sharedpid", "-c", "b", "--", "ps", "-o", "pid,args")
	if !strings.Contains(seen, "    1 /pause") || !strings.Contains(seen, "sleep 1234") {
		t.Errorf("the processes are\n%s", seen)
	}
	in.ok(t, "exec", "sharedpid", "-c", "b", "--", "sh", "-c", "(sh -c 'sleep 0.05' &)")
	eventually(t, 5*time.Second, func() error {
		if states := in.ok(t, "exec", "sharedpid", "-c", "b", "--", "ps", "-o", "ppid,stat,args"); strings.Contains(states, "Z") {
			return fmt.Errorf("there are zombies:\n%s", states)
		}
		return nil
	})
}
