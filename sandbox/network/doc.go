// Package network connects a pod with the world: its network namespace, its
// addresses, by CNI plugins through libcni, and its ports on the host.
//
// With a directory of CNI configurations, everything is up to those. Otherwise
// the built-in network is used, one per run directory:
//
//	pod ── eth0 ══ veth ── bridge "podrun0" (host, gateway) ── NAT ── the machine's interfaces
//	       └── plugin bridge with host-local ──┘               └── nft table "podrun0-<pod's UID>"
//
// The translation of addresses is not left to the plugins: the rules of their
// portmap and of bridge's ipMasq are kept in tables that belong to every CNI
// user of the machine, stay there when the last pod has gone or when the network
// namespace went away first, and cost many runs of nft or iptables. Here a pod
// has one table of its own, with a derived name, which comes and goes in one
// netlink transaction.
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
