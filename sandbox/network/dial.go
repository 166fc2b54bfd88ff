package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// loopbacks are the addresses that Dial tries, in this order, as a kubelet's
// runtime does for "localhost".
var loopbacks = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// Dial connects to a TCP port of the loopback addresses of a network namespace,
// which is mounted on the path netns; of the machine's own when that is empty.
// It blocks until there is a connection or ctx is done. The error is that of
// the first address.
func Dial(ctx context.Context, netns string, port uint16) (*net.TCPConn, error) {
	var first error
	for _, ip := range loopbacks {
		conn, err := dial(ctx, netns, netip.AddrPortFrom(ip, port))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func dial(ctx context.Context, netns string, addr netip.AddrPort) (*net.TCPConn, error) {
	fd, err := newSocket(netns, addr)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), addr.String())
	defer file.Close()
	if err := connect(ctx, file, addr); err != nil {
		return nil, err
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// newSocket makes a socket, which stays in its network namespace wherever it is
// used afterwards.
func newSocket(netns string, addr netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	open := func() error {
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return os.NewSyscallError("socket", err)
	}
	if netns == "" {
		return fd, open()
	}
	err = inNetNS(netns, open)
	return fd, err
}

// inNetNS runs do in a network namespace.
func inNetNS(path string, do func() error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer file.Close()
	return onOwnThread(func() error {
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %q: %w", path, err)
		}
		return do()
	})
}

// connect connects a socket that does not block.
func connect(ctx context.Context, socket *os.File, addr netip.AddrPort) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })()
	var result error
	begun := false
	err = raw.Write(func(fd uintptr) (done bool) {
		if begun {
			result = connected(int(fd))
		} else {
			begun, result = true, unix.Connect(int(fd), sockaddr(addr))
		}
		return !errors.Is(result, unix.EINPROGRESS)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return os.NewSyscallError("connect", result)
}

// connected says what became of a connection that is being made. A socket may
// be said to be ready before it is.
func connected(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return unix.Errno(code)
	}
	if _, err := unix.Getpeername(fd); errors.Is(err, unix.ENOTCONN) {
		return unix.EINPROGRESS
	}
	return err
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}
	}
	return &unix.SockaddrInet6{Addr: addr.Addr().As16(), Port: int(addr.Port())}
}
