// Package files makes the files that all containers of a pod share: /etc/hosts,
// /etc/hostname, /etc/resolv.conf and the shared memory on /dev/shm.
//
// What is in them is decided by the pure functions Hostname, Hosts and
// ResolvConf, in the formats of a kubelet and of containerd's CRI service. The
// files are bind-mounted into containers, therefore they are rewritten in place
// and never replaced. The package owns the two directories of a Spec and never
// writes anywhere else.
package files
