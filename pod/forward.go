package pod

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"podrun/sandbox"
)

var (
	// ErrNotUp says that a pod does not run: it has not started, or has ended.
	ErrNotUp = errors.New("pod is not running")
	// ErrNoPort says that a pod has no port of that name.
	ErrNoPort = errors.New("no such port")
)

// ForwardedPort is a port of this machine's loopback addresses that leads to
// one of a pod's.
type ForwardedPort struct {
	Local  int // 0: any that is free; SameLocal: the number of the pod's
	Remote uint16
	Name   string // of a container's port, in place of Remote
}

// SameLocal is a local port with the number of the pod's.
const SameLocal = -1

// Forwarding is what Forward does.
type Forwarding struct {
	Ports []ForwardedPort
	// Listening is told each address, once there is somebody on all of them.
	Listening func(address net.Addr, remote uint16)
	// Failed is told of each connection that could not be made, from any goroutine.
	Failed func(error)
}

// Forward hands on connections to ports of this machine's loopback addresses
// to a pod's own loopback addresses, whether it listens on those alone or on
// all. It returns when ctx is done, or when the pod has ended or is gone, with
// a FailedError if it has failed. Nothing is left of any connection then.
func (e *Engine) Forward(ctx context.Context, ref Ref, forwarding Forwarding) error {
	v, err := e.find(ctx, ref)
	if err != nil {
		return err
	}
	ports, err := remotePorts(v.pod, forwarding.Ports)
	if err != nil {
		return err
	}
	if v.sandbox.State != sandbox.Ready || podutil.IsPodPhaseTerminal(v.pod.Status.Phase) {
		return fmt.Errorf("forward ports of pod %q: %w", ref.Name, ErrNotUp)
	}
	if err := e.ensureSupervised(v); err != nil {
		return err
	}
	var listeners []net.Listener
	remotes := map[net.Listener]uint16{}
	for _, port := range ports {
		opened, err := listen(ctx, port.Local)
		listeners = append(listeners, opened...)
		if err != nil {
			closeAll(listeners)
			return fmt.Errorf("forward ports of pod %q: %w", ref.Name, err)
		}
		for _, listener := range opened {
			remotes[listener] = port.Remote
		}
	}
	for _, listener := range listeners {
		forwarding.Listening(listener.Addr(), remotes[listener])
	}
	return e.forward(ctx, v.sandbox, remotes, forwarding.Failed)
}

// forward serves listeners until the pod ends.
func (e *Engine) forward(ctx context.Context, sb *sandbox.Sandbox, remotes map[net.Listener]uint16, failed func(error)) error {
	serving, cancel := context.WithCancel(ctx)
	var served sync.WaitGroup
	for listener, remote := range remotes {
		r := relay{
			dial: func(ctx context.Context) (*net.TCPConn, error) { return e.sandboxes.Dial(ctx, sb, remote) },
			failed: func(err error) {
				failed(fmt.Errorf("connect to port %d of pod %q: %w", remote, sb.Pod.Name, err))
			},
		}
		served.Go(func() { r.serve(serving, listener) })
	}
	err := e.awaitEnd(ctx, sb)
	cancel()
	served.Wait()
	return err
}

// awaitEnd returns when a pod has ended, is gone, or ctx is done.
func (e *Engine) awaitEnd(ctx context.Context, sb *sandbox.Sandbox) error {
	var last *view
	for {
		err := e.followOwned(ctx, sb.UID(), func(v *view) (bool, error) {
			last = v
			return v == nil || v.sandbox.State == sandbox.Stopped || podutil.IsPodPhaseTerminal(v.pod.Status.Phase), nil
		})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && last != nil && last.pod.Status.Phase == v1.PodFailed:
			return &FailedError{Ref: RefOf(last.pod), Message: last.pod.Status.Message}
		case err == nil:
			return nil
		}
		// Containerd is away: that is not the pod's end.
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// remotePorts finds the numbers of ports that are not given as such.
func remotePorts(pod *v1.Pod, ports []ForwardedPort) ([]ForwardedPort, error) {
	ports = slices.Clone(ports)
	for i := range ports {
		port := &ports[i]
		if port.Name != "" {
			var err error
			if port.Remote, err = namedPort(pod, port.Name); err != nil {
				return nil, err
			}
		}
		if port.Local == SameLocal {
			port.Local = int(port.Remote)
		}
	}
	return ports, nil
}

func namedPort(pod *v1.Pod, name string) (uint16, error) {
	for _, containers := range [][]v1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			for _, port := range containers[i].Ports {
				if port.Name == name {
					return uint16(port.ContainerPort), nil
				}
			}
		}
	}
	return 0, fmt.Errorf("%w: pod %q has no port %q", ErrNoPort, pod.Name, name)
}

// freePorts is how many ports are tried that are free on 127.0.0.1, until one
// is free on ::1 too.
const freePorts = 10

// listen opens a port of 127.0.0.1, and of ::1 where there is one.
func listen(ctx context.Context, port int) ([]net.Listener, error) {
	var err error
	for range freePorts {
		var listeners []net.Listener
		if listeners, err = listenBoth(ctx, port); err == nil {
			return listeners, nil
		}
		if port != 0 {
			break
		}
	}
	return nil, err
}

func listenBoth(ctx context.Context, port int) ([]net.Listener, error) {
	var config net.ListenConfig
	four, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	port = four.Addr().(*net.TCPAddr).Port
	six, err := config.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	switch {
	case err == nil:
		return []net.Listener{four, six}, nil
	case errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.EAFNOSUPPORT):
		return []net.Listener{four}, nil
	}
	four.Close()
	return nil, err
}

func closeAll(listeners []net.Listener) {
	for _, listener := range listeners {
		listener.Close()
	}
}
