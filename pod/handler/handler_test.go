package handler

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/clock"
)

// target makes a target of a server's address, with a port of the name web.
func target(t *testing.T, address string) (Target, intstr.IntOrString) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number := intstr.Parse(port)
	c := &v1.Container{Name: "a", Ports: []v1.ContainerPort{{Name: "web", ContainerPort: number.IntVal}}}
	return Target{IP: host, Container: c}, number
}

func addressOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// answer is what the test server does with each path.
func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/slow":
		<-r.Context().Done()
	case "/500":
		w.WriteHeader(http.StatusInternalServerError)
	case "/here":
		http.Redirect(w, r, "/ok", http.StatusFound)
	case "/circle":
		http.Redirect(w, r, "/circle", http.StatusFound)
	case "/away":
		http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
	case "/header":
		fmt.Fprint(w, r.Host, " ", r.Header.Get("User-Agent"), " ", r.Header.Get("Accept"), " ", r.Header["X-One"], r.Header.Get("Accept-Encoding"))
	case "/long":
		fmt.Fprint(w, strings.Repeat("x", 2*maxOutput))
	default:
		fmt.Fprint(w, r.URL.RequestURI())
	}
}

func TestProbeHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(answer))
	t.Cleanup(secure.Close)
	plain, port := target(t, addressOf(t, server))
	encrypted, securePort := target(t, addressOf(t, secure))
	for _, c := range []struct {
		name   string
		target Target
		action v1.HTTPGetAction
		want   Answer
	}{
		{"ok", plain, v1.HTTPGetAction{Path: "/x?y=z", Port: port}, Answer{Success, "/x?y=z", false}},
		{"named port", plain, v1.HTTPGetAction{Path: "/", Port: intstr.FromString("web")}, Answer{Success, "/", false}},
		{"another host", Target{IP: "192.0.2.1"}, v1.HTTPGetAction{Path: "/", Host: plain.IP, Port: port}, Answer{Success, "/", false}},
		{"no such port", plain, v1.HTTPGetAction{Path: "/", Port: intstr.FromString("nope")}, Answer{Unknown, `container "a" has no port "nope"`, false}},
		{"500", plain, v1.HTTPGetAction{Path: "/500", Port: port}, Answer{Failure, "HTTP probe failed with statuscode: 500", false}},
		{"redirect to the same host", plain, v1.HTTPGetAction{Path: "/here", Port: port}, Answer{Success, "/ok", false}},
		{"redirect to another", plain, v1.HTTPGetAction{Path: "/away", Port: port}, Answer{Success, "Probe terminated redirects, Response body: <a href=\"http://elsewhere.invalid/\">Found</a>.\n\n", true}},
		{"encrypted", encrypted, v1.HTTPGetAction{Path: "/", Port: securePort, Scheme: v1.URISchemeHTTPS}, Answer{Success, "/", false}},
		{"headers", plain, v1.HTTPGetAction{Path: "/header", Port: port, HTTPHeaders: []v1.HTTPHeader{{Name: "Host", Value: "me.example"}, {Name: "x-one", Value: "1"}, {Name: "X-One", Value: "2"}}},
			Answer{Success, "me.example kube-probe/1.36 */* [1 2]", false}},
		{"own agent", plain, v1.HTTPGetAction{Path: "/header", Port: port, HTTPHeaders: []v1.HTTPHeader{{Name: "User-Agent", Value: "me"}}},
			Answer{Success, plain.IP + ":" + port.String() + " me */* []", false}},
		{"long answer", plain, v1.HTTPGetAction{Path: "/long", Port: port}, Answer{Success, strings.Repeat("x", maxOutput), false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Probe(t.Context(), &v1.Probe{ProbeHandler: v1.ProbeHandler{HTTPGet: &c.action}, TimeoutSeconds: 5}, c.target); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	for path, want := range map[string]string{"/circle": "stopped after 10 redirects", "/slow": "deadline exceeded"} {
		action := v1.HTTPGetAction{Path: path, Port: port}
		got := Probe(t.Context(), &v1.Probe{ProbeHandler: v1.ProbeHandler{HTTPGet: &action}, TimeoutSeconds: 1}, plain)
		if got.Result != Failure || !strings.Contains(got.Output, want) {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestProbeTCP(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to, port := target(t, listener.Addr().String())
	probe := &v1.Probe{ProbeHandler: v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: port}}}
	if got := Probe(t.Context(), probe, to); got.Result != Success {
		t.Errorf("listening: %+v", got)
	}
	listener.Close()
	if got := Probe(t.Context(), probe, to); got.Result != Failure || !strings.Contains(got.Output, "connection refused") {
		t.Errorf("not listening: %+v", got)
	}
}

func TestProbeGRPC(t *testing.T) {
	t.Parallel()
	serve := func(with bool) (string, *health.Server, func()) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server, checks := grpc.NewServer(), health.NewServer()
		if with {
			grpc_health_v1.RegisterHealthServer(server, checks)
		}
		go func() { _ = server.Serve(listener) }()
		return listener.Addr().String(), checks, server.Stop
	}
	address, checks, stop := serve(true)
	t.Cleanup(stop)
	checks.SetServingStatus("down", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	without, _, stopWithout := serve(false)
	t.Cleanup(stopWithout)
	for _, c := range []struct {
		name, address, service string
		want                   string
	}{
		{"up", address, "", "Success service healthy"},
		{"down", address, "down", `Failure service unhealthy (responded with "NOT_SERVING")`},
		{"unknown", address, "other", "Failure error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"},
		{"none", without, "", "Failure error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health"},
		{"nobody", "127.0.0.1:1", "", `Failure timeout: failed to connect service "127.0.0.1:1" within 1s: context deadline exceeded`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to, port := target(t, c.address)
			probe := &v1.Probe{ProbeHandler: v1.ProbeHandler{GRPC: &v1.GRPCAction{Port: port.IntVal, Service: &c.service}}, TimeoutSeconds: 1}
			if got := Probe(t.Context(), probe, to); string(got.Result)+" "+got.Output != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

// running is a target in which a command does what do says.
func running(do func(ctx context.Context, output *Output) (int, error)) Target {
	return Target{Exec: func(ctx context.Context, _ []string, output *Output) (int, error) { return do(ctx, output) }}
}

var errNoCommand = errors.New("no such command")

func TestProbeExec(t *testing.T) {
	t.Parallel()
	says := func(code int, err error) Target {
		return running(func(_ context.Context, output *Output) (int, error) {
			fmt.Fprint(output, strings.Repeat("y", maxOutput), "z")
			return code, err
		})
	}
	hangs := running(func(ctx context.Context, _ *Output) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})
	for name, c := range map[string]struct {
		target Target
		want   Answer
	}{
		"ok":         {says(0, nil), Answer{Success, strings.Repeat("y", maxOutput), false}},
		"fails":      {says(3, nil), Answer{Failure, strings.Repeat("y", maxOutput), false}},
		"cannot run": {says(127, errNoCommand), Answer{Unknown, "no such command", false}},
		"hangs":      {hangs, Answer{Failure, `command timed out: "a b" timed out after 1s`, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			probe := &v1.Probe{ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"a", "b"}}}, TimeoutSeconds: 1}
			if got := Probe(t.Context(), probe, c.target); got != c.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestHook(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path + " " + r.Header.Get("User-Agent") + r.Header.Get("Authorization")
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer server.Close()
	to, port := target(t, addressOf(t, server))
	hook := func(h v1.LifecycleHandler) error { return Hook(t.Context(), &h, to, clock.RealClock{}) }

	secret := []v1.HTTPHeader{{Name: "Authorization", Value: "secret"}}
	if err := hook(v1.LifecycleHandler{HTTPGet: &v1.HTTPGetAction{Path: "/any", Port: port, HTTPHeaders: secret}}); err != nil {
		t.Errorf("any answer is a success: %v", err)
	}
	if got := <-asked; got != "/any kube-lifecycle/1.36secret" {
		t.Errorf("asked %s", got)
	}
	if err := hook(v1.LifecycleHandler{HTTPGet: &v1.HTTPGetAction{Path: "/tls", Port: port, Scheme: v1.URISchemeHTTPS, HTTPHeaders: secret}}); !errors.Is(err, ErrFellBack) {
		t.Errorf("a server without encryption: %v", err)
	}
	if got := <-asked; got != "/tls kube-lifecycle/1.36" {
		t.Errorf("asked %s", got)
	}
	server.Close()
	if err := hook(v1.LifecycleHandler{HTTPGet: &v1.HTTPGetAction{Path: "/", Port: port}}); err == nil || errors.Is(err, ErrFellBack) {
		t.Errorf("nobody there: %v", err)
	}

	to = running(func(_ context.Context, output *Output) (int, error) {
		fmt.Fprint(output, "words")
		return 4, nil
	})
	if err := hook(v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"a", "b"}}}); err == nil || err.Error() != `command "a b": exit code 4, message: "words"` {
		t.Errorf("a command that fails: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := Hook(ctx, &v1.LifecycleHandler{Sleep: &v1.SleepAction{Seconds: 1000}}, to, clock.RealClock{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pause that is cut short: %v", err)
	}
	if err := hook(v1.LifecycleHandler{Sleep: &v1.SleepAction{}}); err != nil {
		t.Errorf("no pause: %v", err)
	}
}
