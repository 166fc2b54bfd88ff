// Package oci turns a container of a pod, and what it shares with the others,
// into an OCI runtime spec. It is pure: the same input gives the same spec.
// It asks nothing of the machine, looks at no path that it writes into a spec
// and never fills anything from podrun's own environment.
//
// The rules are those of a kubelet with containerd's CRI plugin: how command,
// args and environment are put together (kubelet_pods.go), how requests and
// limits become cgroup values (kuberuntime_container_linux.go), and what a
// spec looks like besides (container_create.go, sandbox_run_linux.go). One
// difference is on purpose: containers get containerd's default seccomp
// profile, where a kubelet leaves them without any.
//
// Who a process runs as is said by IdentityOf as far as pod and image say it;
// what the image's accounts make of it, and the profiles of the machine that a
// security context names, are handed in. No annotation of a pod and no label of
// an image ever reaches a spec.
package oci
