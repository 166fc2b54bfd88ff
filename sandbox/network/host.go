package network

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// passingAddress are the marks of IPv6 addresses that may go again or are not there
// yet. (In IPv4, IFA_F_TEMPORARY marks an interface's second address.)
const passingAddress = unix.IFA_F_TEMPORARY | unix.IFA_F_DEPRECATED | unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED

// HostIPs returns the machine's addresses as a kubelet of a dual-stack node has
// them: one IPv4 and one IPv6 address, as far as there are, IPv4 first, of the
// interface that the default route goes through, or else of one that is up; the
// loopback address when there is no other.
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

// linkIPs returns a link's first address of each family that others can reach,
// and can count on.
func linkIPs(link netlink.Link) []string {
	var ips []string
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(link, family) })
		if err != nil {
			continue
		}
		for _, addr := range addrs {
			ip, ok := netip.AddrFromSlice(addr.IP)
			passing := family == netlink.FAMILY_V6 && addr.Flags&passingAddress != 0
			if ip = ip.Unmap(); ok && ip.IsGlobalUnicast() && ip.Is4() == (family == netlink.FAMILY_V4) && !passing {
				ips = append(ips, ip.String())
				break
			}
		}
	}
	return ips
}

// Overlaps says whether two pods cannot both have their port on the host.
func (p Port) Overlaps(other Port) bool {
	if p.HostPort == 0 || p.HostPort != other.HostPort || p.Protocol != other.Protocol {
		return false
	}
	return slices.ContainsFunc(p.hosts(), func(a netip.Addr) bool {
		return slices.ContainsFunc(other.hosts(), func(b netip.Addr) bool {
			return a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified() || a == b)
		})
	})
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
