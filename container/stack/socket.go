package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// maxSocketPath is the length of sun_path in unix(7) without the NUL at its end.
	maxSocketPath = 107

	// ttrpcSuffix makes the path of containerd's second socket, which its shims publish events to.
	ttrpcSuffix = ".ttrpc"

	connectTimeout = 5 * time.Second      // bounds the wait for a listener whose backlog is full
	connectPoll    = 5 * time.Millisecond // how often that is tried
	versionTimeout = 5 * time.Second      // bounds the wait for an answer
)

// answers reports whether something accepts connections at the socket; ErrNotRunning when nothing does.
func answers(address string) error {
	_, err := peer(address)
	return err
}

// peer returns the PID of the process that listens on the socket; ErrNotRunning when none does.
func peer(address string) (int, error) {
	conn, err := connect(address)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		err = ErrNotRunning
	}
	if err != nil {
		return 0, fmt.Errorf("connect to %s: %w", address, err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return 0, fmt.Errorf("find the process at %s: %w", address, err)
	}
	return int(cred.Pid), nil
}

// connect returns the system's own error. EAGAIN means that the listener has yet to accept what
// came before: it is tried again.
func connect(address string) (*net.UnixConn, error) {
	for deadline := time.Now().Add(connectTimeout); ; time.Sleep(connectPoll) {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: address})
		if err == nil {
			return conn, nil
		}
		var errno unix.Errno
		if !errors.As(err, &errno) {
			return nil, err
		}
		if errno != unix.EAGAIN || time.Now().After(deadline) {
			return nil, errno
		}
	}
}

// version asks the containerd at the socket for its version. An answer means that all of it is up.
func version(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", address, err)
	}
	defer conn.Close()
	answer, err := versionapi.NewVersionClient(conn).Version(ctx, &emptypb.Empty{})
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", address, err)
	}
	return answer.Version, nil
}
