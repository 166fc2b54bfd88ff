// Package plan is the one place that decides what is done with a pod.
//
// Next compares what a manifest says with what the world shows and names the
// actions that can be done now, each with its cause. It is a scheduler by data
// flow: the caller performs all actions at once, each on its own, and asks
// again whenever one ends or the world was seen to change. What can be done
// together is therefore done together; what must wait is simply not named yet.
//
//	images ───────┐
//	              ├─▶ create ──┐
//	pause ────────┘            ├─▶ start ─▶ hook after the start, in the manifest's order
//	  └──▶ network ────────────┘
//
//	init containers, one after the other ─▶ app containers
//
//	end:  hook before the stop ─▶ stop, sidecars last ─▶ record the exit ─▶ stop the sandbox
//	      (pod deleted:) ─▶ remove the pod
//
// First start, restart, taking over after a crash, and removal are the same
// function: it keeps nothing between two calls. It does nothing itself and
// never reads a clock.
package plan
