package network

import (
	"errors"
	"net/netip"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// HostIPs returns the machine's addresses as a kubelet finds them: those of
// the interface that the default route goes through, or else the first address
// of an interface that is up; the loopback address when there is no other.
func HostIPs() []string {
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_DST)
	})
	if err == nil {
		for _, route := range routes {
			if link, err := netlink.LinkByIndex(route.LinkIndex); err == nil {
				if ips := linkIPs(link); len(ips) > 0 {
					return ips
				}
			}
		}
	}
	links, err := whole(func() ([]netlink.Link, error) { return netlink.LinkList() })
	if err == nil {
		for _, link := range links {
			if ips := linkIPs(link); len(ips) > 0 && link.Type() != "bridge" {
				return ips
			}
		}
	}
	return []string{"127.0.0.1"}
}

// linkIPs returns a link's addresses that others can reach.
func linkIPs(link netlink.Link) []string {
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_V4) })
	if err != nil {
		return nil
	}
	var ips []string
	for _, addr := range addrs {
		if ip, ok := netip.AddrFromSlice(addr.IP); ok && ip.Unmap().IsGlobalUnicast() {
			ips = append(ips, ip.Unmap().String())
		}
	}
	return ips
}

// Overlaps says whether two pods cannot both have their port on the host.
func (p Port) Overlaps(other Port) bool {
	if p.HostPort == 0 || p.HostPort != other.HostPort || p.Protocol != other.Protocol {
		return false
	}
	return p.everywhere() || other.everywhere() || p.HostIP == other.HostIP
}

func (p Port) everywhere() bool {
	ip, err := netip.ParseAddr(p.HostIP)
	return err != nil || ip.IsUnspecified()
}

// CanTranslate returns why the kernel cannot do what the built-in network has
// it do, nil when it can.
func CanTranslate() error {
	_, err := (&nftables.Conn{}).ListTables()
	return err
}

// whole reads a list of the kernel's again when it changed while it was read.
func whole[T any](list func() ([]T, error)) (items []T, err error) {
	for range 20 {
		if items, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return items, err
}
