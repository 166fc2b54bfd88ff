package image

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// proxy serves what a registry does, for guard to look at first: it may answer
// by itself, and returns false then.
func proxy(t *testing.T, to string, guard func(http.ResponseWriter, *http.Request) bool) http.Handler {
	t.Helper()
	address, err := url.Parse("http://" + to)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if guard(w, r) {
			forward.ServeHTTP(w, r)
		}
	})
}

// secret holds credentials for a registry, or a part of one.
func secret(name, registry, user, password string) core.Secret {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return core.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Type:       core.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{core.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, registry, auth)},
	}
}

func TestPullSecrets(t *testing.T) {
	t.Parallel()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			hub := serve(t, "geheim")
			push(t, hub.host+"/team/app:1", &authn.Basic{Username: "me", Password: "geheim"})
			var shown atomic.Value
			shown.Store("")
			front := httptest.NewServer(proxy(t, hub.host, func(_ http.ResponseWriter, r *http.Request) bool {
				user, _, _ := r.BasicAuth()
				shown.Store(shown.Load().(string) + user + " ")
				return true
			}))
			defer front.Close()
			host := front.Listener.Addr().String()
			s := open(t, opts...)
			right, wrong := secret("right", host, "me", "geheim"), secret("wrong", host+"/team", "me", "falsch-4711")
			old := core.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "old"},
				Type:       core.SecretTypeDockercfg,
				Data:       map[string][]byte{core.DockerConfigKey: fmt.Appendf(nil, `{%q:{"username":"me","password":"geheim"}}`, host)},
			}
			other, opaque := secret("other", "elsewhere.test", "other", "x"), right
			opaque.Type = core.SecretTypeOpaque
			broken := core.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "broken"},
				Type:       core.SecretTypeDockerConfigJson,
				Data:       map[string][]byte{core.DockerConfigJsonKey: []byte(`{"auths":7}`)},
			}
			for _, c := range []struct {
				name    string
				secrets []core.Secret
				fails   string // part of the message
			}{
				{"none", nil, "uthoriz"},
				{"right", []core.Secret{right}, ""},
				{"the second one", []core.Secret{wrong, right}, ""},
				{"old", []core.Secret{old}, ""},
				{"wrong", []core.Secret{wrong}, "uthoriz"},
				{"for another registry", []core.Secret{other}, "uthoriz"},
				{"of another type", []core.Secret{opaque}, "uthoriz"},
				{"broken", []core.Secret{right, broken}, `secret "broken"`},
			} {
				_, err := s.Ensure(t.Context(), Want{Ref: host + "/team/app:1", Policy: core.PullAlways, Secrets: c.secrets}, nil)
				var e *Error
				switch {
				case c.fails == "" && err == nil:
				case c.fails == "" || !errors.As(err, &e) || e.Reason != ErrImagePull || !strings.Contains(e.Message, c.fails):
					t.Errorf("%s: %v", c.name, err)
				case strings.Contains(err.Error(), "4711"):
					t.Errorf("%s: the error tells the password: %v", c.name, err)
				case c.name != "broken" && !errdefs.IsUnauthorized(err):
					t.Errorf("%s: the class of %v is not recognised", c.name, err)
				}
			}
			if users := shown.Load().(string); strings.Contains(users, "other") || !strings.Contains(users, "me") {
				t.Errorf("the registry was shown %s", users)
			}
		})
	}
}

// hosts writes the configuration of a registry into a directory of them.
func hosts(t *testing.T, dir, registry, text string) {
	t.Helper()
	dir = filepath.Join(dir, registry)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Mirrors, certificates of one's own and plain HTTP are what hosts.toml says; no
// name of these registries is known anywhere else.
func TestHostDirs(t *testing.T) {
	t.Parallel()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			hub := serve(t, "")
			push(t, hub.host+"/app:1", authn.Anonymous)
			secure := httptest.NewUnstartedServer(proxy(t, hub.host, func(http.ResponseWriter, *http.Request) bool { return true }))
			secure.Config.ErrorLog = log.New(io.Discard, "", 0)
			secure.StartTLS()
			defer secure.Close()
			own, system := t.TempDir(), t.TempDir()
			hosts(t, own, "plain.test", fmt.Sprintf("server = %q\n", "http://"+hub.host))
			hosts(t, own, "mirrored.test_5000_", fmt.Sprintf("server = \"https://127.0.0.1:1\"\n[host.\"http://127.0.0.1:2\"]\n[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\n", "http://"+hub.host))
			hosts(t, own, "secure.test", fmt.Sprintf("server = %[1]q\n[host.%[1]q]\nca = \"ca.pem\"\n", secure.URL))
			hosts(t, own, "unknown.test", fmt.Sprintf("server = %q\n", secure.URL))
			hosts(t, own, "broken.test", "server = [")
			hosts(t, system, "plain.test", "server = \"https://127.0.0.1:1\"\n")
			hosts(t, system, "_default", fmt.Sprintf("[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\n", "http://"+hub.host))
			certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
			if err := os.WriteFile(filepath.Join(own, "secure.test/ca.pem"), certificate, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, append(opts, WithHostDirs(own, filepath.Join(own, "nowhere"), system))...)
			for _, registry := range []string{"plain.test", "mirrored.test:5000", "secure.test", "other.test"} {
				image, err := s.Pull(t.Context(), registry+"/app:1", nil)
				if err != nil || image.Name != registry+"/app:1" || !unpacked(t, s, image) {
					t.Errorf("%s: %+v, %v", registry, image, err)
				}
			}
			_, err := s.Pull(t.Context(), "unknown.test/app:1", nil)
			if err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("a certificate of nobody's: %v", err)
			}
			if _, err := s.Pull(t.Context(), "broken.test/app:1", nil); err == nil {
				t.Error("a broken hosts.toml is passed over")
			}
		})
	}
}

// A download that the network breaks off goes on where it was. A pull that its
// caller breaks off can be made again, and goes on too where containerd pulls by
// itself, which then keeps what had come, until it collects garbage: no test that
// makes it do so may run beside this one.
func TestPullAgain(t *testing.T) {
	for way, opts := range ways {
		for _, cause := range []string{"caller", "network"} {
			t.Run(way+" "+cause, func(t *testing.T) {
				hub, layer := big(t)
				s := open(t, opts...)
				ctx, cancel := context.WithCancelCause(t.Context())
				enough := errors.New("enough")
				var broken atomic.Bool
				var ranges atomic.Value
				front := httptest.NewServer(proxy(t, hub, func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, layer.digest) {
						return true
					}
					if broken.Swap(true) {
						ranges.Store(r.Header.Get("Range"))
						http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(layer.content))
						return false
					}
					w.Header().Set("Content-Length", fmt.Sprint(len(layer.content)))
					_, _ = w.Write(layer.content[:len(layer.content)/2])
					if cause == "caller" {
						_ = http.NewResponseController(w).Flush()
						awaitIngest(t, s)
						cancel(enough)
						<-r.Context().Done()
					}
					return false // shorter than it says: the server ends the connection
				}))
				defer front.Close()
				ref := front.Listener.Addr().String() + "/big:1"
				image, err := s.Pull(ctx, ref, nil)
				if cause == "caller" {
					if !errors.Is(err, enough) {
						t.Fatalf("broken off: %v", err)
					}
					image, err = s.Pull(t.Context(), ref, nil)
				}
				if err != nil || !unpacked(t, s, image) {
					t.Errorf("%+v, %v", image, err)
				}
				if asked := ranges.Load(); (way == "transfer" || cause == "network") && asked == "" {
					t.Error("it began anew")
				}
			})
		}
	}
}

// awaitIngest returns when something of a blob has come.
func awaitIngest(t *testing.T, s *Store) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		all, err := s.client.ContentStore().ListStatuses(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		for _, status := range all {
			if status.Offset > 0 {
				return
			}
		}
	}
	t.Error("nothing comes")
}

type blob struct {
	digest  string
	content []byte
}

// big pushes an image with one big layer to a registry, as big:1.
func big(t *testing.T) (host string, layer blob) {
	t.Helper()
	hub := serve(t, "")
	image, err := random.Image(2<<20, 1)
	if err == nil {
		image, err = mutate.ConfigFile(image, mustConfig(t, image))
	}
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(hub.host+"/big:1", name.Insecure)
	if err == nil {
		err = remote.Write(tag, image)
	}
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	all, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return hub.host, blob{digest: digest.String(), content: all}
}
