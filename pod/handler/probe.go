package handler

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Result is what one attempt of a probe came to.
type Result string

// The results of a probe.
const (
	Success Result = "Success"
	Failure Result = "Failure"
	// Unknown says that the probe could not be performed.
	Unknown Result = "Unknown"
)

// Answer is the result of a probe with what was heard from the container, or
// with why the probe could not be performed.
type Answer struct {
	Result Result
	Output string
	// Warning says that Output should be told although the probe succeeded.
	Warning bool
}

// Probe performs a probe once, bounded by its time-out.
func Probe(ctx context.Context, p *v1.Probe, t Target) Answer {
	timeout := time.Duration(p.TimeoutSeconds) * time.Second
	if timeout <= 0 {
		timeout = time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case p.Exec != nil:
		return probeExec(ctx, p.Exec.Command, t, timeout)
	case p.HTTPGet != nil:
		return probeHTTP(ctx, p.HTTPGet, t)
	case p.TCPSocket != nil:
		return probeTCP(ctx, p.TCPSocket, t)
	case p.GRPC != nil:
		return probeGRPC(ctx, p.GRPC, t, timeout)
	}
	return unknown(errors.New("the probe has no handler"))
}

func unknown(err error) Answer          { return Answer{Result: Unknown, Output: err.Error()} }
func failure(f string, a ...any) Answer { return Answer{Result: Failure, Output: fmt.Sprintf(f, a...)} }

func probeExec(ctx context.Context, command []string, t Target, timeout time.Duration) Answer {
	var output Output
	code, err := t.Exec(ctx, command, &output)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return failure("command timed out: %q timed out after %s", strings.Join(command, " "), timeout)
	case err != nil:
		return unknown(err)
	case code != 0:
		return Answer{Result: Failure, Output: output.String()}
	}
	return Answer{Result: Success, Output: output.String()}
}

func probeTCP(ctx context.Context, action *v1.TCPSocketAction, t Target) Answer {
	address, err := t.address(action.Host, action.Port)
	if err != nil {
		return unknown(err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return failure("%v", err)
	}
	conn.Close()
	return Answer{Result: Success}
}
