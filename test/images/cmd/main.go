// Command cmd serves the busybox image as localhost:5000/busybox:1, or on the
// port that is given, until it is told to end.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"podrun/test/images"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:5000", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

// run prints the image's reference when it can be pulled.
func run(ctx context.Context, addr string) error {
	r, err := images.Serve(addr)
	if err != nil {
		return err
	}
	defer r.Close()
	img, err := images.Busybox()
	if err != nil {
		return err
	}
	if err := r.Push(ctx, "busybox:1", img); err != nil {
		return err
	}
	fmt.Println(r.Ref("busybox:1"))
	<-ctx.Done()
	return nil
}
