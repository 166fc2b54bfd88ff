// Package supervise keeps a pod as its record says: the loop that observes
// the world, asks the planner what to do, does it and waits for something to
// happen.
//
//	    ┌───────────────────────────────────────────────┐
//	    ▼                                               │
//	observe ─▶ plan.Next ─▶ start actions ─▶ wait for an event, the end of an action or a timer
//	                │
//	                └─▶ the pod has ended, or is gone: return
//
// First start, restart, termination and taking over after a crash are all the
// same loop: its input is what the world shows. Events are only a reason to
// look again.
//
// Probes are performed beside the loop, each by a goroutine of its own, as long
// as the plan names them. What they come to is sent to the loop, which writes
// it into the pod's record: it is there for everybody who looks, and for the
// next owner. What happens is kept as events.
//
// A pod has one owner, whoever holds the lock on its directory for as long as
// it lives. That is usually a process of its own (Spawn), which this package
// and its command alone know of; who needs a pod changed and finds it without
// an owner takes the lock and runs the loop itself.
package supervise
