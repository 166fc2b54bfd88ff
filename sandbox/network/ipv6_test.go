package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Pods, the machine and another one beside it, over IPv6.
type neighbours struct {
	*world
	machine             string
	far, farIP, hostIP  string
	a, b                Pod
	aIP, bIP, gatewayIP string
}

// bothPorts are published on all addresses, udpPort in UDP; port6 on all IPv6
// addresses, port4 on all IPv4 addresses, ownPort on the machine's own address,
// sctpPort on all addresses in SCTP.
const bothPorts, udpPort, port6, port4, ownPort, sctpPort = 28590, 28591, 28592, 28593, 28594, 28595

func meet(t *testing.T, machine string) *neighbours {
	t.Helper()
	n := &neighbours{world: worldIn(t), machine: machine}
	n.far, n.farIP, n.hostIP = outsideAt(t, "2001:db8:77::2/64", "2001:db8:77::1/64")
	n.a = n.pod("a", Port{bothPorts, 80, "TCP", ""}, Port{udpPort, 53, "UDP", ""}, Port{port6, 80, "TCP", "::"},
		Port{port4, 80, "TCP", "0.0.0.0"}, Port{ownPort, 80, "TCP", n.hostIP}, Port{sctpPort, 80, "SCTP", ""})
	n.b = n.pod("b")
	n.aIP, n.bIP = n.dual(n.a), n.dual(n.b)
	n.gatewayIP = newAddressing(netip.MustParseAddr("0.0.0.9"), netip.PrefixFrom(netip.MustParseAddr(n.aIP), subnet6Bits).Masked()).gateway6().String()
	in(t, n.far, func() error { return addDefaultRoute6(netip.MustParseAddr(n.hostIP)) })
	serve(t, n.far, "tcp", net.JoinHostPort(n.farIP, "9000"))
	serve(t, machine, "tcp", ":9001")
	serve(t, n.a.NetNS, "tcp", ":80")
	serve(t, n.a.NetNS, "udp", ":53")
	return n
}

// dual connects a pod and returns its IPv6 address.
func (n *neighbours) dual(pod Pod) string {
	n.t.Helper()
	ips := n.addresses(pod)
	if len(ips) != 2 || !strings.HasPrefix(ips[1], "fd") {
		n.t.Fatalf("addresses %s", ips)
	}
	return ips[1]
}

// hears: a server that is asked sees an address.
func (n *neighbours) hears(what, netns, network, host, port, from string) {
	n.t.Helper()
	if got := expectAnswer(n.t, what, netns, network, net.JoinHostPort(host, port)); got.IsValid() && from != "" && got.String() != from {
		n.t.Errorf("%s: it comes from %s, want %s", what, got, from)
	}
}

// fails at once, with an error.
func (n *neighbours) fails(what, netns, host, port string, want error) {
	n.t.Helper()
	begin := time.Now()
	if _, err := ask(n.t, netns, "tcp", net.JoinHostPort(host, port)); !errors.Is(err, want) {
		n.t.Errorf("%s: %v, want %v", what, err, want)
	}
	if took := time.Since(begin); took > time.Second {
		n.t.Errorf("%s: it takes %v", what, took)
	}
}

// Pods, the machine and its host ports are reached on a machine that does not
// forward IPv6 too, which stays so.
func (n *neighbours) reachEachOther() {
	n.t.Helper()
	n.hears("machine to pod", n.machine, "tcp", n.aIP, "80", n.gatewayIP)
	n.hears("pod to pod", n.b.NetNS, "tcp", n.aIP, "80", n.bIP)
	n.hears("pod to machine", n.b.NetNS, "tcp", n.gatewayIP, "9001", n.bIP)
	n.hears("machine to host port", n.machine, "tcp", n.hostIP, "28590", "")
	n.hears("machine to UDP host port", n.machine, "udp", n.hostIP, "28591", "")
	n.hears("machine to host port on ::", n.machine, "tcp", n.hostIP, "28592", "")
	n.hears("machine to host port on its address", n.machine, "tcp", n.hostIP, "28594", "")
	n.hears("machine to host port over IPv4", n.machine, "tcp", "127.0.0.1", "28590", "")
	n.hears("machine to host port on 0.0.0.0", n.machine, "tcp", "127.0.0.1", "28593", "")
	n.fails("machine to host port on ::1", n.machine, "::1", "28590", unix.ECONNREFUSED)
	n.fails("machine to host port of another address", n.machine, n.gatewayIP, "28594", unix.ECONNREFUSED)
	n.fails("machine to host port of IPv4", n.machine, n.hostIP, "28593", unix.ECONNREFUSED)
	n.fails("machine to host port of IPv6 over IPv4", n.machine, "127.0.0.1", "28592", unix.ECONNREFUSED)
	for _, pod := range []Pod{n.a, n.b} {
		in(n.t, pod.NetNS, func() error {
			if got := readSysctl6(ifName, "accept_ra"); got != "0" {
				n.t.Errorf("pod %s believes routers: accept_ra is %s", pod.Name, got)
			}
			return nil
		})
	}
}

func TestIPv6IsNotForwarded(t *testing.T) {
	onMachine(t, func(machine string) {
		n := meet(t, machine)
		n.reachEachOther()
		n.fails("pod to outside", n.b.NetNS, n.farIP, "9000", unix.ENETUNREACH)
		n.fails("outside to host port", n.far, n.hostIP, "28590", unix.ECONNREFUSED)
		if got := MachineIPv6(); got != IPv6Local {
			t.Errorf("the machine's IPv6 is now %q", got)
		}
		n.leave()
	})
}

func TestIPv6IsForwarded(t *testing.T) {
	onMachine(t, func(machine string) {
		if err := writeSysctl6("all", "forwarding", "1"); err != nil {
			t.Fatal(err)
		}
		n := meet(t, machine)
		n.reachEachOther()
		n.hears("pod to outside", n.b.NetNS, "tcp", n.farIP, "9000", n.hostIP)
		n.hears("outside to host port", n.far, "tcp", n.hostIP, "28590", n.farIP)
		n.hears("outside to UDP host port", n.far, "udp", n.hostIP, "28591", n.farIP)
		n.hears("outside to host port on its address", n.far, "tcp", n.hostIP, "28594", n.farIP)
		expectAssociation(t, n.far, n.hostIP, sctpPort, n.a)
		n.hears("pod to the other's host port", n.b.NetNS, "tcp", n.hostIP, "28590", n.gatewayIP)
		n.hears("pod to its own host port", n.a.NetNS, "tcp", n.hostIP, "28590", n.gatewayIP)
		n.leave()
	})
}

// leave removes the pods, one after the other.
func (n *neighbours) leave() {
	n.t.Helper()
	n.remove("a")
	n.fails("host port of a removed pod", n.machine, n.hostIP, "28590", unix.ECONNREFUSED)
	n.hears("pod to machine, when another has gone", n.b.NetNS, "tcp", n.gatewayIP, "9001", n.bIP)
	n.remove("b")
	n.expectNothing()
}

// Without IPv6 in the kernel, everything is as it is with IPv4.
func TestIPv6IsOff(t *testing.T) {
	for _, device := range []string{"all", "default"} {
		onMachine(t, func(machine string) {
			if err := writeSysctl6(device, "disable_ipv6", "1"); err != nil {
				t.Fatal(err)
			}
			if got := MachineIPv6(); got != IPv6Off {
				t.Errorf("the machine's IPv6 is %q", got)
			}
			w := worldIn(t)
			a := w.pod("a", Port{bothPorts, 80, "TCP", ""})
			ips := w.addresses(a)
			if got, err := w.Load("a"); err != nil || len(ips) != 1 || len(got.IPs) != 1 {
				t.Errorf("addresses %s, loaded %s, %v", ips, got.IPs, err)
			}
			serve(t, a.NetNS, "tcp", ":80")
			expectAnswer(t, "machine to host port", machine, "tcp", "127.0.0.1:28590")
			_, err := w.Add(context.Background(), w.pod("b", Port{port6, 80, "TCP", "::"}))
			if err == nil || !strings.Contains(err.Error(), `"::"`) {
				t.Errorf("a host port on ::: %v", err)
			}
			w.remove("b")
			w.remove("a")
			w.expectNothing()
		})
	}
}

// The subnet is chosen once, and is another one for each run directory.
func TestSubnet6Stays(t *testing.T) {
	onMachine(t, func(string) {
		w, other := worldIn(t), worldIn(t)
		subnet := func(ips []string) netip.Prefix {
			if len(ips) != 2 {
				t.Fatalf("addresses %s", ips)
			}
			return netip.PrefixFrom(netip.MustParseAddr(ips[1]), subnet6Bits).Masked()
		}
		first := subnet(w.addresses(w.pod("a")))
		if second := subnet(w.addresses(w.pod("b"))); second != first {
			t.Errorf("the second pod is in %s, the first in %s", second, first)
		}
		if got := subnet(other.addresses(other.pod("a"))); got.Overlaps(first) {
			t.Errorf("two instances are in %s and %s", got, first)
		}
		w.remove("a")
		w.remove("b")
		other.remove("a")
	})
}
