package container

import (
	"context"
	"errors"
	"testing"

	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestRuntimeError: only what the runtime says is the end of a container; all
// else is tried again.
func TestRuntimeError(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(context.Background())
	end()
	for _, c := range []struct {
		name string
		ctx  context.Context
		code codes.Code
		want bool
	}{
		{"the runtime fails", t.Context(), codes.Unknown, true},
		{"the runtime hangs", t.Context(), codes.DeadlineExceeded, false},
		{"containerd is away", t.Context(), codes.Unavailable, false},
		{"there is no task", t.Context(), codes.NotFound, false},
		{"containerd breaks off", t.Context(), codes.Canceled, false},
		{"the caller breaks off", ended, codes.Unknown, false},
	} {
		err := runtimeError(c.ctx, errgrpc.ToNative(status.Error(c.code, "said so")))
		if got := errors.As(err, new(*startError)); got != c.want {
			t.Errorf("%s: a start error: %t, want %t", c.name, got, c.want)
		}
	}
}
