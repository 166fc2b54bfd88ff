package network

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	defaultRunDir = "/run/podrun"
	// subnet6Key is where the built-in network's configuration has its IPv6 subnet.
	subnet6Key = "podrun.subnet6"
	// subnetBits makes room for more pods than a machine is good for; Kubernetes
	// gives its nodes as much.
	subnetBits = 24
	// portsTimeout bounds the wait for the kernel to take away the links of
	// namespaces that have ended.
	portsTimeout = time.Second
	portsPause   = 10 * time.Millisecond
)

// pools are the private ranges that subnets are taken from; the first is one that
// is rarely used by others.
var pools = []netip.Prefix{
	netip.MustParsePrefix("10.192.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
}

// bridgeName is short enough for the kernel (15 bytes), and another one for each
// run directory.
func bridgeName(runDir string) string {
	if runDir == defaultRunDir {
		return "podrun0"
	}
	sum := sha256.Sum256([]byte(runDir))
	return "podrun" + hex.EncodeToString(sum[:4])
}

func (n *Network) confPath() string { return n.path("podrun.conflist") }

// builtIn is the configuration of the built-in network, made when there is none.
// The caller holds the lock.
func (n *Network) builtIn() ([]byte, error) {
	conf, err := os.ReadFile(n.confPath())
	if !errors.Is(err, fs.ErrNotExist) {
		return conf, err
	}
	subnet, err := n.chooseSubnet()
	if err != nil {
		return nil, err
	}
	mtu, err := uplinkMTU()
	if err != nil {
		return nil, err
	}
	subnet6, err := n.chooseSubnet6(mtu)
	if err != nil {
		return nil, err
	}
	conf, err = builtInConf(bridgeName(n.config.RunDir), [2]netip.Prefix{subnet, subnet6}, n.path("ipam"), mtu)
	if err != nil {
		return nil, err
	}
	return conf, writeFile(n.confPath(), conf)
}

// builtInConf has the IPv6 subnet as a key of its own, which is nothing to libcni:
// with it, the plugin would have the machine forward IPv6, and wait for the
// detection of duplicate addresses.
func builtInConf(bridge string, subnets [2]netip.Prefix, ipamDir string, mtu int) ([]byte, error) {
	ipv4, ipv6 := subnets[0], subnets[1]
	type object = map[string]any
	return json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       bridge,
		subnet6Key:   ipv6,
		"plugins": []object{{
			"type":        "bridge",
			"bridge":      bridge,
			"isGateway":   true, // this turns on ip_forward
			"hairpinMode": true,
			"mtu":         mtu,
			"ipam": object{
				"type":    "host-local",
				"dataDir": ipamDir,
				"ranges":  [][]object{{{"subnet": ipv4}}},
				"routes":  []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}, "", "  ")
}

// subnet6Of reads the IPv6 subnet out of the built-in network's configuration.
func subnet6Of(conf []byte) (netip.Prefix, error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(conf, &values); err != nil {
		return netip.Prefix{}, err
	}
	var subnet netip.Prefix
	if value, ok := values[subnet6Key]; ok { // it may be of an earlier podrun
		return subnet, json.Unmarshal(value, &subnet)
	}
	return subnet, nil
}

// chooseSubnet begins at a place of its own for each run directory, so that two
// instances that start at the same time do not meet.
func (n *Network) chooseSubnet() (netip.Prefix, error) {
	taken, err := takenPrefixes(netlink.FAMILY_V4)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("list the machine's networks: %w", err)
	}
	sum := sha256.Sum256([]byte(n.config.RunDir))
	return pickSubnet(binary.BigEndian.Uint32(sum[:]), taken)
}

// pickSubnet is the first subnet of the pools, counted from seed on, that
// overlaps nothing that is taken.
func pickSubnet(seed uint32, taken []netip.Prefix) (netip.Prefix, error) {
	for _, pool := range pools {
		count := uint32(1) << (subnetBits - pool.Bits())
		base := pool.Addr().As4()
		for i := range count {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(base[:])+(seed+i)%count<<(32-subnetBits))
			subnet := netip.PrefixFrom(netip.AddrFrom4(b), subnetBits)
			if !slices.ContainsFunc(taken, subnet.Overlaps) {
				return subnet, nil
			}
		}
	}
	return netip.Prefix{}, errors.New("no private subnet is free on this machine; give a network with --cni-conf-dir")
}

// takenPrefixes are the machine's addresses of a family and all that has a route,
// but the default ones.
func takenPrefixes(family int) ([]netip.Prefix, error) {
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, family) })
	if err != nil {
		return nil, err
	}
	allTables := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(family, allTables, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, err
	}
	var taken []netip.Prefix
	for _, addr := range addrs {
		taken = append(taken, prefix(addr.IP, addr.Mask))
	}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		if p := prefix(route.Dst.IP, route.Dst.Mask); p.Bits() > 0 {
			taken = append(taken, p)
		}
	}
	return taken, nil
}

func prefix(ip []byte, mask interface{ Size() (int, int) }) netip.Prefix {
	addr, _ := netip.AddrFromSlice(ip)
	bits, _ := mask.Size()
	return netip.PrefixFrom(addr.Unmap(), bits).Masked()
}

// uplinkMTU is the MTU of the interface with the default route, 0 without one:
// a pod must not send packets that are too large for the way out.
func uplinkMTU() (int, error) {
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_DST)
	})
	if err != nil {
		return 0, fmt.Errorf("find the default route: %w", err)
	}
	for _, route := range routes {
		if link, err := netlink.LinkByIndex(route.LinkIndex); err == nil {
			return link.Attrs().MTU, nil
		}
	}
	return 0, nil
}

// Clean takes away the built-in network when no pod is connected any more: the
// bridge, its rules in firewalls, the configuration, the directories of libcni and host-local. It is
// cheap when there is nothing to do. The bridge stays when somebody else has
// attached a link to it.
func (n *Network) Clean(ctx context.Context) error {
	if _, err := os.Stat(n.confPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockFile(ctx, n.lockPath())
	if err != nil {
		return err
	}
	defer lock.Close()
	connected, err := n.connected()
	if err != nil || connected {
		return err
	}
	gone, err := removeBridge(ctx, bridgeName(n.config.RunDir))
	if err != nil || !gone {
		return err
	}
	if err := dismiss(bridgeName(n.config.RunDir)); err != nil {
		return err
	}
	// Others may have taken it away while the lock was waited for.
	return errors.Join(os.RemoveAll(n.path("ipam")), os.RemoveAll(n.path("cache")), os.RemoveAll(n.confPath()))
}

// removeBridge tells whether the bridge is gone. Links of pods go away with their
// namespaces, a little later; they are waited for.
func removeBridge(ctx context.Context, name string) (bool, error) {
	bridge, err := netlink.LinkByName(name)
	if isNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, portsTimeout)
	defer cancel()
	for {
		attached, err := os.ReadDir("/sys/class/net/" + name + "/brif")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if len(attached) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(portsPause):
		}
	}
	if err := netlink.LinkDel(bridge); err != nil {
		return false, fmt.Errorf("remove bridge %q: %w", name, err)
	}
	return true, nil
}

func isNotFound(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound)
}
