package handler

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func probeGRPC(ctx context.Context, action *v1.GRPCAction, t Target, timeout time.Duration) Answer {
	address, err := t.address("", intstr.FromInt32(action.Port))
	if err != nil {
		return unknown(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithUserAgent(probeAgent),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		return failure("error: failed to connect service at %q: %v", address, err)
	}
	defer conn.Close()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.Connect()
		if !conn.WaitForStateChange(ctx, state) {
			return failure("timeout: failed to connect service %q within %s: %v", address, timeout, context.Cause(ctx))
		}
	}
	service := ""
	if action.Service != nil {
		service = *action.Service
	}
	response, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		return refused(err, timeout)
	}
	if response.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return failure("service unhealthy (responded with %q)", response.Status.String())
	}
	return Answer{Result: Success, Output: "service healthy"}
}

func refused(err error, timeout time.Duration) Answer {
	switch s := status.Convert(err); s.Code() {
	case codes.Unimplemented:
		return failure("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", s.Message())
	case codes.DeadlineExceeded:
		return failure("timeout: health rpc did not complete within %s", timeout)
	default:
		return failure("error: health rpc probe failed: %v", err)
	}
}
