// Package network connects a pod with the world: its network namespace, its
// addresses, by CNI plugins through libcni, and its ports on the host.
//
// With a directory of CNI configurations, everything is up to those. Otherwise
// the built-in network is used, one per run directory:
//
//	pod ── eth0 ══ veth ── bridge "podrun0" (host, gateway) ── NAT ── the machine's interfaces
//	       └── plugin bridge with host-local ──┘               └── nft table "podrun0-<pod's UID>"
//
// Where the kernel has IPv6 on, a pod has an IPv6 address beside the IPv4 one,
// made of the run directory's own subnet and the number of the IPv4 address. That
// is not left to the plugins either: they would have the machine forward IPv6,
// which ends its listening to routers, and would wait for the detection of
// duplicate addresses. Only a machine that forwards IPv6 by itself gives pods a
// way out, and the world one to their host ports.
//
// The translation of addresses is not left to the plugins: the rules of their
// portmap and of bridge's ipMasq are kept in tables that belong to every CNI
// user of the machine, stay there when the last pod has gone or when the network
// namespace went away first, and cost many runs of nft or iptables. Here a pod
// has one table of its own in each family, with a derived name, and both come and
// go in one netlink transaction.
//
// What it owns, below the run directory:
//
//	netns/<uid>               the network namespaces, mounted
//	pods/<uid>/network.json   the record: what a pod was connected with, there from before
//	                          the first plugin runs until everything is undone
//	cni/lock                  held while the built-in network is made or taken away
//	cni/podrun.conflist       the built-in network, as long as there are pods
//	cni/cache, cni/ipam       of libcni and of host-local
//
// It never touches another tool's links, rules or directories, and nothing of it
// is left when the last pod has gone but the empty lock.
package network
