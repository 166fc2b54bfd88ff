package network

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// subnet6Bits is what an IPv6 link has (RFC 4291, 2.5.1).
	subnet6Bits = 64
	// minMTU6 is below what no link speaks IPv6 (RFC 8200, 5).
	minMTU6 = 1280
)

// addressing is where a pod of the built-in network is reached.
type addressing struct {
	ipv4     netip.Addr
	ipv6     netip.Addr // not valid where IPv6 is off
	forwards bool       // the machine forwards IPv6
}

// newAddressing derives the IPv6 address of a pod from its IPv4 address: there is
// one allocation for both. The subnet is not valid for a pod without IPv6.
func newAddressing(ipv4 netip.Addr, subnet6 netip.Prefix) addressing {
	pod := addressing{ipv4: ipv4}
	if subnet6.IsValid() {
		number := ipv4.As4()
		pod.ipv6 = inSubnet6(subnet6, binary.BigEndian.Uint32(number[:])&(1<<(32-subnetBits)-1))
	}
	return pod
}

func (a addressing) ips() []netip.Addr {
	if !a.ipv6.IsValid() {
		return []netip.Addr{a.ipv4}
	}
	return []netip.Addr{a.ipv4, a.ipv6}
}

func (a addressing) subnet6() netip.Prefix { return netip.PrefixFrom(a.ipv6, subnet6Bits).Masked() }

// gateway6 is the bridge, which has host-local's first address in IPv4, too.
func (a addressing) gateway6() netip.Addr { return inSubnet6(a.subnet6(), 1) }

func inSubnet6(subnet netip.Prefix, number uint32) netip.Addr {
	b := subnet.Addr().As16()
	binary.BigEndian.PutUint32(b[12:], number)
	return netip.AddrFrom16(b)
}

// chooseSubnet6 is a unique local subnet (RFC 4193) whose global ID is the run
// directory's own; not valid when there can be no IPv6.
func (n *Network) chooseSubnet6(mtu int) (netip.Prefix, error) {
	if mtu > 0 && mtu < minMTU6 || readSysctl6("all", "disable_ipv6") == "" {
		return netip.Prefix{}, nil
	}
	taken, err := takenPrefixes(netlink.FAMILY_V6)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("list the machine's IPv6 networks: %w", err)
	}
	sum := sha256.Sum256([]byte(n.config.RunDir))
	return pickSubnet6([5]byte(sum[:]), taken), nil
}

// pickSubnet6 is the first subnet of a global ID that overlaps nothing that is
// taken; not valid when there is none.
func pickSubnet6(globalID [5]byte, taken []netip.Prefix) netip.Prefix {
	b := [16]byte{0: 0xfd}
	copy(b[1:], globalID[:])
	for id := range 1 << 16 {
		binary.BigEndian.PutUint16(b[6:], uint16(id))
		subnet := netip.PrefixFrom(netip.AddrFrom16(b), subnet6Bits)
		if !slices.ContainsFunc(taken, subnet.Overlaps) {
			return subnet
		}
	}
	return netip.Prefix{}
}

// IPv6 is what the machine does with IPv6.
type IPv6 string

// What a machine may do with IPv6.
const (
	IPv6Off      IPv6 = "off"      // pods have IPv4 alone
	IPv6Local    IPv6 = "local"    // pods reach each other and the machine
	IPv6Forwards IPv6 = "forwards" // pods reach the world, and the world their host ports
)

// MachineIPv6 reads what the machine does with IPv6. podrun never changes it: a
// machine that is made to forward no longer listens to its routers'
// advertisements, and may lose its own address by that.
func MachineIPv6() IPv6 {
	switch {
	case !speaksIPv6("all") || !speaksIPv6("default"):
		return IPv6Off
	case forwardsIPv6():
		return IPv6Forwards
	}
	return IPv6Local
}

// bridgeSpeaksIPv6 says so of a bridge that is there, or would be made now.
func bridgeSpeaksIPv6(name string) bool {
	if _, err := os.Stat("/sys/class/net/" + name); errors.Is(err, fs.ErrNotExist) {
		name = "default"
	}
	return speaksIPv6("all") && speaksIPv6(name)
}

func speaksIPv6(device string) bool { return readSysctl6(device, "disable_ipv6") == "0" }

func forwardsIPv6() bool { return readSysctl6("all", "forwarding") == "1" }

// readSysctl6 returns a setting of IPv6, empty when the kernel has none.
func readSysctl6(device, name string) string {
	data, _ := os.ReadFile("/proc/sys/net/ipv6/conf/" + device + "/" + name)
	return strings.TrimSpace(string(data))
}

func writeSysctl6(device, name, value string) error {
	return os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/"+name, []byte(value), 0o644)
}

// refuseRouters has the interfaces that a namespace will get take no router's
// word: any pod on the bridge could pretend to be one (CVE-2020-10749).
func refuseRouters(netns string) error {
	return inNetNS(netns, func() error { return writeSysctl6("default", "accept_ra", "0") })
}

// assign6 gives a pod's interface and the bridge their IPv6 addresses, and, on a
// machine that forwards, the pod a default route: where there is none, what the
// pod wants of the world fails at once. The addresses are nobody else's; no time
// goes to finding that out.
func assign6(bridge, netns string, pod addressing) error {
	if err := addAddress6(bridge, pod.gateway6()); err != nil {
		return err
	}
	return inNetNS(netns, func() error {
		if err := writeSysctl6(ifName, "disable_ipv6", "0"); err != nil {
			return err
		}
		if err := addAddress6(ifName, pod.ipv6); err != nil || !pod.forwards {
			return err
		}
		return addDefaultRoute6(pod.gateway6())
	})
}

// addDefaultRoute6 adds one to the pod's interface.
func addDefaultRoute6(gateway netip.Addr) error {
	link, err := netlink.LinkByName(ifName)
	if err != nil {
		return err
	}
	everywhere := &net.IPNet{IP: net.IPv6zero, Mask: make(net.IPMask, net.IPv6len)}
	err = netlink.RouteAdd(&netlink.Route{Dst: everywhere, Gw: gateway.AsSlice(), LinkIndex: link.Attrs().Index})
	if err != nil {
		return fmt.Errorf("add a default route over %s: %w", gateway, err)
	}
	return nil
}

// addAddress6 adds an address to a link, unless it is there already.
func addAddress6(name string, ip netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	err = netlink.AddrAdd(link, &netlink.Addr{
		IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(subnet6Bits, ip.BitLen())},
		Flags: unix.IFA_F_NODAD,
	})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %s to %s: %w", ip, name, err)
	}
	return nil
}
