package network

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// Port is a port of a container, which may be published on the host.
type Port struct {
	HostPort      int32 // 0: not published
	ContainerPort int32
	Protocol      string // TCP, UDP or SCTP
	HostIP        string // empty: all addresses of the host; 0.0.0.0 and ::, all of one family
}

// String is a port as it is seen from outside, like 192.0.2.1:8080/tcp.
func (p Port) String() string {
	host := fmt.Sprint(p.HostPort)
	if p.HostIP != "" {
		host = p.HostIP + ":" + host
	}
	return host + "/" + strings.ToLower(p.Protocol)
}

// hosts are the addresses of the host that a port is published on, an unspecified
// one for all of its family. What is no address has none.
func (p Port) hosts() []netip.Addr {
	if p.HostIP == "" {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	host, err := netip.ParseAddr(p.HostIP)
	if err != nil {
		return nil
	}
	return []netip.Addr{host.Unmap()}
}

// Ports are the ports of the pod's containers, as a kubelet maps them (kubelet:
// MakePortMappings): those of init containers do not count, but of sidecars, and in
// a container the first of several with the same name, or without one and all the
// same, wins.
func Ports(pod *v1.Pod) []Port {
	ended := func(c v1.Container) bool { return !podutil.IsRestartableInitContainer(&c) }
	sidecars := slices.DeleteFunc(slices.Clone(pod.Spec.InitContainers), ended)
	var ports []Port
	for _, c := range slices.Concat(sidecars, pod.Spec.Containers) {
		seen := map[string]bool{}
		for _, port := range c.Ports {
			p := Port{HostPort: port.HostPort, ContainerPort: port.ContainerPort, Protocol: string(port.Protocol), HostIP: port.HostIP}
			if p.Protocol == "" {
				p.Protocol = string(v1.ProtocolTCP)
			}
			key := port.Name
			if key == "" {
				key = fmt.Sprintf("%s-%s:%d:%d", p.Protocol, p.HostIP, p.ContainerPort, p.HostPort)
			}
			if !seen[key] {
				seen[key] = true
				ports = append(ports, p)
			}
		}
	}
	return ports
}

// published are the ports that have one on the host.
func published(ports []Port) []Port {
	return slices.DeleteFunc(slices.Clone(ports), func(p Port) bool { return p.HostPort <= 0 })
}

// portMapping is a port as CNI's capability portMappings has it.
type portMapping struct {
	HostPort      int32  `json:"hostPort"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
}

func portMappings(ports []Port) []portMapping {
	var mappings []portMapping
	for _, p := range published(ports) {
		mappings = append(mappings, portMapping{p.HostPort, p.ContainerPort, strings.ToLower(p.Protocol), p.HostIP})
	}
	return mappings
}

// Conflict is a host port that a process on the host listens on.
type Conflict struct {
	Port  Port
	Owner string // `"nginx" (pid 123)`; empty when it is not known
}

func (c Conflict) String() string {
	if c.Owner == "" {
		return fmt.Sprintf("host port %s is in use", c.Port)
	}
	return fmt.Sprintf("host port %s is in use by %s", c.Port, c.Owner)
}

// InUse returns those of the ports that something on the host listens on, on an
// address that the port would take away from it. Ports of other pods are not
// seen: nobody listens on those on the host.
func InUse(ports []Port) ([]Conflict, error) {
	var conflicts []Conflict
	listeners := map[string][]listener{}
	for _, port := range slices.DeleteFunc(published(ports), Port.free) {
		protocol := strings.ToLower(port.Protocol)
		if protocol == "sctp" { // the kernel lists its listeners in another way
			conflicts = append(conflicts, Conflict{Port: port})
			continue
		}
		if _, ok := listeners[protocol]; !ok {
			list, err := listListeners(protocol)
			if err != nil {
				return nil, fmt.Errorf("list listeners: %w", err)
			}
			listeners[protocol] = list
		}
		at := slices.IndexFunc(listeners[protocol], port.conflicts)
		if at >= 0 {
			conflicts = append(conflicts, Conflict{Port: port, Owner: owner(listeners[protocol][at].inode)})
		}
	}
	return conflicts, nil
}

// free says that nobody can be listening on a port: the kernel would give it
// to us. That is much cheaper to find out than who has it.
func (p Port) free() bool {
	taken := func(host netip.Addr) bool { return !p.freeOn(host) }
	return !slices.ContainsFunc(p.hosts(), taken)
}

func (p Port) freeOn(host netip.Addr) bool {
	kind, protocol := unix.SOCK_STREAM, 0
	switch p.Protocol {
	case string(v1.ProtocolUDP):
		kind = unix.SOCK_DGRAM
	case string(v1.ProtocolSCTP):
		protocol = unix.IPPROTO_SCTP
	}
	family := unix.AF_INET
	if host.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return true // the kernel does not speak it
	}
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if kind == unix.SOCK_STREAM && unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) != nil {
		return false
	}
	// Who listens on all IPv4 addresses is in nobody's way on [::].
	if host.Is6() && unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1) != nil {
		return false
	}
	return unix.Bind(fd, sockaddr(netip.AddrPortFrom(host, uint16(p.HostPort)))) == nil
}

// listener is a socket that waits for a peer.
type listener struct {
	addr  netip.AddrPort
	inode string
}

// conflicts: a host port on all addresses takes from everyone, one on a certain
// address from those that listen there or on all addresses. Who listens on [::]
// may listen on all IPv4 addresses by that.
func (p Port) conflicts(l listener) bool {
	if l.addr.Port() != uint16(p.HostPort) {
		return false
	}
	at := l.addr.Addr()
	return slices.ContainsFunc(p.hosts(), func(host netip.Addr) bool {
		if host.Is4() != at.Is4() {
			return at == netip.IPv6Unspecified()
		}
		return host.IsUnspecified() || at.IsUnspecified() || at == host
	})
}

// listListeners reads /proc/net/<protocol> and its IPv6 sibling. A kernel without
// IPv6 has no sibling.
func listListeners(protocol string) ([]listener, error) {
	var list []listener
	for _, name := range []string{protocol, protocol + "6"} {
		f, err := os.Open("/proc/net/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if l, ok := parseListener(protocol, lines.Text()); ok {
				list = append(list, l)
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// parseListener reads a line like
//
//	0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 …
//
// State 0A is a TCP socket that listens, 07 a UDP socket without a peer.
func parseListener(protocol, line string) (listener, bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != map[string]string{"tcp": "0A", "udp": "07"}[protocol] {
		return listener{}, false
	}
	addrHex, portHex, _ := strings.Cut(fields[1], ":")
	addr, ok := parseKernelAddr(addrHex)
	port, err := strconv.ParseUint(portHex, 16, 16)
	return listener{netip.AddrPortFrom(addr, uint16(port)), fields[9]}, ok && err == nil
}

// parseKernelAddr reads an address that is printed as words of the machine's byte
// order. An IPv4 address in IPv6's clothes is an IPv4 address.
func parseKernelAddr(text string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return addr.Unmap(), ok
}

// owner finds the process that has a socket, as far as /proc tells.
func owner(inode string) string {
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		fds, _ := os.ReadDir(dir)
		for _, fd := range fds {
			if target, _ := os.Readlink(filepath.Join(dir, fd.Name())); target == "socket:["+inode+"]" {
				process := filepath.Dir(dir)
				name, _ := os.ReadFile(filepath.Join(process, "comm"))
				return fmt.Sprintf("%q (pid %s)", strings.TrimSpace(string(name)), filepath.Base(process))
			}
		}
	}
	return ""
}
