package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"

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

// bothFamilies: pods reach each other by IPv4 and by IPv6, and the machine reaches
// them by their addresses and their host ports; containers are told both addresses.
func bothFamilies(t *testing.T, in *instance) {
	p, p6 := port(t), port(t)
	machine6 := hostIPv6(t)
	a := in.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: dual-a}
spec:
  containers:
  - name: a
    image: PROBE
    args: ["-http=:80", -wait=-1s]
    env: [{name: IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}]
    ports: [{containerPort: 80, hostPort: %d}, {containerPort: 80, hostPort: %d, hostIP: "%s"}]
`, p, p6, machine6))
	b := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: dual-b}
spec:
  containers: [{name: b, image: BUSYBOX, command: [sleep, "1000"]}]
`)
	a4, a6 := families(t, a)
	b4, b6 := families(t, b)
	for _, address := range []string{addr(a4, 80), addr(a6, 80), local(p), addr(machine6, p), addr(machine6, p6)} {
		r := ask(t, address, "/etc/hosts")
		if !slices.Contains(r.Env, "IPS="+a4+","+a6) {
			t.Errorf("%s: the environment is %q", address, r.Env)
		}
		if got := r.Files["/etc/hosts"].Data; got != hostsStart+hostsLines(a, "dual-a") {
			t.Errorf("%s: /etc/hosts is\n%s", address, got)
		}
	}
	if _, err := get(local(p6)); err == nil {
		t.Errorf("a host port of %s answers on 127.0.0.1", machine6)
	}
	for _, ip := range []string{a4, a6} {
		if got := in.ok(t, "exec", "dual-b", "--", "wget", "-qO-", "http://"+addr(ip, 80)+"/"); !strings.Contains(got, "dual-a") {
			t.Errorf("pod to pod by %s: %q", ip, got)
		}
	}
	addresses := in.ok(t, "exec", "dual-b", "--", "ip", "-o", "addr", "show", "eth0")
	for _, want := range []string{"inet " + b4 + "/24 ", "inet6 " + b6 + "/64 scope global "} {
		if !strings.Contains(addresses, want) {
			t.Errorf("no %q in\n%s", want, addresses)
		}
	}
	if !strings.Contains(in.ok(t, "ps"), a4) {
		t.Errorf("ps does not show %s", a4)
	}
}

// hostIPv6 gives the machine an IPv6 address on lo.
func hostIPv6(t *testing.T) string {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	ip, err := netlink.ParseAddr(fmt.Sprintf("2001:db8:%x::1/128", os.Getpid()&0xffff))
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(lo, ip); err != nil {
		t.Fatalf("IPv6 is needed: %v", err)
	}
	t.Cleanup(func() {
		if err := netlink.AddrDel(lo, ip); err != nil {
			t.Error(err)
		}
	})
	return ip.IP.String()
}

// families are a pod's addresses, IPv4 first.
func families(t *testing.T, pod *corev1.Pod) (ipv4, ipv6 string) {
	t.Helper()
	ips := pod.Status.PodIPs
	if len(ips) != 2 || net.ParseIP(ips[0].IP).To4() == nil || net.ParseIP(ips[1].IP).To4() != nil || pod.Status.PodIP != ips[0].IP {
		t.Fatalf("pod %s has the addresses %s and %+v", pod.Name, pod.Status.PodIP, ips)
	}
	return ips[0].IP, ips[1].IP
}

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
	var line string
	eventually(t, 5*time.Second, func() error {
		if line = firstLine(in.ok(t, "logs", pod.Name)); line == "" {
			return errors.New("nothing is logged")
		}
		return nil
	})
	first := unmarshal[report.Report](t, line)
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
