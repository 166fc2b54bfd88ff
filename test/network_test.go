package test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"podrun/test/report"
)

// answersTCP: a pod answers on its own address, and over its hostPort on every
// address of the machine.
func answersTCP(t *testing.T, in *instance) {
	p := port(t)
	pod := in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: tcp}
spec:
  containers:
  - {name: a, image: PROBE, args: ["-http=:80", -wait=-1s], ports: [{containerPort: 80, hostPort: %d}]}
`, p))
	same := ask(t, addr(pod.Status.PodIP, 80)).Hostname
	if same != "tcp" {
		t.Errorf("host name %q answers on the pod's address", same)
	}
	for _, ip := range append(hostIPs(t), "127.0.0.1") {
		if got := ask(t, addr(ip, p)).Hostname; got != "tcp" {
			t.Errorf("host name %q answers on %s:%d", got, ip, p)
		}
	}
}

func answersUDP(t *testing.T, in *instance) {
	p := port(t)
	pod := in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: udp}
spec:
  containers:
  - {name: a, image: PROBE, args: ["-udp=:53", -wait=-1s], ports: [{containerPort: 53, hostPort: %d, protocol: UDP}]}
`, p))
	for _, address := range []string{addr(pod.Status.PodIP, 53), local(p)} {
		eventually(t, settle, func() error { return echo(address) })
	}
}

// hostIP: a port that is bound to one address does not answer on another.
func hostIP(t *testing.T, in *instance) {
	p := port(t)
	in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: hostip}
spec:
  containers:
  - {name: a, image: PROBE, args: ["-http=:80", -wait=-1s], ports: [{containerPort: 80, hostPort: %d, hostIP: 127.0.0.1}]}
`, p))
	ask(t, local(p))
	for _, ip := range hostIPs(t) {
		if _, err := get(addr(ip, p)); err == nil {
			t.Errorf("answers on %s too", ip)
		}
	}
}

// takenPort: portmap would silently take the port away from who listens on it.
func takenPort(t *testing.T, in *instance) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	text := manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: taken}
spec:
  containers:
  - {name: a, image: PROBE, args: [-wait=-1s], ports: [{containerPort: 80, hostPort: %d}]}
`, taken))
	in.later(t, text)
	r := in.input(t, text, "up", "-").want(t, 1)
	if !strings.Contains(r.stderr, fmt.Sprint(taken)) {
		t.Errorf("the port is not named: %s", r.stderr)
	}
	if uids := in.uidsOf(t, "taken"); len(uids) != 0 {
		t.Errorf("there is a pod %s", uids)
	}
}

// containersShare: the containers of a pod have one address, one host name, one
// IPC namespace and one volume, but neither processes nor mounts in common.
func containersShare(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: shared}
spec:
  volumes: [{name: v}]
  containers:
  - {name: a, image: PROBE, args: ["-http=:80", -wait=-1s], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: b, image: PROBE, args: ["-http=:81", -wait=-1s], volumeMounts: [{name: v, mountPath: /w, readOnly: true}]}
  - {name: c, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /v}]}
`)
	a, b := ask(t, addr(pod.Status.PodIP, 80)), ask(t, addr(pod.Status.PodIP, 81))
	for i, name := range []string{"net", "ipc", "uts", "pid", "mnt"} {
		if same := a.Namespaces[i] == b.Namespaces[i]; same != (i < 3) {
			t.Errorf("namespace %s: %s and %s", name, a.Namespaces[i], b.Namespaces[i])
		}
	}
	if got := in.ok(t, "exec", "shared", "-c", "c", "--", "wget", "-qO-", "http://127.0.0.1:81/"); !strings.Contains(got, "shared") {
		t.Errorf("over the loopback: %q", got)
	}
	in.ok(t, "exec", "shared", "-c", "c", "--", "sh", "-c", "echo hi >/v/f; chmod 600 /v/f; echo there >/dev/shm/g")
	b = ask(t, addr(pod.Status.PodIP, 81), "/w/f", "/dev/shm/g")
	if b.Files["/w/f"].Data != "hi\n" || b.Files["/dev/shm/g"].Data != "there\n" {
		t.Errorf("the other container reads %+v", b.Files)
	}
	if opts := strings.Split(b.Mounts["/w"], " ")[1]; !strings.HasPrefix(opts, "ro,") {
		t.Errorf("/w is mounted %s", opts)
	}
}

// hostNetwork: such a pod has the machine's network and host name.
func hostNetwork(t *testing.T, in *instance) {
	p := port(t)
	pod := in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: hostnet}
spec:
  hostNetwork: true
  containers:
  - {name: a, image: PROBE, args: ["-http=127.0.0.1:%d", -wait=-1s]}
`, p))
	r := ask(t, local(p), "/etc/hosts")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if r.Hostname != host {
		t.Errorf("host name %q, want %q", r.Hostname, host)
	}
	if ns, _ := os.Readlink("/proc/self/ns/net"); r.Namespaces[0] != ns {
		t.Errorf("network namespace %s, want %s", r.Namespaces[0], ns)
	}
	if !strings.HasPrefix(r.Files["/etc/hosts"].Data, "# Kubernetes-managed hosts file (host network).\n") {
		t.Errorf("/etc/hosts is %+v", r.Files["/etc/hosts"])
	}
	if pod.Status.PodIP != pod.Status.HostIP {
		t.Errorf("podIP %s, hostIP %s", pod.Status.PodIP, pod.Status.HostIP)
	}
}

// hostIPs are the IPv4 addresses of the machine but for the loopback ones and
// those of bridges, where pods of other instances come and go.
func hostIPs(t *testing.T) (ips []string) {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if _, err := os.Stat("/sys/class/net/" + link.Name + "/bridge"); err == nil || link.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := link.Addrs()
		if err != nil {
			continue // gone meanwhile
		}
		for _, a := range addrs {
			if ip := a.(*net.IPNet).IP.To4(); ip != nil {
				ips = append(ips, ip.String())
			}
		}
	}
	return ips
}

// descriptors: nothing of what podrun, containerd or runc had open is open in
// the container.
func descriptors(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: fds}
spec:
  containers: [{name: a, image: PROBE, args: [-report, "-http=:80", -wait=-1s]}]
`)
	first := unmarshal[report.Report](t, firstLine(in.ok(t, "logs", pod.Name)))
	for _, fd := range first.Descriptors {
		number, target, _ := strings.Cut(fd, " ")
		// Go's own: its poller, its look at the processor limits, and at these.
		own := strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/") || strings.HasPrefix(target, "/proc/")
		if number > "2" && !own {
			t.Errorf("descriptor %s is open", fd)
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
