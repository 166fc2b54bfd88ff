package handler

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxOutput bounds what is kept of an answer or of a command's output, in bytes.
const maxOutput = 10 << 10

// Target is the container that a handler is about.
type Target struct {
	IP        string // of the pod, or the host's with hostNetwork
	Container *v1.Container
	// Exec runs a command in the container and returns its exit code; an error
	// says that it could not be run, or that ctx ended.
	Exec func(ctx context.Context, command []string, output *Output) (int, error)
}

// address is where a port of the target is, or of another host.
func (t Target) address(host string, port intstr.IntOrString) (string, error) {
	if host == "" {
		host = t.IP
	}
	number, err := t.port(port)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}

// port resolves the name of a port among the container's.
func (t Target) port(port intstr.IntOrString) (int, error) {
	number := port.IntValue() // of a string, if it is a number
	if port.Type == intstr.String {
		for _, p := range t.Container.Ports {
			if p.Name == port.StrVal {
				number = int(p.ContainerPort)
			}
		}
	}
	if number <= 0 || number > 65535 {
		return 0, fmt.Errorf("container %q has no port %q", t.Container.Name, port.String())
	}
	return number, nil
}

// Output keeps the beginning of what is written to it.
type Output struct{ kept bytes.Buffer }

func (o *Output) Write(p []byte) (int, error) {
	o.kept.Write(p[:min(len(p), maxOutput-o.kept.Len())])
	return len(p), nil
}

func (o *Output) String() string { return o.kept.String() }
