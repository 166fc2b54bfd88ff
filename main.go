// Podrun runs Kubernetes Pod manifests on one Linux machine, directly through
// containerd.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"podrun/cmd"
	"podrun/container/stack"
)

// gcPercent lets a command of a few milliseconds end before its first garbage
// collection.
const gcPercent = 800

func main() {
	debug.SetGCPercent(gcPercent)
	// What a caller left open must not reach a daemon, let alone a container.
	if err := stack.CloseInherited(); err != nil {
		fmt.Fprintf(os.Stderr, "podrun: %v\n", err)
		os.Exit(1)
	}
	os.Exit(cmd.Main(interruptible(), cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:]))
}

// interruptible returns a context that the first SIGINT, SIGTERM or SIGHUP ends, with
// the signal as its cause. The second one ends the program.
func interruptible() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		first := <-signals
		cancel(cmd.Interrupted{Signal: first.(syscall.Signal)})
		second := <-signals
		os.Exit(128 + int(second.(syscall.Signal)))
	}()
	return ctx
}
