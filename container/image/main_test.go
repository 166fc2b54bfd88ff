package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sys/unix"
)

// daemon is the containerd that all tests share, each in a namespace of its own.
var daemon struct{ socket string }

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	stop, err := startContainerd()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// startContainerd starts the built containerd in a directory of its own.
func startContainerd() (stop func() error, err error) {
	binary, err := filepath.Abs("../../bundle/out/containerd")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("these tests need a containerd, run make first: %w", err)
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("these tests start a containerd: run them as root")
	}
	dir, err := os.MkdirTemp("", "image") // sockets have short paths
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, []byte("version = 3\n"), 0o600); err != nil {
		return nil, err
	}
	daemon.socket = filepath.Join(dir, "sock")
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd := exec.Command(binary, "--config", config, "--address", daemon.socket,
		"--root", filepath.Join(dir, "root"), "--state", filepath.Join(dir, "state"))
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		_ = cmd.Process.Signal(unix.SIGTERM)
		return errors.Join(cmd.Wait(), os.RemoveAll(dir))
	}, nil
}

// open connects to containerd and gives the images of the test's namespace.
func open(t *testing.T, opts ...Option) *Store {
	t.Helper()
	namespace := regexp.MustCompile("[^A-Za-z0-9]+").ReplaceAllString(t.Name(), "-")
	client, err := containerd.New(daemon.socket, containerd.WithDefaultNamespace(namespace), containerd.WithTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leases, err := client.LeasesService().List(context.Background())
		if err != nil || len(leases) > 0 {
			t.Errorf("leases are left behind: %v, %v", leases, err)
		}
		client.Close()
	})
	return New(client, "overlayfs", append([]Option{WithKeychain(anonymous{})}, opts...)...)
}

type anonymous struct{}

func (anonymous) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }

// A server is a registry on the loopback.
type server struct {
	host     string
	requests func() []string // "METHOD PATH" of all so far
}

// serve starts a registry. With a password it asks for user "me".
func serve(t *testing.T, password string) server {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	requests := make(chan []string, 1)
	requests <- nil
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- append(<-requests, r.Method+" "+r.URL.Path)
		if user, given, _ := r.BasicAuth(); password != "" && (user != "me" || given != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return server{host: s.Listener.Addr().String(), requests: func() []string {
		all := <-requests
		requests <- all
		return all
	}}
}

// push makes an image with a config of its own and stores it in a registry.
func push(t *testing.T, ref string, auth authn.Authenticator) v1.Image {
	t.Helper()
	image := build(t)
	tag, err := name.NewTag(ref, name.Insecure)
	if err == nil {
		err = remote.Write(tag, image, remote.WithAuth(auth))
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func build(t *testing.T) v1.Image {
	t.Helper()
	// random.Image has layers that are no file systems with anything to run,
	// but that unpack.
	image, err := random.Image(20_000, 3)
	if err == nil {
		image, err = mutate.ConfigFile(image, mustConfig(t, image))
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func mustConfig(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{"/app"}, Env: []string{"A=b"}, Labels: map[string]string{"x": "y"}}
	return config
}
