// Package cgroup owns the control groups that hold pods: their names, the
// limits of a whole pod, and their end. The cgroups of containers are made
// below by the OCI runtime, which joins nobody to a pod's cgroup itself.
//
//	/podrun                     as many CPU shares as the machine has
//	├── pod<uid>                Guaranteed
//	├── burstable               the shares of its pods together
//	│   └── pod<uid>
//	│       └── <container>     by the runtime
//	└── besteffort              the least shares
//	    └── pod<uid>
//
// Names and limits are those of a kubelet with the cgroupfs driver
// (pkg/kubelet/cm). With cgroup v1 the tree exists in every hierarchy, as the
// runtime uses all of them: controllers, name=systemd, and the v2 one beside
// them ("hybrid"). A pod's cgroup in a hierarchy keeps the levels above it
// there, while other processes make and remove pods at the same time.
//
// With systemd the tree has the same levels, as slices of which the kubelet's
// systemd driver has the names, and the containers are scopes:
//
//	/podrun.slice/podrun-burstable.slice/podrun-burstable-pod<uid>.slice/podrun-<container>.scope
//
// The package keeps nothing in memory: every call asks the kernel, and a pod
// is found by its UID alone. It never changes a cgroup outside its root.
package cgroup
