package images

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Credentials is what a registry with a password asks for.
var Credentials = authn.Basic{Username: "tester", Password: "open sesame"}

// Registry is a registry with plain HTTP that keeps its images in memory. A
// request for a repository below slow/ is never answered.
type Registry struct {
	Addr   string // host:port
	server *http.Server
	auth   authn.Authenticator
	asked  atomic.Int64
}

// Serve starts a registry on addr, such as 127.0.0.1:0, that anybody may read.
func Serve(addr string) (*Registry, error) { return serve(addr, authn.Anonymous) }

// ServePrivate starts one that asks for Credentials.
func ServePrivate(addr string) (*Registry, error) { return serve(addr, &Credentials) }

func serve(addr string, auth authn.Authenticator) (*Registry, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve images: %w", err)
	}
	r := &Registry{Addr: listener.Addr().String(), auth: auth}
	blobs := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.server = &http.Server{
		Handler: r.guard(blobs),
		// A client's idle connection counts as one of its open files.
		IdleTimeout:       time.Second,
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// guard counts the requests and, in a private registry, asks for the password.
func (r *Registry) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		if strings.HasPrefix(req.URL.Path, "/v2/slow/") {
			<-req.Context().Done()
			return
		}
		if r.auth == authn.Anonymous || authorized(req) {
			next.ServeHTTP(w, req)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, "unauthorized", http.StatusUnauthorized)
	})
}

func authorized(req *http.Request) bool {
	user, password, _ := req.BasicAuth()
	return user == Credentials.Username &&
		subtle.ConstantTimeCompare([]byte(password), []byte(Credentials.Password)) == 1
}

// Asked returns how many requests the registry has had.
func (r *Registry) Asked() int { return int(r.asked.Load()) }

// Ref returns the full reference of an image of this registry, given as
// repository:tag.
func (r *Registry) Ref(image string) string { return r.Addr + "/" + image }

// Push stores img as image, a repository:tag.
func (r *Registry) Push(ctx context.Context, image string, img v1.Image) error {
	ref, err := name.ParseReference(r.Ref(image), name.Insecure)
	if err != nil {
		return fmt.Errorf("push %s: %w", image, err)
	}
	if err := remote.Write(ref, img, remote.WithAuth(r.auth), remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push %s: %w", image, err)
	}
	return nil
}

// Close ends the registry and its connections.
func (r *Registry) Close() { _ = r.server.Close() }
