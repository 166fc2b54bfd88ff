package sandbox

import (
	"context"
	"net"

	"podrun/sandbox/network"
)

// Dial connects to a TCP port of the loopback addresses of a sandbox, as its
// containers see them; see network.Dial.
func (s *Store) Dial(ctx context.Context, sb *Sandbox, port uint16) (*net.TCPConn, error) {
	return network.Dial(ctx, s.netNS(sb), port)
}

// netNS is the path of the sandbox' network namespace, empty for the machine's.
func (s *Store) netNS(sb *Sandbox) string {
	if sb.Pod.Spec.HostNetwork {
		return ""
	}
	return network.NetNSPath(s.config.RunDir, sb.UID())
}
