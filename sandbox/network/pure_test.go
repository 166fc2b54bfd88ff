package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestPorts(t *testing.T) {
	t.Parallel()
	pod := &v1.Pod{Spec: v1.PodSpec{
		InitContainers: []v1.Container{{Ports: []v1.ContainerPort{{HostPort: 1, ContainerPort: 1}}}},
		Containers: []v1.Container{
			{Ports: []v1.ContainerPort{
				{Name: "web", HostPort: 8080, ContainerPort: 80, Protocol: v1.ProtocolTCP},
				{Name: "web", HostPort: 8081, ContainerPort: 81, Protocol: v1.ProtocolTCP},
				{HostPort: 53, ContainerPort: 53, Protocol: v1.ProtocolUDP, HostIP: "192.0.2.1"},
				{HostPort: 53, ContainerPort: 53, Protocol: v1.ProtocolUDP, HostIP: "192.0.2.1"},
				{HostPort: 53, ContainerPort: 53, HostIP: "192.0.2.1"},
			}},
			{Ports: []v1.ContainerPort{{Name: "web", ContainerPort: 80}}},
		},
	}}
	want := []Port{
		{8080, 80, "TCP", ""},
		{53, 53, "UDP", "192.0.2.1"},
		{53, 53, "TCP", "192.0.2.1"},
		{0, 80, "TCP", ""},
	}
	if got := Ports(pod); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestPickSubnet(t *testing.T) {
	t.Parallel()
	prefixes := func(text string) []netip.Prefix {
		var list []netip.Prefix
		for _, p := range strings.Fields(text) {
			list = append(list, netip.MustParsePrefix(p))
		}
		return list
	}
	for _, test := range []struct {
		name  string
		seed  uint32
		taken string
		want  string
	}{
		{"the first", 0, "", "10.192.0.0/24"},
		{"by seed", 0x01000203, "", "10.194.3.0/24"},
		{"the next free one", 0, "10.192.0.0/30 10.192.1.128/25 10.192.2.7/32", "10.192.3.0/24"},
		{"around the end", 1<<14 - 1, "10.255.255.0/24", "10.192.0.0/24"},
		{"the next pool", 5, "10.0.0.0/8", "172.16.5.0/24"},
		{"the last pool", 256, "10.0.0.0/8 172.16.0.0/12", "192.168.0.0/24"},
	} {
		got, err := pickSubnet(test.seed, prefixes(test.taken))
		if err != nil || got.String() != test.want {
			t.Errorf("%s: got %v, %v, want %s", test.name, got, err, test.want)
		}
	}
	if _, err := pickSubnet(0, prefixes("10.0.0.0/8 172.0.0.0/8 192.0.0.0/8")); err == nil {
		t.Error("a subnet where nothing is free")
	}
}

func TestBridgeName(t *testing.T) {
	t.Parallel()
	if got := bridgeName("/run/podrun"); got != "podrun0" {
		t.Errorf("default: %s", got)
	}
	a, b := bridgeName("/run/a"), bridgeName("/run/b")
	if a == b || len(a) > 15 || len(b) > 15 {
		t.Errorf("%s and %s", a, b)
	}
}

func TestParseListener(t *testing.T) {
	t.Parallel()
	const rest = " 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000 100 0 0 10 0"
	for _, test := range []struct{ protocol, line, want string }{
		{"tcp", "   0: 0100007F:1F90 00000000:0000 0A" + rest, "127.0.0.1:8080"},
		{"tcp", "   1: 0100007F:1F90 0100007F:D431 01" + rest, ""}, // connected
		{"tcp", "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A" + rest, "[::]:80"},
		{"tcp", "   0: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A" + rest, "127.0.0.1:80"},
		{"udp", " 123: 00000000:0035 00000000:0000 07" + rest, "0.0.0.0:53"},
		{"udp", " 123: 0100007F:0035 0100007F:0036 01" + rest, ""},
		{"tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", ""},
		{"tcp", "garbage", ""},
	} {
		got, ok := parseListener(test.protocol, test.line)
		if ok != (test.want != "") || ok && (got.addr.String() != test.want || got.inode != "12345") {
			t.Errorf("%s\ngot %v, %v, want %q", test.line, got, ok, test.want)
		}
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hostIP, listener string
		want             bool
	}{
		{"", "127.0.0.1:80", true},
		{"", "[::]:80", true},
		{"", "127.0.0.1:81", false},
		{"0.0.0.0", "192.0.2.1:80", true},
		{"192.0.2.1", "0.0.0.0:80", true},
		{"192.0.2.1", "192.0.2.1:80", true},
		{"192.0.2.1", "192.0.2.2:80", false},
		{"", "[2001:db8::1]:80", true},
		{"0.0.0.0", "[::]:80", true},
		{"0.0.0.0", "[2001:db8::1]:80", false},
		{"192.0.2.1", "[::]:80", true},
		{"::", "0.0.0.0:80", false},
		{"::", "192.0.2.1:80", false},
		{"::", "[2001:db8::1]:80", true},
		{"2001:db8::1", "[::]:80", true},
		{"2001:db8::1", "[2001:db8::1]:80", true},
		{"2001:db8::1", "[2001:db8::2]:80", false},
		{"2001:db8::1", "0.0.0.0:80", false},
	} {
		port := Port{HostPort: 80, HostIP: test.hostIP}
		if got := port.conflicts(listener{addr: netip.MustParseAddrPort(test.listener)}); got != test.want {
			t.Errorf("host IP %q, listener %s: %v", test.hostIP, test.listener, got)
		}
	}
}

func TestOverlaps(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"", "192.0.2.1", true},
		{"", "2001:db8::1", true},
		{"0.0.0.0", "::", false},
		{"0.0.0.0", "127.0.0.1", true},
		{"::", "2001:db8::1", true},
		{"::", "192.0.2.1", false},
		{"2001:db8::1", "2001:DB8:0::1", true},
		{"2001:db8::1", "2001:db8::2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
	} {
		a, b := Port{80, 1, "TCP", test.a}, Port{80, 2, "TCP", test.b}
		if a.Overlaps(b) != test.want || b.Overlaps(a) != test.want {
			t.Errorf("host IPs %q and %q: want %v", test.a, test.b, test.want)
		}
		if b.Protocol = "UDP"; a.Overlaps(b) {
			t.Errorf("host IPs %q and %q of two protocols overlap", test.a, test.b)
		}
	}
}

// What the kernel gives in one family is not taken by a listener of the other,
// but for one on [::] that takes IPv4, too.
func TestFreeInOneFamily(t *testing.T) {
	t.Parallel()
	for listen, want := range map[[2]string]map[string]bool{
		{"tcp4", "0.0.0.0:0"}: {"": false, "0.0.0.0": false, "127.0.0.1": false, "::": true, "::1": true},
		{"tcp6", "[::]:0"}:    {"": false, "0.0.0.0": true, "127.0.0.1": true, "::": false, "::1": false},
		{"tcp", "[::]:0"}:     {"": false, "0.0.0.0": false, "127.0.0.1": false, "::": false, "::1": false},
		{"tcp6", "[::1]:0"}:   {"": false, "0.0.0.0": true, "::": false, "::1": false},
	} {
		listener, err := net.Listen(listen[0], listen[1])
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		for hostIP, free := range want {
			port := Port{int32(listener.Addr().(*net.TCPAddr).Port), 80, "TCP", hostIP}
			conflicts, err := InUse([]Port{port})
			if err != nil || (len(conflicts) == 0) != free {
				t.Errorf("%v listens, host IP %q: got %v, %v, want free %v", listen, hostIP, conflicts, err, free)
			}
		}
	}
}

func TestPickSubnet6(t *testing.T) {
	t.Parallel()
	id := [5]byte{0x12, 0x34, 0x56, 0x78, 0x9a}
	for taken, want := range map[string]string{
		"2001:db8::/32":            "fd12:3456:789a::/64",
		"fd12:3456:789a::7/128":    "fd12:3456:789a:1::/64",
		"fd12:3456:789a::/63":      "fd12:3456:789a:2::/64",
		"fd12:3456:8000::/33":      "fd12:3456:789a::/64",
		"fc00::/7":                 "invalid Prefix",
		"fd12:3456:789a:8000::/49": "fd12:3456:789a::/64",
	} {
		if got := pickSubnet6(id, []netip.Prefix{netip.MustParsePrefix(taken)}); got.String() != want {
			t.Errorf("%s is taken: got %s, want %s", taken, got, want)
		}
	}
}

func TestAddressing(t *testing.T) {
	t.Parallel()
	pod := newAddressing(netip.MustParseAddr("10.194.3.254"), netip.MustParsePrefix("fd12:3456:789a:1::/64"))
	if got, want := fmt.Sprint(pod.ips(), pod.subnet6(), pod.gateway6()), "[10.194.3.254 fd12:3456:789a:1::fe] fd12:3456:789a:1::/64 fd12:3456:789a:1::1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := newAddressing(pod.ipv4, netip.Prefix{}).ips(); len(got) != 1 {
		t.Errorf("without IPv6: %s", got)
	}
}

func TestInUseNamesTheOwner(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	busy := Port{int32(tcp.Addr().(*net.TCPAddr).Port), 80, "TCP", ""}
	datagrams := Port{int32(udp.LocalAddr().(*net.UDPAddr).Port), 53, "UDP", "127.0.0.1"}
	conflicts, err := InUse([]Port{
		{int32(free.Addr().(*net.TCPAddr).Port), 80, "TCP", ""},
		{busy.HostPort, 80, "TCP", "127.0.0.2"},
		{0, busy.HostPort, "TCP", ""},
		busy, datagrams,
	})
	if err != nil {
		t.Fatal(err)
	}
	me := fmt.Sprintf("%q (pid %d)", "network.test", os.Getpid())
	if want := []Conflict{{busy, me}, {datagrams, me}}; !slices.Equal(conflicts, want) {
		t.Fatalf("got %v, want %v", conflicts, want)
	}
	if got, want := conflicts[1].String(), fmt.Sprintf("host port 127.0.0.1:%d/udp is in use by %s", datagrams.HostPort, me); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestPortsThatCannotBePublished(t *testing.T) {
	t.Parallel()
	single := newAddressing(netip.MustParseAddr("10.192.7.5"), netip.Prefix{})
	dual := newAddressing(single.ipv4, netip.MustParsePrefix("fd12:3456:789a::/64"))
	for _, port := range []Port{{80, 80, "DCCP", ""}, {80, 80, "TCP", "::1"}, {80, 80, "TCP", "nonsense"}} {
		if port.check(single) == nil || port.check(dual) == nil {
			t.Errorf("%v is taken", port)
		}
	}
	for _, port := range []Port{{80, 80, "UDP", ""}, {80, 80, "SCTP", ""}, {80, 80, "TCP", "0.0.0.0"}, {80, 80, "TCP", "::ffff:192.0.2.1"}} {
		if err := errors.Join(port.check(single), port.check(dual)); err != nil {
			t.Errorf("%v: %v", port, err)
		}
	}
	for _, port := range []Port{{80, 80, "UDP", "::"}, {80, 80, "TCP", "2001:db8::1"}} {
		if err := port.check(dual); err != nil {
			t.Errorf("%v: %v", port, err)
		}
		if port.check(single) == nil {
			t.Errorf("%v is taken for a pod without IPv6", port)
		}
	}
}

const wantTable = `table ip nattest-uid {
	chain guard {
		type filter hook prerouting priority raw; policy accept;
		iifname "nattest" ip daddr 127.0.0.0/8 drop
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local tcp dport 8080 dnat to 10.192.7.5:80
		fib daddr type local ip daddr 192.0.2.1 udp dport 53 dnat to 10.192.7.5:5353
	}

	chain output {
		type nat hook output priority -100; policy accept;
		fib daddr type local tcp dport 8080 dnat to 10.192.7.5:80
		fib daddr type local ip daddr 192.0.2.1 udp dport 53 dnat to 10.192.7.5:5353
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.192.7.5 ip daddr != 10.192.7.0/24 ip daddr != 224.0.0.0/4 masquerade
		ip saddr 127.0.0.0/8 ip daddr 10.192.7.5 ct status dnat masquerade
		ip saddr 10.192.7.0/24 ip daddr 10.192.7.5 ct status dnat masquerade
	}
}
`

const wantTableWithoutPorts = `table ip nattest-uid {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.192.7.5 ip daddr != 10.192.7.0/24 ip daddr != 224.0.0.0/4 masquerade
	}
}
`

const wantTable6 = `table ip6 nattest-uid {
	chain output {
		type nat hook output priority -100; policy accept;
		fib daddr type local ip6 daddr != ::1 tcp dport 8080 dnat to [fd12:3456:789a::5]:80
		fib daddr type local ip6 daddr 2001:db8::1 tcp dport 8081 dnat to [fd12:3456:789a::5]:80
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		fib saddr type local ip6 daddr fd12:3456:789a::5 ct status dnat masquerade
	}
}
`

const wantForwardingTable6 = `table ip6 nattest-uid {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local ip6 daddr != ::1 tcp dport 8080 dnat to [fd12:3456:789a::5]:80
		fib daddr type local ip6 daddr 2001:db8::1 tcp dport 8081 dnat to [fd12:3456:789a::5]:80
	}

	chain output {
		type nat hook output priority -100; policy accept;
		fib daddr type local ip6 daddr != ::1 tcp dport 8080 dnat to [fd12:3456:789a::5]:80
		fib daddr type local ip6 daddr 2001:db8::1 tcp dport 8081 dnat to [fd12:3456:789a::5]:80
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip6 saddr fd12:3456:789a::5 ip6 daddr != fd12:3456:789a::/64 ip6 daddr != ff00::/8 masquerade
		ip6 saddr fd12:3456:789a::/64 ip6 daddr fd12:3456:789a::5 ct status dnat masquerade
		fib saddr type local ip6 daddr fd12:3456:789a::5 ct status dnat masquerade
	}
}
`

const wantForwardingTable6WithoutPorts = `table ip6 nattest-uid {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip6 saddr fd12:3456:789a::5 ip6 daddr != fd12:3456:789a::/64 ip6 daddr != ff00::/8 masquerade
	}
}
`

// The kernel's view of the rules, in nft's words, in a namespace of its own.
func TestRulesAsTheKernelSeesThem(t *testing.T) {
	t.Parallel()
	path := NetNSPath(t.TempDir(), "nat")
	if err := CreateNetNS(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = RemoveNetNS(path) })
	list := func() string {
		out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return string(out)
	}
	in(t, path, func() error {
		if err := exec.Command("ip", "link", "add", "nattest", "type", "bridge").Run(); err != nil {
			return err
		}
		ports := []Port{{8080, 80, "TCP", ""}, {53, 5353, "UDP", "192.0.2.1"}, {0, 81, "TCP", ""}}
		single := newAddressing(netip.MustParseAddr("10.192.7.5"), netip.Prefix{})
		local := newAddressing(single.ipv4, netip.MustParsePrefix("fd12:3456:789a::/64"))
		forwards := local
		forwards.forwards = true
		for _, test := range []struct {
			name  string
			pod   addressing
			ports []Port
			want  string
		}{
			{"IPv4 alone", single, ports, wantTable},
			{"without ports", single, nil, wantTableWithoutPorts},
			{"IPv6 too", local, append(ports, Port{8081, 80, "TCP", "2001:db8::1"}), wantTable + wantTable6},
			{"IPv6 too, without ports", local, nil, wantTableWithoutPorts},
			{"IPv6 that is forwarded", forwards, append(ports, Port{8081, 80, "TCP", "2001:db8::1"}), wantTable + wantForwardingTable6},
			{"IPv6 that is forwarded, without ports", forwards, nil, wantTableWithoutPorts + wantForwardingTable6WithoutPorts},
		} {
			if err := publish("nattest", "uid", test.pod, test.ports); err != nil {
				return err
			}
			if got := list(); got != test.want {
				t.Errorf("%s: got\n%s\nwant\n%s", test.name, got, test.want)
			}
			for range 2 {
				if err := unpublish("nattest", "uid", test.pod.ipv6.IsValid()); err != nil {
					return err
				}
			}
			if got := list(); got != "" {
				t.Errorf("%s: left:\n%s", test.name, got)
			}
		}
		return nil
	})
}
