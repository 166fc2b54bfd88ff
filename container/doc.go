// Package container makes and manages single containers through containerd:
// Create, Start, Stop, Exec, Remove, List. What a container joins and shares
// is handed in as plain values (Shared); this package knows nothing of
// sandboxes, volumes, networks or pods beyond the names in a Record.
//
// containerd is the database. A container's Record is its metadata there;
// what can be observed (does it run, with which process) is asked from its
// task each time, and what containerd forgets with the task (exit code and
// times) is written to the record when the exit is seen:
//
//	Create ──▶ Created ──Start──▶ Running ──▶ Exited ──RecordExit──▶ Exited (recorded, no task)
//	   └─ fails in the runtime ──────────────────▲
//
// Every name is derived from the pod's UID, the container's name and its
// attempt, so that whatever is left by a crash is found again.
package container
