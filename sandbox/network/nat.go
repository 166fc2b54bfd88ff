package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

const (
	// natTimeout bounds a transaction with the kernel, which takes a millisecond.
	natTimeout = 5 * time.Second
	// connectionTranslated is IPS_DST_NAT of the kernel's connection tracking.
	connectionTranslated = 1 << 5
)

var (
	loopback   = netip.MustParsePrefix("127.0.0.0/8")
	multicast  = netip.MustParsePrefix("224.0.0.0/4")
	loopback6  = netip.MustParsePrefix("::1/128")
	multicast6 = netip.MustParsePrefix("ff00::/8")
)

// publish lets a pod of the built-in network reach the world, and the world the
// pod's host ports. All rules come in one transaction.
func publish(bridge, uid string, pod addressing, ports []Port) error {
	ports = published(ports)
	for _, port := range ports {
		if err := port.check(pod); err != nil {
			return err
		}
	}
	if len(ports) > 0 {
		// Connections from the host to 127.0.0.1 may go to the bridge; natChains
		// keeps others from the host's loopback addresses.
		sysctl := "/proc/sys/net/ipv4/conf/" + bridge + "/route_localnet"
		if err := os.WriteFile(sysctl, []byte("1"), 0o644); err != nil {
			return fmt.Errorf("route 127.0.0.1 to pods: %w", err)
		}
	}
	if err := admit(bridge); err != nil {
		return err
	}
	name := tableName(bridge, uid)
	err := transact(func(conn *nftables.Conn) {
		addTable(conn, &nftables.Table{Family: nftables.TableFamilyIPv4, Name: name}, natChains(bridge, pod.ipv4, ports))
		if pod.ipv6.IsValid() {
			addTable(conn, &nftables.Table{Family: nftables.TableFamilyIPv6, Name: name}, natChains6(pod, ports))
		}
	})
	if err != nil {
		return fmt.Errorf("add nftables table %q: %w", name, err)
	}
	forgetConnections(ports)
	return nil
}

// addTable adds a table with its chains; one without chains is left out.
func addTable(conn *nftables.Conn, table *nftables.Table, chains []natChain) {
	if len(chains) == 0 {
		return
	}
	conn.AddTable(table)
	for _, chain := range chains {
		chain.Table = table
		conn.AddChain(&chain.Chain)
		for _, rule := range chain.rules {
			conn.AddRule(&nftables.Rule{Table: table, Chain: &chain.Chain, Exprs: rule})
		}
	}
}

// unpublish undoes publish, for a pod that may have had an IPv6 address or had
// none. A table that is not there is done.
func unpublish(bridge, uid string, dual bool) error {
	families := []nftables.TableFamily{nftables.TableFamilyIPv4}
	if dual {
		families = append(families, nftables.TableFamilyIPv6)
	}
	name := tableName(bridge, uid)
	err := transact(func(conn *nftables.Conn) {
		for _, family := range families {
			table := &nftables.Table{Family: family, Name: name}
			conn.AddTable(table) // for the next step never to fail
			conn.DelTable(table)
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil // a kernel without nftables has no tables
	}
	if err != nil {
		return fmt.Errorf("remove nftables table %q: %w", name, err)
	}
	return nil
}

func tableName(bridge, uid string) string { return bridge + "-" + uid }

// transact does everything or nothing. The socket is closed behind the caller's
// back, as the kernel makes that wait until the last packet has passed the rules
// that were removed, which takes ten times as long as all the rest.
func transact(add func(*nftables.Conn)) error {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		return c.SetDeadline(time.Now().Add(natTimeout))
	}))
	if err != nil {
		return err
	}
	add(conn)
	err = conn.Flush()
	go func() { _ = conn.CloseLasting() }()
	return err
}

// forgetConnections makes senders of datagrams to host ports, whose packets are
// tracked as going to the host, meet the new rules. It is for their good only:
// kernels may lack the means.
func forgetConnections(ports []Port) {
	for _, port := range ports {
		if port.Protocol != string(v1.ProtocolUDP) {
			continue
		}
		filter := &vishvananda.ConntrackFilter{}
		if filter.AddProtocol(unix.IPPROTO_UDP) != nil || filter.AddPort(vishvananda.ConntrackOrigDstPort, uint16(port.HostPort)) != nil {
			continue
		}
		for _, host := range port.hosts() {
			family := vishvananda.InetFamily(unix.AF_INET)
			if host.Is6() {
				family = unix.AF_INET6
			}
			_, _ = vishvananda.ConntrackDeleteFilters(vishvananda.ConntrackTable, family, filter)
		}
	}
}

// natChain is a chain and what is in it.
type natChain struct {
	nftables.Chain
	rules [][]expr.Any
}

func newNATChain(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, rules [][]expr.Any) natChain {
	return natChain{nftables.Chain{Name: name, Type: kind, Hooknum: hook, Priority: priority}, rules}
}

// natChains says what happens to the IPv4 packets of a pod, in nft's words:
//
//	chain guard (prerouting, raw)      what comes from the bridge for 127.0.0.0/8 is dropped
//	chain prerouting, output (dstnat)  what is for a host port on an address of the machine goes to the pod
//	chain postrouting (srcnat)         what leaves the bridge, but for multicast, is masqueraded;
//	                                   what came by a host port from 127.0.0.0/8 or from the bridge
//	                                   itself is masqueraded, for the answer to come back the same way
//
// Without ports there is only the first half of the last chain.
func natChains(bridge string, pod netip.Addr, ports []Port) []natChain {
	subnet := netip.PrefixFrom(pod, subnetBits).Masked()
	self := netip.PrefixFrom(pod, pod.BitLen())
	leaving := [][]expr.Any{
		slices.Concat(source(expr.CmpOpEq, self), destination(expr.CmpOpNeq, subnet), destination(expr.CmpOpNeq, multicast), masquerade()),
	}
	if len(ports) == 0 {
		return []natChain{newNATChain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, leaving)}
	}
	guard := [][]expr.Any{
		slices.Concat(inInterface(bridge), destination(expr.CmpOpEq, loopback), drop()),
	}
	for _, from := range []netip.Prefix{loopback, subnet} {
		leaving = append(leaving, slices.Concat(source(expr.CmpOpEq, from), destination(expr.CmpOpEq, self), translated(), masquerade()))
	}
	arriving := arrivals(pod, ports)
	return []natChain{
		newNATChain("guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, guard),
		newNATChain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, arriving),
		newNATChain("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, arriving),
		newNATChain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, leaving),
	}
}

// natChains6 does the same for IPv6, but that
//
//   - only a machine that forwards IPv6 has rules for what it forwards;
//   - all that comes by a host port from the machine itself is masqueraded, as
//     without a default route a pod cannot answer to an address of another link;
//   - ::1 is left out: the kernel takes no answer for it from another link than
//     lo, and has no route_localnet for IPv6. It needs no guard for the same reason.
func natChains6(pod addressing, ports []Port) []natChain {
	self := netip.PrefixFrom(pod.ipv6, pod.ipv6.BitLen())
	arriving := arrivals(pod.ipv6, ports)
	var chains []natChain
	var leaving [][]expr.Any
	if pod.forwards {
		leaving = append(leaving, slices.Concat(source(expr.CmpOpEq, self), destination(expr.CmpOpNeq, pod.subnet6()), destination(expr.CmpOpNeq, multicast6), masquerade()))
	}
	if len(arriving) > 0 && pod.forwards {
		leaving = append(leaving, slices.Concat(source(expr.CmpOpEq, pod.subnet6()), destination(expr.CmpOpEq, self), translated(), masquerade()))
		chains = append(chains, newNATChain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, arriving))
	}
	if len(arriving) > 0 {
		leaving = append(leaving, slices.Concat(fromLocal(), destination(expr.CmpOpEq, self), translated(), masquerade()))
		chains = append(chains, newNATChain("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, arriving))
	}
	if len(leaving) > 0 {
		chains = append(chains, newNATChain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, leaving))
	}
	return chains
}

// arrivals lead what is for a host port, on addresses of the pod's family, to
// the pod.
func arrivals(pod netip.Addr, ports []Port) (rules [][]expr.Any) {
	for _, port := range ports {
		for _, host := range port.hosts() {
			if host.Is4() != pod.Is4() {
				continue
			}
			rules = append(rules, slices.Concat(toLocal(), port.match(host), translate(netip.AddrPortFrom(pod, uint16(port.ContainerPort)))))
		}
	}
	return rules
}

// check refuses what the built-in network cannot publish.
func (p Port) check(pod addressing) error {
	if _, ok := protocolNumbers[p.Protocol]; !ok {
		return fmt.Errorf("publish host port %d: protocol %q is not supported", p.HostPort, p.Protocol)
	}
	if p.HostIP == "" {
		return nil
	}
	host, err := netip.ParseAddr(p.HostIP)
	switch host = host.Unmap(); {
	case err != nil:
		return fmt.Errorf("publish host port %d: host IP %q is no IP address", p.HostPort, p.HostIP)
	case host.Is6() && host.IsLoopback():
		return fmt.Errorf("publish host port %d: nothing leads from host IP %q to a pod in Linux; 127.0.0.1 can be used instead", p.HostPort, p.HostIP)
	case host.Is6() && !pod.ipv6.IsValid():
		return fmt.Errorf("publish host port %d: host IP %q is an IPv6 address, and IPv6 is off on this machine", p.HostPort, p.HostIP)
	}
	return nil
}

// match is what is for the port on an address of the host, or on all of its family.
func (p Port) match(host netip.Addr) []expr.Any {
	match := slices.Concat(layer4Protocol(protocolNumbers[p.Protocol]), destinationPort(uint16(p.HostPort)))
	switch {
	case !host.IsUnspecified():
		return slices.Concat(destination(expr.CmpOpEq, netip.PrefixFrom(host, host.BitLen())), match)
	case host.Is6():
		return slices.Concat(destination(expr.CmpOpNeq, loopback6), match)
	}
	return match
}

// protocolNumbers are IP's.
var protocolNumbers = map[string]byte{
	string(v1.ProtocolTCP):  unix.IPPROTO_TCP,
	string(v1.ProtocolUDP):  unix.IPPROTO_UDP,
	string(v1.ProtocolSCTP): unix.IPPROTO_SCTP,
}

// The words that rules are made of; each of them uses the registers anew.

func source(op expr.CmpOp, p netip.Prefix) []expr.Any {
	if p.Addr().Is6() {
		return address(8, op, p)
	}
	return address(12, op, p)
}

func destination(op expr.CmpOp, p netip.Prefix) []expr.Any {
	if p.Addr().Is6() {
		return address(24, op, p)
	}
	return address(16, op, p)
}

// address compares the address at an offset of the header.
func address(offset uint32, op expr.CmpOp, p netip.Prefix) []expr.Any {
	bits := p.Addr().BitLen()
	size := uint32(bits / 8)
	words := []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}}
	if p.Bits() < bits {
		words = append(words, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: net.CIDRMask(p.Bits(), bits), Xor: make([]byte, size)})
	}
	return append(words, &expr.Cmp{Op: op, Register: 1, Data: p.Addr().AsSlice()})
}

func layer4Protocol(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

func destinationPort(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	}
}

func inInterface(name string) []expr.Any { return hasInterface(expr.MetaKeyIIFNAME, name) }

func outInterface(name string) []expr.Any { return hasInterface(expr.MetaKeyOIFNAME, name) }

func hasInterface(which expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{
		&expr.Meta{Key: which, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: padded},
	}
}

// toLocal: the destination is an address of the machine.
func toLocal() []expr.Any { return isLocal(&expr.Fib{FlagDADDR: true}) }

// fromLocal: the source is one.
func fromLocal() []expr.Any { return isLocal(&expr.Fib{FlagSADDR: true}) }

func isLocal(which *expr.Fib) []expr.Any {
	which.Register, which.ResultADDRTYPE = 1, true
	return []expr.Any{which, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)}}
}

// translated: the connection came by a host port.
func translated() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(connectionTranslated), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func translate(to netip.AddrPort) []expr.Any {
	family := uint32(unix.NFPROTO_IPV4)
	if to.Addr().Is6() {
		family = unix.NFPROTO_IPV6
	}
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: family, RegAddrMin: 1, RegProtoMin: 2},
	}
}

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

func drop() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }
