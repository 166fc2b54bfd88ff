package pod

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

func TestRemotePorts(t *testing.T) {
	t.Parallel()
	pod := &v1.Pod{Spec: v1.PodSpec{
		InitContainers: []v1.Container{{Ports: []v1.ContainerPort{{Name: "metrics", ContainerPort: 9090}, {Name: "web", ContainerPort: 1}}}},
		Containers:     []v1.Container{{}, {Ports: []v1.ContainerPort{{ContainerPort: 70}, {Name: "web", ContainerPort: 80}}}},
	}}
	got, err := remotePorts(pod, []ForwardedPort{
		{Local: SameLocal, Remote: 53}, {Local: 8080, Name: "web"}, {Local: SameLocal, Name: "web"}, {Name: "metrics"},
	})
	want := []ForwardedPort{{Local: 53, Remote: 53}, {Local: 8080, Remote: 80, Name: "web"}, {Local: 80, Remote: 80, Name: "web"}, {Remote: 9090, Name: "metrics"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := remotePorts(pod, []ForwardedPort{{Name: "nobody"}}); !errors.Is(err, ErrNoPort) {
		t.Errorf("an unknown name: %v", err)
	}
}

// A port that is taken is an error, and leaves nobody listening.
func TestListen(t *testing.T) {
	t.Parallel()
	listeners, err := listen(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(listeners)
	port := listeners[0].Addr().(*net.TCPAddr).Port
	for _, listener := range listeners {
		if address := listener.Addr().(*net.TCPAddr); address.Port != port || !address.IP.IsLoopback() {
			t.Errorf("listens on %s", address)
		}
	}
	if _, err := listen(context.Background(), port); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}
	if len(listeners) < 2 {
		return // no ::1 here
	}
	listeners[0].Close() // of 127.0.0.1
	if _, err := listen(context.Background(), port); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a port that is taken on ::1: %v", err)
	}
	free, err := net.Listen("tcp4", listeners[0].Addr().String())
	if err != nil {
		t.Fatalf("somebody listens on 127.0.0.1: %v", err)
	}
	free.Close()
}
