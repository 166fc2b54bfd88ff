// Package status tells what a pod's v1.PodStatus is, from the pod and from
// what the world shows of it (Observed). It owns the rules of the kubelet's
// status generation, the restart rule, the back-offs and kubectl's STATUS
// column; package plan decides with the same functions, so that what is shown
// and what is done never differ.
//
// It never looks at the world itself, keeps nothing between two calls and
// never reads a clock: the same input gives the same status.
//
// The life of one instance of a container, as it is observed:
//
//	Registered ──▶ Created ──▶ Running ──▶ Ended ──▶ Exited
//	(a record,     (a process  (the        (exit in   (exit written
//	 no process)    waits)      process)    the task)  to the record)
package status
