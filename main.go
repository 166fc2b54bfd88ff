// Podrun runs Kubernetes Pod manifests on one Linux machine, directly through
// containerd.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"podrun/cmd"
	_ "podrun/cmd/heap" // a setting that has to be made early
	"podrun/container/stack"
)

func main() {
	// What a caller left open must not reach a daemon, let alone a container.
	if err := stack.CloseInherited(); err != nil {
		fmt.Fprintf(os.Stderr, "podrun: %v\n", err)
		os.Exit(1)
	}
	ctx, again := interruptible()
	os.Exit(cmd.Main(ctx, cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Again: again}, os.Args[1:]))
}

// interruptible returns a context that the first SIGINT, SIGTERM or SIGHUP ends, with
// the signal as its cause. The second one goes to who receives it from again at
// that moment, else it ends the program; so does the third.
func interruptible() (_ context.Context, again <-chan os.Signal) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals, second := make(chan os.Signal, 2), make(chan os.Signal)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		first := <-signals
		cancel(cmd.Interrupted{Signal: first.(syscall.Signal)})
		next := <-signals
		select {
		case second <- next:
			next = <-signals
		default:
		}
		os.Exit(128 + int(next.(syscall.Signal)))
	}()
	return ctx, second
}
