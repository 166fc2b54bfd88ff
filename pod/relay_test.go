package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serveTCP runs a server that gives each connection to handle, and returns its
// address.
func serveTCP(t *testing.T, handle func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			}()
		}
	}()
	return listener.Addr().String()
}

// relayTo relays to an address. end ends it, and returns when it has.
func relayTo(t *testing.T, to string, failed func(error)) (address string, end func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := relay{failed: failed, dial: func(ctx context.Context) (*net.TCPConn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", to)
		if err != nil {
			return nil, err
		}
		return conn.(*net.TCPConn), nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.serve(ctx, listener)
	}()
	end = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(end)
	return listener.Addr().String(), end
}

func dialTCP(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// The end of what the client says reaches the server, which can still answer.
func TestRelayHandsOnTheClientsEnd(t *testing.T) {
	server := serveTCP(t, func(conn *net.TCPConn) {
		n, err := io.Copy(io.Discard, conn)
		fmt.Fprint(conn, n, err)
	})
	address, _ := relayTo(t, server, func(err error) { t.Error(err) })
	conn := dialTCP(t, address)
	if _, err := io.WriteString(conn, strings.Repeat("x", 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "1048576 <nil>" {
		t.Errorf("the answer is %q, %v", got, err)
	}
}

// The end of what the server says reaches the client, which can still speak.
func TestRelayHandsOnTheServersEnd(t *testing.T) {
	heard := make(chan string, 1)
	server := serveTCP(t, func(conn *net.TCPConn) {
		fmt.Fprint(conn, "hello")
		_ = conn.CloseWrite()
		all, err := io.ReadAll(conn)
		heard <- fmt.Sprint(string(all), err)
	})
	address, _ := relayTo(t, server, func(err error) { t.Error(err) })
	conn := dialTCP(t, address)
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Fatalf("the server says %q, %v", got, err)
	}
	if _, err := io.WriteString(conn, "late"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := <-heard; got != "late<nil>" {
		t.Errorf("the server hears %q", got)
	}
}

// A reset is handed on as one, in both directions.
func TestRelayHandsOnResets(t *testing.T) {
	seen := make(chan error, 1)
	server := serveTCP(t, func(conn *net.TCPConn) {
		word := make([]byte, 5)
		_, err := io.ReadFull(conn, word)
		if string(word) == "reset" {
			_ = conn.SetLinger(0)
			return
		}
		if err == nil {
			_, err = conn.Read(word)
		}
		seen <- err
	})
	address, _ := relayTo(t, server, func(err error) { t.Error(err) })
	conn := dialTCP(t, address)
	fmt.Fprint(conn, "reset")
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the client sees %v", err)
	}
	conn = dialTCP(t, address)
	fmt.Fprint(conn, "hello")
	_ = conn.SetLinger(0)
	conn.Close()
	if err := <-seen; !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the server sees %v", err)
	}
}

func TestRelayGoesOnAfterARefusedConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	failures := make(chan error, 2)
	address, _ := relayTo(t, listener.Addr().String(), func(err error) { failures <- err })
	for range 2 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the client sees %v", err)
		}
		if err := <-failures; !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("told of %v", err)
		}
	}
}

// Nothing is left of connections: neither of those that ended by themselves
// nor of those that are open at the end.
func TestRelayLeavesNothing(t *testing.T) {
	var echoes atomic.Int64
	server := serveTCP(t, func(conn *net.TCPConn) {
		_, _ = io.Copy(conn, struct{ io.Reader }{conn})
		echoes.Add(1)
	})
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	address, end := relayTo(t, server, func(err error) { t.Error(err) })
	const rounds, together = 100, 30
	for range rounds {
		var group sync.WaitGroup
		for i := range together {
			group.Go(func() { roundTrip(t, address, i%3) })
		}
		group.Wait()
	}
	open := dialTCP(t, address)
	fmt.Fprint(open, "x")
	if _, err := open.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	end()
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("a connection is open after the end")
	}
	open.Close()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines || openDescriptors(t) > descriptors {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before; %d descriptors, %d before\n%s", runtime.NumGoroutine(), goroutines,
				openDescriptors(t), descriptors, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(time.Millisecond)
	}
	if got := echoes.Load(); got != rounds*together+1 {
		t.Errorf("the server saw the end of %d connections", got)
	}
}

// roundTrip speaks with an echo, and ends in one of three ways.
func roundTrip(t *testing.T, address string, way int) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "hello")
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	switch way {
	case 1:
		_ = conn.(*net.TCPConn).SetLinger(0)
	case 2:
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.ReadAll(conn)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
