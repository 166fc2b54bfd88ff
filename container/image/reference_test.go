package image

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	d := "sha256:" + strings.Repeat("a", 64)
	for ref, want := range map[string]string{
		"busybox":                      "docker.io/library/busybox:latest",
		"me/app:1":                     "docker.io/me/app:1",
		"localhost:5000/a/b":           "localhost:5000/a/b:latest",
		"registry.k8s.io/pause:3.10.2": "registry.k8s.io/pause:3.10.2",
		"busybox@" + d:                 "docker.io/library/busybox@" + d,
		"busybox:1@" + d:               "docker.io/library/busybox@" + d,
		"":                             "", "A B": "", "Busybox": "", "a:b:c": "", "https://a/b": "", "a@sha256:1": "", "-x/a": "",
	} {
		got, err := Normalize(ref)
		if got != want {
			t.Errorf("%q: %q, want %q", ref, got, want)
		}
		var e *Error
		if want == "" && (!errors.As(err, &e) || e.Reason != InvalidImageName) {
			t.Errorf("%q: error %v", ref, err)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"busybox", "a.b:5000/c/d:e@sha256:00", "[::1]:5000/x", "../x", "localhost/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		once, err := Normalize(ref)
		if err != nil {
			return
		}
		if twice, err := Normalize(once); err != nil || twice != once {
			t.Errorf("%q became %q, then %q, %v", ref, once, twice, err)
		}
	})
}

func TestMajor(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{
		"v2.4.2": 2, "2.0.0-rc.1": 2, "1.7.24~ds1": 1, "v1.6.20": 1, "10.1": 10, "": 2, "<unknown>": 2,
	} {
		if got := major(version); got != want {
			t.Errorf("%q: %d, want %d", version, got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"failed to resolve image: h/a:1: not found":                                             "not found",
		`failed to resolve reference "h/a:1": failed to do request: Head "http://h/v2/": EOF`:   `Head "http://h/v2/": EOF`,
		"rpc error: code = Unknown desc = two\nlines":                                           "two lines",
		`failed to copy: Get "https://cdn/x?sig=s3cret&e=1": EOF, https://u:p@h/y?token=s3cret`: `Get "https://cdn/x": EOF, https://h/y`,
	} {
		e := pullError("a:1", "h/a:1", fmt.Errorf("%s", text))
		if e.Message != `pull "a:1": `+want {
			t.Errorf("%s:\n%s", text, e.Message)
		}
	}
}

func TestErrorClass(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		is     func(error) bool
		reason string
	}{
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), errdefs.IsUnavailable, RegistryUnavailable},
		{fromDaemon("failed to do request: Head \"http://h/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"), errdefs.IsUnavailable, RegistryUnavailable},
		{fromDaemon("dial tcp: lookup nope.invalid: no such host\nand more"), errdefs.IsUnavailable, RegistryUnavailable},
		{fromDaemon("unexpected status from HEAD request to http://h/v2/x: 503 Service Unavailable"), errdefs.IsUnavailable, RegistryUnavailable},
		{fromDaemon("unexpected status from HEAD request to http://h/v2/x: 401 Unauthorized"), errdefs.IsUnauthorized, ErrImagePull},
		{fromDaemon("unexpected status from HEAD request to http://h/v2/x: 403 Forbidden"), errdefs.IsPermissionDenied, ErrImagePull},
		{fromDaemon("pull access denied: authorization failed: no basic auth credentials"), errdefs.IsUnauthorized, ErrImagePull},
		{fromDaemon("unexpected EOF"), errdefs.IsUnknown, ErrImagePull},
		// That is containerd, not the registry.
		{fmt.Errorf("dial unix /run/sock: connection refused: %w", errdefs.ErrUnavailable), errdefs.IsUnavailable, ErrImagePull},
	} {
		if e := pullError("a", "a", test.err); !test.is(e) || e.Reason != test.reason {
			t.Errorf("%v: %s", test.err, e.Reason)
		}
	}
}

// fromDaemon makes an error as it comes from the daemon.
func fromDaemon(text string) error { return errgrpc.ToNative(status.Error(codes.Unknown, text)) }
