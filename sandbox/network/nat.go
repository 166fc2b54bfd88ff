package network

import (
	"errors"
	"fmt"
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
	loopback  = netip.MustParsePrefix("127.0.0.0/8")
	multicast = netip.MustParsePrefix("224.0.0.0/4")
)

// publish lets a pod of the built-in network reach the world, and the world the
// pod's host ports. All rules come in one transaction.
func publish(bridge, uid, ip string, ports []Port) error {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return err
	}
	ports = published(ports)
	for _, port := range ports {
		if err := port.check(); err != nil {
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
	table := natTable(bridge, uid)
	err = transact(func(conn *nftables.Conn) {
		conn.AddTable(table)
		for _, chain := range natChains(bridge, addr, ports) {
			chain.Table = table
			conn.AddChain(&chain.Chain)
			for _, rule := range chain.rules {
				conn.AddRule(&nftables.Rule{Table: table, Chain: &chain.Chain, Exprs: rule})
			}
		}
	})
	if err != nil {
		return fmt.Errorf("add nftables table %q: %w", table.Name, err)
	}
	forgetConnections(ports)
	return nil
}

// unpublish undoes publish. A table that is not there is done.
func unpublish(bridge, uid string) error {
	table := natTable(bridge, uid)
	err := transact(func(conn *nftables.Conn) {
		conn.AddTable(table) // for the next step never to fail
		conn.DelTable(table)
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil // a kernel without nftables has no tables
	}
	if err != nil {
		return fmt.Errorf("remove nftables table %q: %w", table.Name, err)
	}
	return nil
}

func natTable(bridge, uid string) *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyIPv4, Name: bridge + "-" + uid}
}

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
		if filter.AddProtocol(unix.IPPROTO_UDP) == nil && filter.AddPort(vishvananda.ConntrackOrigDstPort, uint16(port.HostPort)) == nil {
			_, _ = vishvananda.ConntrackDeleteFilters(vishvananda.ConntrackTable, unix.AF_INET, filter)
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

// natChains says what happens to the packets of a pod, in nft's words:
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
	var arriving [][]expr.Any
	for _, port := range ports {
		arriving = append(arriving, slices.Concat(isLocal(), port.match(), translate(netip.AddrPortFrom(pod, uint16(port.ContainerPort)))))
	}
	return []natChain{
		newNATChain("guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, guard),
		newNATChain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, arriving),
		newNATChain("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, arriving),
		newNATChain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, leaving),
	}
}

// check refuses what the built-in network cannot publish.
func (p Port) check() error {
	if _, ok := protocolNumbers[p.Protocol]; !ok {
		return fmt.Errorf("publish host port %d: protocol %q is not supported", p.HostPort, p.Protocol)
	}
	if p.HostIP == "" {
		return nil
	}
	if addr, err := netip.ParseAddr(p.HostIP); err != nil || !addr.Unmap().Is4() {
		return fmt.Errorf("publish host port %d: host IP %q is no IPv4 address, and the built-in network has no others", p.HostPort, p.HostIP)
	}
	return nil
}

func (p Port) match() []expr.Any {
	match := slices.Concat(layer4Protocol(protocolNumbers[p.Protocol]), destinationPort(uint16(p.HostPort)))
	if addr, err := netip.ParseAddr(p.HostIP); err == nil && !addr.IsUnspecified() {
		addr = addr.Unmap()
		match = slices.Concat(destination(expr.CmpOpEq, netip.PrefixFrom(addr, addr.BitLen())), match)
	}
	return match
}

// protocolNumbers are IP's.
var protocolNumbers = map[string]byte{
	string(v1.ProtocolTCP): unix.IPPROTO_TCP,
	string(v1.ProtocolUDP): unix.IPPROTO_UDP,
}

// The words that rules are made of; each of them uses the registers anew.

func source(op expr.CmpOp, p netip.Prefix) []expr.Any { return address(12, op, p) }

func destination(op expr.CmpOp, p netip.Prefix) []expr.Any { return address(16, op, p) }

func address(offset uint32, op expr.CmpOp, p netip.Prefix) []expr.Any {
	words := []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}}
	if p.Bits() < 32 {
		mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - p.Bits()))
		words = append(words, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)})
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

func inInterface(name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: padded},
	}
}

// isLocal: the destination is an address of the machine.
func isLocal() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
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
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	}
}

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

func drop() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }
