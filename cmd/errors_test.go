package cmd

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestInTime: the command's own time has the exit code 4, also when containerd
// finds first that it is over; another limit is a failure.
func TestInTime(t *testing.T) {
	t.Parallel()
	limit := fmt.Errorf("list containers: %w", context.DeadlineExceeded)
	for name, c := range map[string]struct {
		timeout time.Duration
		err     error
		want    int
	}{
		"over":                  {0, limit, exitTimeout},
		"over, another failure": {0, errors.New("gone"), exitTimeout},
		"over in a moment":      {50 * time.Millisecond, limit, exitTimeout},
		"another limit":         {time.Hour, limit, exitFailed},
		"another failure":       {50 * time.Millisecond, errors.New("gone"), exitFailed},
		"no failure":            {0, nil, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), c.timeout, errTimeout)
			defer cancel()
			if _, code := explain(inTime(ctx, c.err), nil); code != c.want {
				t.Errorf("exit code %d, want %d", code, c.want)
			}
		})
	}
}
