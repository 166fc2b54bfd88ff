package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// dialPodTimeout bounds how long a port of a pod may take to accept a connection.
const dialPodTimeout = 10 * time.Second

// acceptAgain is the pause after a connection that could not be accepted, for
// want of file descriptors for example.
const acceptAgain = 50 * time.Millisecond

// relay hands on the connections of listeners, until it is closed.
type relay struct {
	dial   func(ctx context.Context) (*net.TCPConn, error)
	failed func(error) // may be called from any goroutine
}

// serve hands on a listener's connections until ctx is done, and then returns
// when all have ended. It closes the listener.
func (r relay) serve(ctx context.Context, listener net.Listener) {
	var connections sync.WaitGroup
	defer connections.Wait()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			connections.Go(func() { r.hand(ctx, conn.(*net.TCPConn)) })
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			r.failed(err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptAgain):
			}
		}
	}
}

// hand hands on one connection and closes it. Who connected is told by a reset
// when there is nobody at the other end.
func (r relay) hand(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	dialing, cancel := context.WithTimeoutCause(ctx, dialPodTimeout, fmt.Errorf("no answer within %v", dialPodTimeout))
	server, err := r.dial(dialing)
	cancel()
	if err != nil {
		_ = client.SetLinger(0)
		if ctx.Err() == nil {
			r.failed(err)
		}
		return
	}
	defer server.Close()
	join(ctx, client, server)
}

// join copies both ways until both are at their end, one is broken, or ctx is
// done. The end of one way is handed on as such, while the other goes on.
func join(ctx context.Context, a, b *net.TCPConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := context.AfterFunc(ctx, func() {
		a.Close()
		b.Close()
	})
	defer broken()
	var ways sync.WaitGroup
	for _, way := range []struct{ to, from *net.TCPConn }{{a, b}, {b, a}} {
		ways.Go(func() {
			// Without splice: the pipes that it needs would stay open for a while.
			_, err := io.Copy(way.to, struct{ io.Reader }{way.from})
			if err == nil {
				err = way.to.CloseWrite()
			}
			if err != nil {
				_ = a.SetLinger(0)
				_ = b.SetLinger(0)
				cancel()
			}
		})
	}
	ways.Wait()
}
