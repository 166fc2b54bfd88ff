// Package sandbox owns what the containers of a pod share: the pod's record,
// its directories, volumes, cgroup parent, network and the pause container
// that holds its namespaces.
//
//	Register ─▶ Create ─▶ (containers come and go) ─▶ Stop ─▶ Remove
//	 record     the world            ▲                  │
//	                └────────────────┴── Create again ──┘
//
// The record is the pause container's metadata in containerd, written before
// anything else is done and removed after everything else is gone. Every name
// is derived from the pod's UID, so that Remove needs nothing but the record.
// Each operation is idempotent and can be repeated after a crash at any point.
//
// The package decides nothing: when a sandbox is made, stopped or made anew
// is said from above.
package sandbox
