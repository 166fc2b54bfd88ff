package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// world is a network of its own on the machine's kernel, with nothing left of it
// when the test has ended.
type world struct {
	*Network
	t      testing.TB
	runDir string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes network namespaces and must run as root")
	}
	plugins, err := filepath.Abs("../../bundle/out")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(plugins + "/bridge"); err != nil {
		t.Fatalf("run make first: %v", err)
	}
	runDir := t.TempDir()
	w := &world{New(Config{RunDir: runDir, BinDirs: []string{plugins}}), t, runDir}
	t.Cleanup(w.expectNothing)
	return w
}

// pod is made with a namespace, and everything of it is removed at the end.
func (w *world) pod(uid string, ports ...Port) Pod {
	w.t.Helper()
	path := NetNSPath(w.runDir, uid)
	if err := CreateNetNS(path); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		w.remove(uid)
	})
	return Pod{UID: uid, Namespace: "default", Name: uid, ID: "id-" + uid, NetNS: path, Ports: ports}
}

func (w *world) remove(uid string) {
	w.t.Helper()
	ctx := context.Background()
	if err := errors.Join(w.Del(ctx, uid), RemoveNetNS(NetNSPath(w.runDir, uid)), w.Clean(ctx)); err != nil {
		w.t.Error(err)
	}
}

func (w *world) connect(pod Pod) string {
	w.t.Helper()
	return w.addresses(pod)[0]
}

// addresses are those that a pod gets.
func (w *world) addresses(pod Pod) []string {
	w.t.Helper()
	result, err := w.Add(context.Background(), pod)
	if err != nil {
		w.t.Fatal(err)
	}
	return result.IPs
}

// expectNothing looks for what could be left.
func (w *world) expectNothing() {
	bridge := bridgeName(w.runDir)
	if _, err := netlink.LinkByName(bridge); !isNotFound(err) {
		w.t.Errorf("bridge %s is left: %v", bridge, err)
	}
	tables, err := exec.Command("nft", "list", "tables").CombinedOutput()
	if err != nil || strings.Contains(string(tables), bridge) {
		w.t.Errorf("tables are left: %v\n%s", err, tables)
	}
	_ = filepath.WalkDir(w.runDir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && path != w.lockPath() {
			w.t.Errorf("file is left: %s", path)
		}
		return err
	})
}

// in runs do with the network namespace of path on this thread.
func in(t testing.TB, path string, do func() error) {
	t.Helper()
	err := onOwnThread(func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return do()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// serve answers connections, or datagrams, in a namespace with the address that
// they come from.
func serve(t testing.TB, netns, network, address string) {
	t.Helper()
	in(t, netns, func() error {
		if network == "udp" {
			conn, err := net.ListenPacket(network, address)
			if err != nil {
				return err
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				buf := make([]byte, 64)
				for {
					_, from, err := conn.ReadFrom(buf)
					if err != nil {
						return
					}
					_, _ = conn.WriteTo([]byte(from.String()+"\n"), from)
				}
			}()
			return nil
		}
		listener, err := net.Listen(network, address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				fmt.Fprintln(conn, conn.RemoteAddr())
				conn.Close()
			}
		}()
		return nil
	})
}

const host = "/proc/self/ns/net"

// ask returns the address that a server saw.
func ask(t testing.TB, netns, network, address string) (from netip.Addr, err error) {
	t.Helper()
	in(t, netns, func() error {
		var conn net.Conn
		conn, err = net.DialTimeout(network, address, 2*time.Second)
		if err != nil {
			return nil
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		if network == "udp" {
			_, _ = conn.Write([]byte("?"))
		}
		var line string
		line, err = bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			var addr netip.AddrPort
			addr, err = netip.ParseAddrPort(strings.TrimSpace(line))
			from = addr.Addr().Unmap()
		}
		return nil
	})
	return from, err
}

func expectAnswer(t testing.TB, what, netns, network, address string) netip.Addr {
	t.Helper()
	from, err := ask(t, netns, network, address)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return from
}

// outside is another machine: a namespace with a link of its own to the host. It
// returns the namespace, its address and the host's.
func outside(t testing.TB) (netns, address, hostAddress string) {
	t.Helper()
	return outsideAt(t, "198.18.77.2/24", "198.18.77.1/24")
}

// outsideAt is one with these addresses.
func outsideAt(t testing.TB, far, near string) (netns, address, hostAddress string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outside")
	if err := CreateNetNS(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = RemoveNetNS(path) })
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := fmt.Sprintf("pt%d-%d", netip.MustParsePrefix(near).Addr().BitLen(), os.Getpid())
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(f.Fd()))}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(veth) })
	configure := func(link, cidr string) error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		return errors.Join(netlink.AddrAdd(l, addr), netlink.LinkSetUp(l))
	}
	if err := configure(name, near); err != nil {
		t.Fatal(err)
	}
	in(t, path, func() error { return configure("eth0", far) })
	return path, netip.MustParsePrefix(far).Addr().String(), netip.MustParsePrefix(near).Addr().String()
}

func TestPodsReachTheWorldAndTheWorldReachesPods(t *testing.T) {
	w := newWorld(t)
	far, farIP, hostIP := outside(t)
	serve(t, far, "tcp", farIP+":9000")
	serve(t, host, "tcp", "127.0.0.1:28191") // the host's own business
	a := w.pod("a", Port{28190, 80, "TCP", ""}, Port{28190, 53, "UDP", ""}, Port{28192, 80, "TCP", hostIP})
	aIP := w.connect(a)
	b := w.pod("b")
	bIP := w.connect(b)
	serve(t, a.NetNS, "tcp", ":80")
	serve(t, a.NetNS, "udp", aIP+":53")

	expectAnswer(t, "host to pod", host, "tcp", aIP+":80")
	expectAnswer(t, "host to host port on loopback", host, "tcp", "127.0.0.1:28190")
	expectAnswer(t, "host to host port on its address", host, "tcp", hostIP+":28190")
	expectAnswer(t, "host to UDP host port", host, "udp", hostIP+":28190")
	expectAnswer(t, "host to UDP host port on loopback", host, "udp", "127.0.0.1:28190")
	expectAnswer(t, "host to host port with host IP", host, "tcp", hostIP+":28192")
	if _, err := ask(t, host, "tcp", "127.0.0.1:28192"); err == nil {
		t.Error("a host port with a host IP answers on another address")
	}
	if from := expectAnswer(t, "outside to host port", far, "tcp", hostIP+":28190"); from.String() != farIP {
		t.Errorf("pod sees %s for the outside, want %s", from, farIP)
	}
	if from := expectAnswer(t, "pod to pod", b.NetNS, "tcp", aIP+":80"); from.String() != bIP {
		t.Errorf("pod sees %s for the other, want %s", from, bIP)
	}
	expectAnswer(t, "pod to the other's host port", b.NetNS, "tcp", hostIP+":28190")
	expectAnswer(t, "pod to its own host port", a.NetNS, "tcp", hostIP+":28190")
	if from := expectAnswer(t, "pod to outside", b.NetNS, "tcp", farIP+":9000"); from.String() != hostIP {
		t.Errorf("the outside sees %s, want the host's %s", from, hostIP)
	}
	expectLoopbackGuarded(t, a.NetNS)

	w.remove("a")
	if _, err := ask(t, host, "tcp", "127.0.0.1:28190"); err == nil {
		t.Error("the host port of a removed pod answers")
	}
	expectAnswer(t, "pod to outside, when another has gone", b.NetNS, "tcp", farIP+":9000")
}

func TestHostPortOfSCTP(t *testing.T) {
	w := newWorld(t)
	far, _, hostIP := outside(t)
	pod := w.pod("s", Port{28395, 80, "SCTP", ""})
	w.connect(pod)
	expectAssociation(t, far, hostIP, 28395, pod)
}

// expectAssociation: a host port of SCTP, which Go does not speak, leads the first
// packet of an association to port 80 of a pod.
func expectAssociation(t *testing.T, netns, host string, port uint16, pod Pod) {
	t.Helper()
	address := netip.MustParseAddr(host)
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: address.As16()})
	if address.Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: address.As4()}
	}
	open := func(netns string) (socket int) {
		in(t, netns, func() (err error) {
			socket, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
			return err
		})
		t.Cleanup(func() { unix.Close(socket) })
		return socket
	}
	listener := open(pod.NetNS)
	if err := unix.SetsockoptTimeval(listener, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 3}); err != nil {
		t.Fatal(err)
	}
	from := uint16(40000 + rand.IntN(20000)) // the kernel remembers associations
	if err := unix.Sendto(open(netns), initChunk(from, port), 0, to); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 1500)
	n, _, err := unix.Recvfrom(listener, packet, 0)
	if err != nil {
		t.Fatalf("nothing comes to %s: %v", host, err)
	}
	header := 0 // of IPv6 it is left out
	if address.Is4() {
		header = int(packet[0]&0xf) * 4
	}
	if port := binary.BigEndian.Uint16(packet[header+2 : n]); port != 80 {
		t.Errorf("what goes to %s comes for port %d", host, port)
	}
}

// initChunk is the packet that an association begins with (RFC 9260).
func initChunk(from, to uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = append(b, make([]byte, 8)...) // verification tag, checksum
	b = append(b, 1, 0, 0, 20)        // INIT, 20 bytes
	b = append(b, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// firewalls drop what is forwarded unless they know it.
var firewalls = map[string]string{
	"by its policy": `table ip filter {
		chain FORWARD { type filter hook forward priority filter; policy drop; ip saddr 203.0.113.9 accept; }
	}
	table ip6 filter {
		chain FORWARD { type filter hook forward priority filter; policy drop; ip6 saddr 2001:db8::9 accept; }
	}`,
	"by its last rule": `table inet guard {
		chain forward { type filter hook forward priority filter + 10; policy accept; ip saddr 203.0.113.9 accept; reject; }
	}`,
}

// Where the machine's own firewall drops what is forwarded, pods are let
// through, and it is afterwards as it was. A namespace stands for the machine.
func TestPodsPassFirewalls(t *testing.T) {
	for name, rules := range firewalls {
		t.Run(name, func(t *testing.T) {
			onMachine(t, func(string) { crossFirewall(t, rules) })
		})
	}
}

// onMachine runs do on a machine of its own: in a network namespace, at path.
func onMachine(t testing.TB, do func(path string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "machine")
	if err := CreateNetNS(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = RemoveNetNS(path) })
	in(t, path, func() error {
		do(path)
		return nil
	})
}

// crossFirewall runs on a machine of its own.
func crossFirewall(t *testing.T, rules string) {
	t.Helper()
	far, farIP, hostIP := outside(t)
	far6, far6IP, host6IP := outsideAt(t, "2001:db8:77::2/64", "2001:db8:77::1/64")
	if err := writeSysctl6("all", "forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	nft(t, rules, "-f", "-")
	before := nft(t, "", "list", "ruleset")
	serve(t, far, "tcp", farIP+":9000")
	serve(t, far6, "tcp", "["+far6IP+"]:9000")
	w := worldIn(t)
	a := w.pod("a", Port{28390, 80, "TCP", ""})
	for range 2 { // the second time there is nothing to be let through
		w.connect(a)
	}
	serve(t, a.NetNS, "tcp", ":80")
	expectAnswer(t, "pod to outside", a.NetNS, "tcp", farIP+":9000")
	expectAnswer(t, "outside to host port", far, "tcp", hostIP+":28390")
	expectAnswer(t, "pod to outside over IPv6", a.NetNS, "tcp", "["+far6IP+"]:9000")
	expectAnswer(t, "outside to host port over IPv6", far6, "tcp", "["+host6IP+"]:28390")
	if with := nft(t, "", "list", "ruleset"); strings.Count(with, "podrun "+bridgeName(w.runDir)) != 2*strings.Count(rules, "hook forward") {
		t.Errorf("the rules are\n%s", with)
	}
	w.remove("a")
	if after := nft(t, "", "list", "ruleset"); after != before {
		t.Errorf("the rules were\n%sand are\n%s", before, after)
	}
}

// worldIn is a world in the namespace of this thread, which goes with that.
func worldIn(t testing.TB) *world {
	t.Helper()
	plugins, err := filepath.Abs("../../bundle/out")
	if err != nil {
		t.Fatal(err)
	}
	runDir := t.TempDir()
	return &world{New(Config{RunDir: runDir, BinDirs: []string{plugins}}), t, runDir}
}

// nft runs nft in the namespace of this thread.
func nft(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("nft", args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nft %s: %v: %s", args, err, out)
	}
	return string(out)
}

// expectLoopbackGuarded: a pod that sends packets for 127.0.0.1 to its gateway
// does not reach what listens there on the host.
func expectLoopbackGuarded(t *testing.T, netns string) {
	t.Helper()
	in(t, netns, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_DST)
		if err != nil || len(routes) != 1 {
			return fmt.Errorf("default routes %v: %w", routes, err)
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		own, err := netlink.ParseAddr("127.0.0.1/8")
		if err != nil {
			return err
		}
		_, loopback, _ := net.ParseCIDR("127.0.0.1/32")
		return errors.Join(
			netlink.AddrDel(lo, own),
			os.WriteFile("/proc/sys/net/ipv4/conf/eth0/route_localnet", []byte("1"), 0),
			netlink.RouteAdd(&netlink.Route{Dst: loopback, Gw: routes[0].Gw, LinkIndex: link.Attrs().Index}),
		)
	})
	if _, err := ask(t, netns, "tcp", "127.0.0.1:28191"); err == nil {
		t.Error("a pod reaches the host's loopback address")
	}
}

func TestLoadTellsWhatAddGave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pod := w.pod("a")
	if _, err := w.Load("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	ips := w.addresses(pod)
	if got, err := w.Load("a"); err != nil || !slices.Equal(got.IPs, ips) {
		t.Errorf("got %v, %v, want %s", got, err, ips)
	}
	w.connect(pod) // again, as after a crash
	w.remove("a")
	if _, err := w.Load("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after: %v", err)
	}
	w.remove("a") // and again
}

func TestDelWithoutNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pod := w.pod("a", Port{28290, 80, "TCP", ""})
	w.connect(pod)
	if err := RemoveNetNS(pod.NetNS); err != nil {
		t.Fatal(err)
	}
	w.remove("a")
	w.expectNothing()
}

// An ADD that is killed after host-local has given an address, and before libcni
// has written its result down, leaves nothing that Del does not find.
func TestDelAfterAnInterruptedAdd(t *testing.T) {
	t.Parallel()
	for _, netnsGone := range []bool{false, true} {
		w := newWorld(t)
		pod := w.pod("a", Port{28291, 80, "TCP", ""})
		real := w.config.BinDirs
		hung := t.TempDir()
		script := "#!/bin/sh\n" + real[0] + "/bridge >/dev/null\ntouch " + hung + "/done\nsleep 1000 &\nwait\n"
		if err := os.WriteFile(hung+"/bridge", []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		w.config.BinDirs = append([]string{hung}, real...)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			defer cancel()
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if _, err := os.Stat(hung + "/done"); err == nil {
					return
				}
			}
		}()
		begin := time.Now()
		if _, err := w.Add(ctx, pod); !errors.Is(err, context.Canceled) {
			t.Fatalf("error = %v, want the cancellation", err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("a plugin that hangs, with a child, held Add for %v", took)
		}
		if addrs, _ := filepath.Glob(w.path("ipam/*/10.*")); len(addrs) == 0 {
			t.Fatal("no address was given: the test tests nothing")
		}
		w.config.BinDirs = real
		if netnsGone {
			if err := RemoveNetNS(pod.NetNS); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Del(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		if addrs, _ := filepath.Glob(w.path("ipam/*/10.*")); len(addrs) != 0 {
			t.Errorf("addresses are left: %v", addrs)
		}
		w.remove("a")
	}
}

// A plugin that outlives a killed podrun is waited for: what it does after the DEL
// would stay for ever.
func TestDelWaitsForPluginsWhosePodrunDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect(w.pod("a"))
	lock, err := lockFile(context.Background(), w.recordPath("a"))
	if err != nil {
		t.Fatal(err)
	}
	orphan := exec.Command("sleep", "0.5")
	orphan.ExtraFiles = []*os.File{lock}
	begin := time.Now()
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = orphan.Wait() }()
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	w.remove("a")
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("Del did not wait: %v", took)
	}
}

func TestCleanLeavesWhatIsInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.connect(w.pod("a"))
	w.connect(w.pod("b"))
	if err := errors.Join(w.Del(ctx, "a"), w.Clean(ctx)); err != nil {
		t.Fatal(err)
	}
	bridge, err := netlink.LinkByName(bridgeName(w.runDir))
	if err != nil {
		t.Fatalf("the bridge of a pod has gone: %v", err)
	}
	guest := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "g" + bridgeName(w.runDir)[6:], MasterIndex: bridge.Attrs().Index}, PeerName: "h" + bridgeName(w.runDir)[6:]}
	if err := netlink.LinkAdd(guest); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Del(ctx, "b"), w.Clean(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByIndex(bridge.Attrs().Index); err != nil {
		t.Errorf("the bridge of another's link has gone: %v", err)
	}
	if err := netlink.LinkDel(guest); err != nil {
		t.Fatal(err)
	}
}

// All of them see that there is something to clean, one of them cleans.
func TestCleanAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect(w.pod("a"))
	if err := w.Del(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFile(context.Background(), w.lockPath())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for range 8 {
		group.Go(func() error { return w.Clean(ctx) })
	}
	for opened(t, w.lockPath()) < 1+8 { // until each of them waits
		if err := context.Cause(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	lock.Close()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := netlink.LinkByName(bridgeName(w.runDir)); !isNotFound(err) {
		t.Errorf("the bridge is still there (%v)", err)
	}
}

// opened counts the descriptors that this process has of a file.
func opened(t *testing.T, path string) (count int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == path {
			count++
		}
	}
	return count
}

func TestManyPodsAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const count = 12
	pods := make([]Pod, count)
	for i := range pods {
		pods[i] = w.pod(fmt.Sprintf("p%d", i), Port{int32(28300 + i), 80, "TCP", ""})
	}
	ips := make(chan string, 2*count)
	for _, pod := range pods {
		go func() {
			ctx := context.Background()
			// Half of them go away at once, and clean up while others come.
			result, err := w.Add(ctx, pod)
			if err != nil {
				t.Error(err)
			}
			ips <- strings.Join(result.IPs, ",")
			if pod.Ports[0].HostPort%2 == 0 {
				if err := errors.Join(w.Del(ctx, pod.UID), w.Clean(ctx)); err != nil {
					t.Error(err)
				}
			}
			ips <- ""
		}()
	}
	seen := map[string]bool{"": true}
	for range 2 * count {
		seen[<-ips] = true
	}
	for i, pod := range pods {
		if i%2 == 1 {
			serve(t, pod.NetNS, "tcp", ":80")
			expectAnswer(t, pod.Name, host, "tcp", fmt.Sprintf("127.0.0.1:%d", 28300+i))
		}
	}
}

func TestForeignConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	plugin := `#!/bin/sh
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS $CNI_ARGS" >>` + dir + `/log
cat >>` + dir + `/log
echo '{"cniVersion":"1.0.0","interfaces":[{"name":"br"},{"name":"eth0","sandbox":"x"}],"ips":[{"address":"10.9.9.1/24","interface":0},{"address":"fd00::5/64","interface":1},{"address":"10.9.9.5/24","interface":1}]}'
`
	if err := os.WriteFile(dir+"/fake", []byte(plugin), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := `{"cniVersion":"1.0.0","name":"mine","type":"fake","capabilities":{"portMappings":true}}`
	if err := os.WriteFile(dir+"/10-mine.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/20-other.conflist", []byte("not even JSON"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.config.ConfDir, w.config.BinDirs = dir, []string{dir}
	pod := w.pod("a", Port{8080, 80, "TCP", "192.0.2.7"}, Port{0, 81, "TCP", ""})
	result, err := w.Add(context.Background(), pod)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"10.9.9.5", "fd00::5"}; !slices.Equal(result.IPs, want) {
		t.Errorf("IPs = %v, want %v", result.IPs, want)
	}
	if err := os.Remove(dir + "/10-mine.conf"); err != nil { // DEL goes by the record
		t.Fatal(err)
	}
	w.remove("a")
	data, err := os.ReadFile(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	log := string(data)
	args := " id-a eth0 " + pod.NetNS + " IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=a;K8S_POD_INFRA_CONTAINER_ID=id-a;K8S_POD_UID=a\n"
	for _, want := range []string{
		"ADD" + args, "DEL" + args,
		`"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":"192.0.2.7"}]}`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the plugin did not get %s\nbut\n%s", want, log)
		}
	}
}

func TestPluginErrorsAreSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	w.config.ConfDir, w.config.BinDirs = dir, []string{dir}
	pod := w.pod("a")
	if _, err := w.Add(context.Background(), pod); err == nil || !strings.Contains(err.Error(), "no CNI configuration in") {
		t.Errorf("without a configuration: %v", err)
	}
	if err := os.WriteFile(dir+"/a.conf", []byte(`{"cniVersion":"1.0.0","name":"mine","type":"fake"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		`[ $CNI_COMMAND = DEL ] || { echo '{"code":7,"msg":"the reason"}'; exit 1; }`: "the reason",
		`[ $CNI_COMMAND = DEL ] || { echo oh no >&2; exit 3; }`:                       "oh no",
		`[ $CNI_COMMAND = DEL ] || exit 3`:                                            "exit status 3",
		`[ $CNI_COMMAND = DEL ] || echo '{"cniVersion":"1.0.0"}'`:                     "gave no address",
	} {
		if err := os.WriteFile(dir+"/fake", []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := w.Add(context.Background(), pod)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `connect pod "a"`) {
			t.Errorf("error = %v, want %q in it", err, want)
		}
	}
}

func TestNetNS(t *testing.T) {
	t.Parallel()
	path := NetNSPath(t.TempDir(), "uid")
	t.Cleanup(func() { _ = RemoveNetNS(path) })
	for range 2 {
		if err := CreateNetNS(path); err != nil {
			t.Fatal(err)
		}
	}
	in(t, path, func() error {
		lo, err := netlink.LinkByName("lo")
		if err == nil && lo.Attrs().Flags&net.FlagUp == 0 {
			err = errors.New("lo is down")
		}
		return err
	})
	for range 2 {
		if err := RemoveNetNS(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
	// A crash between the file and the mount.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateNetNS(path); err != nil || !isNetNS(path) {
		t.Errorf("on a file that is there: %v", err)
	}
}

func BenchmarkConnect(b *testing.B) {
	for _, ports := range [][]Port{nil, {{28399, 80, "TCP", ""}}} {
		b.Run(fmt.Sprintf("ports=%d", len(ports)), func(b *testing.B) {
			w := newWorld(b)
			keep := w.pod("keep") // or else each is the first and the last
			w.connect(keep)
			var add, del, netns time.Duration
			for range b.N {
				begin := time.Now()
				pod := w.pod("a", ports...)
				made := time.Now()
				w.connect(pod)
				added := time.Now()
				if err := w.Del(context.Background(), "a"); err != nil {
					b.Fatal(err)
				}
				netns, add, del = netns+made.Sub(begin), add+added.Sub(made), del+time.Since(added)
				w.remove("a")
			}
			for name, total := range map[string]time.Duration{"netns": netns, "add": add, "del": del} {
				b.ReportMetric(float64(total.Microseconds())/float64(b.N)/1000, name+"-ms")
			}
		})
	}
}
