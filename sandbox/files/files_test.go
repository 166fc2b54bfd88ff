package files

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestHostname(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		pod  v1.Pod
		want string
	}{
		{"the pod's name", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}}, "web"},
		{"spec.hostname", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: v1.PodSpec{Hostname: "other"}}, "other"},
		{"host network", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: v1.PodSpec{HostNetwork: true, Hostname: "other"}}, "node"},
		{"override", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: v1.PodSpec{HostnameOverride: new("a.b"), Subdomain: "sub"}}, "a.b"},
		{"subdomain", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns"}, Spec: v1.PodSpec{Subdomain: "sub"}}, "web"},
		{"FQDN", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns"},
			Spec: v1.PodSpec{Subdomain: "sub", SetHostnameAsFQDN: new(true)}}, "web.sub.ns.svc.cluster.local"},
		{"FQDN without a domain", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: v1.PodSpec{SetHostnameAsFQDN: new(true)}}, "web"},
		{"FQDN of 64", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("a", 39), Namespace: "ns"},
			Spec: v1.PodSpec{Subdomain: "sub", SetHostnameAsFQDN: new(true)}}, strings.Repeat("a", 39) + ".sub.ns.svc.cluster.local"},
		{"63 fit", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("a", 63)}}, strings.Repeat("a", 63)},
		{"64 are cut", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("a", 64)}}, strings.Repeat("a", 63)},
		{"no dash or dot at the end", v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("a", 60) + "-.-b"}}, strings.Repeat("a", 60)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Hostname(&test.pod, "node")
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
	if _, err := Hostname(&v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("-", 64)}}, "node"); err == nil {
		t.Error("a name of dashes is taken")
	}
	_, err := Hostname(&v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("a", 40), Namespace: "ns"},
		Spec: v1.PodSpec{Subdomain: "sub", SetHostnameAsFQDN: new(true)}}, "node")
	want := "failed to construct FQDN from pod hostname and cluster domain, FQDN " + strings.Repeat("a", 40) +
		".sub.ns.svc.cluster.local is too long (64 characters is the max, 65 characters requested)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

const hostsStart = "# Kubernetes-managed hosts file.\n" +
	"127.0.0.1\tlocalhost\n" +
	"::1\tlocalhost ip6-localhost ip6-loopback\n" +
	"fe00::0\tip6-localnet\n" +
	"fe00::0\tip6-mcastprefix\n" +
	"fe00::1\tip6-allnodes\n" +
	"fe00::2\tip6-allrouters\n"

func TestHosts(t *testing.T) {
	t.Parallel()
	aliases := []v1.HostAlias{{IP: "1.2.3.4", Hostnames: []string{"a", "b.c"}}, {IP: "fd00::1", Hostnames: []string{"d"}}}
	for _, test := range []struct {
		name string
		spec v1.PodSpec
		ips  []string
		want string
	}{
		{"before there is a network", v1.PodSpec{}, nil, hostsStart},
		{"one address", v1.PodSpec{}, []string{"10.0.0.2"}, hostsStart + "10.0.0.2\tweb\n"},
		{"two addresses, aliases", v1.PodSpec{HostAliases: aliases}, []string{"10.0.0.2", "fd00::2"},
			hostsStart + "10.0.0.2\tweb\nfd00::2\tweb\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb.c\nfd00::1\td\n"},
		{"a domain", v1.PodSpec{Hostname: "w", Subdomain: "sub"}, []string{"10.0.0.2"}, hostsStart + "10.0.0.2\tw.sub.ns.svc.cluster.local\tw\n"},
		{"host network", v1.PodSpec{HostNetwork: true, HostAliases: aliases[1:]}, []string{"192.0.2.1"},
			"# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost # the node's\n\n# Entries added by HostAliases.\nfd00::1\td\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns"}, Spec: test.spec}
			got, err := Hosts(pod, test.ips, []byte("127.0.0.1 localhost # the node's\n"))
			if err != nil || string(got) != test.want {
				t.Errorf("got\n%s%v\nwant\n%s", got, err, test.want)
			}
		})
	}
}

func TestResolvConf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	for _, test := range []struct{ name, host, want string }{
		{"empty", "", ""},
		{"one server", "nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n"},
		{"order and noise", "# made by hand\noptions  ndots:2\nnameserver 192.0.2.1 # first\n; also a comment\nsearch a.example. b.example .\n\tnameserver ::1\n",
			"search a.example b.example\nnameserver 192.0.2.1\nnameserver ::1\noptions ndots:2\n"},
		{"the last search wins", "search a\nsearch b\n", "search b\n"},
		{"the last value of an option wins", "options ndots:1 rotate\noptions ndots:5\n", "options ndots:5 rotate\n"},
		{"three servers", "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n", "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\n"},
		{"32 search paths", "search" + strings.Repeat(" a", 40) + "\n", "search" + strings.Repeat(" a", 32) + "\n"},
		{"a search path that is too long", "search a " + long + long + " b\n", "search a b\n"},
		{"a search line that is too long", "search" + strings.Repeat(" "+long, 12) + "\n", "search" + strings.Repeat(" "+long, 10) + "\n"},
		{"a server without an address", "nameserver\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, omitted := ResolvConf(&v1.Pod{}, []byte(test.host))
			if string(got) != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if tooMuch := strings.Count(test.host, "a ") > 30 || len(test.host) > 350 || strings.Contains(test.host, "1.1.1.4"); tooMuch != (len(omitted) > 0) {
				t.Errorf("left out: %q", omitted)
			}
		})
	}
}

func TestDNSConfig(t *testing.T) {
	t.Parallel()
	const host = "search a b\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2 rotate\n"
	config := &v1.PodDNSConfig{
		Nameservers: []string{"192.0.2.2", "192.0.2.3", "192.0.2.4"},
		Searches:    []string{"b", "c"},
		Options:     []v1.PodDNSConfigOption{{Name: "ndots", Value: new("5")}, {Name: "use-vc"}, {Name: "timeout", Value: new("")}},
	}
	for _, test := range []struct {
		policy        v1.DNSPolicy
		config        *v1.PodDNSConfig
		want, omitted string
	}{
		{v1.DNSDefault, nil, host, ""},
		{v1.DNSClusterFirst, nil, host, ""},
		{v1.DNSClusterFirst, config, "search a b c\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\noptions ndots:5 rotate use-vc timeout\n", "192.0.2.4"},
		{v1.DNSNone, config, "search b c\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\noptions ndots:5 use-vc timeout\n", ""},
		{v1.DNSNone, nil, "", ""},
	} {
		pod := &v1.Pod{Spec: v1.PodSpec{DNSPolicy: test.policy, DNSConfig: test.config}}
		got, omitted := ResolvConf(pod, []byte(host))
		if string(got) != test.want || strings.Join(omitted, " ") != test.omitted {
			t.Errorf("%s: got\n%sand left out %q, want\n%s", test.policy, got, omitted, test.want)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	for servers, want := range map[string]bool{
		"127.0.0.53":           true,
		"127.0.0.1 ::1":        true,
		"127.0.0.53 192.0.2.1": false,
		"fe80::1%eth0":         false,
	} {
		if got := onlyLoopback(strings.Fields(servers)); got != want {
			t.Errorf("%s: %v", servers, got)
		}
	}
}

func TestFilesFromWriteToRemove(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test mounts a file system and must run as root")
	}
	base := t.TempDir()
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	spec := Spec{Dir: base + "/files", ShmDir: base + "/shm", NodeName: "node", Pod: &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}}}
	t.Cleanup(func() { _ = unmountShm(spec.ShmDir) })
	for range 2 {
		if _, err := Write(spec); err != nil {
			t.Fatal(err)
		}
	}
	expectFile(t, spec.Dir+"/hostname", "web\n")
	expectFile(t, spec.Dir+"/hosts", hostsStart)

	hosts, err := os.Open(spec.Dir + "/hosts") // as a bind mount, it stays with the inode
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.Close()
	for _, ips := range [][]string{{"10.0.0.200"}, {"10.0.0.3"}} {
		if err := WriteHosts(spec, ips); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1024)
		n, _ := hosts.ReadAt(buf, 0)
		if got, want := string(buf[:n]), hostsStart+ips[0]+"\tweb\n"; got != want {
			t.Errorf("hosts, through a descriptor from before:\n%s\nwant\n%s", got, want)
		}
	}
	expectOneShm(t, spec.ShmDir)
	for _, m := range Mounts(spec) {
		if _, err := os.Stat(m.Source); err != nil || !filepath.IsAbs(m.Destination) {
			t.Errorf("mount %+v: %v", m, err)
		}
	}
	for range 2 {
		if err := Remove(spec); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(base); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func expectFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: %q, %v, want %q", path, got, err, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("%s: mode %v, %v, want 0644", path, info.Mode(), err)
	}
}

func expectOneShm(t *testing.T, dir string) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
	if err != nil || len(mounts) != 1 {
		t.Fatalf("mounts on %s: %v, %v", dir, mounts, err)
	}
	m := mounts[0]
	for _, option := range []string{"nosuid", "nodev", "noexec"} {
		if !strings.Contains(m.Options, option) {
			t.Errorf("options %q lack %s", m.Options, option)
		}
	}
	if m.FSType != "tmpfs" || !strings.Contains(m.VFSOptions, "size=65536k") {
		t.Errorf("%s with %q, want a tmpfs of 65536k", m.FSType, m.VFSOptions)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o777 || info.Mode()&os.ModeSticky == 0 {
		t.Errorf("mode %v, %v, want 1777", info.Mode(), err)
	}
}
