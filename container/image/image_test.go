package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/image-spec/identity"
	core "k8s.io/api/core/v1"
)

// ways are the ways to pull.
var ways = map[string][]Option{"transfer": nil, "client": {WithClientPull()}}

func unpacked(t *testing.T, s *Store, image *Image) bool {
	t.Helper()
	_, err := s.client.SnapshotService(s.snapshotter).Stat(t.Context(), identity.ChainID(image.DiffIDs).String())
	if err != nil && !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestPull(t *testing.T) {
	t.Parallel()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s, hub := open(t, opts...), serve(t, "")
			ref := hub.host + "/app"
			made := push(t, ref, authn.Anonymous)
			made2, _ := made.Digest()
			var seen sync.Map
			image, err := s.Pull(t.Context(), ref, func(p Progress) {
				if p.Ref != ref || p.Status == "" || p.Total == 0 {
					t.Errorf("progress %+v", p)
				}
				seen.Store(p.Layer, true)
			})
			if err != nil {
				t.Fatal(err)
			}
			if image.Name != ref+":latest" || image.Digest != made2.String() || image.ID != ref+"@"+made2.String() {
				t.Errorf("image %+v", image)
			}
			if !slices.Equal(image.Config.Entrypoint, []string{"/app"}) || len(image.DiffIDs) != 3 || image.Size < 60_000 || image.Platform.OS != "linux" {
				t.Errorf("image %+v", image)
			}
			if !unpacked(t, s, image) {
				t.Error("not unpacked")
			}
			layers := 0
			seen.Range(func(any, any) bool { layers++; return true })
			if layers == 0 {
				t.Error("no progress was reported")
			}
			record, err := s.client.ImageService().Get(t.Context(), image.Name)
			if err != nil || record.Labels["x"] != "" {
				t.Errorf("record %+v, %v", record, err)
			}
		})
	}
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s, hub := open(t, opts...), serve(t, "")
			ref := hub.host + "/app:1"
			push(t, ref, authn.Anonymous)
			ensure := func(policy core.PullPolicy) (*Image, string) {
				t.Helper()
				image, err := s.Ensure(t.Context(), Want{Ref: ref, Policy: policy}, nil)
				var e *Error
				if errors.As(err, &e) {
					return nil, e.Reason + ": " + e.Message
				}
				if err != nil {
					t.Fatal(err)
				}
				return image, ""
			}
			if _, err := ensure(core.PullNever); err != `ErrImageNeverPull: Container image "`+ref+`" is not present with pull policy of Never` {
				t.Errorf("never: %s", err)
			}
			first, err := ensure(core.PullIfNotPresent)
			if err != "" {
				t.Fatal(err)
			}
			before := len(hub.requests())
			for _, policy := range []core.PullPolicy{core.PullIfNotPresent, core.PullNever, ""} {
				if again, err := ensure(policy); err != "" || again.Digest != first.Digest {
					t.Errorf("%q: %+v, %s", policy, again, err)
				}
			}
			if asked := hub.requests()[before:]; len(asked) > 0 {
				t.Errorf("the registry was asked for what was there: %v", asked)
			}
			if again, err := ensure(core.PullAlways); err != "" || again.Digest != first.Digest {
				t.Errorf("always: %+v, %s", again, err)
			}
			asked := strings.Join(hub.requests()[before:], "\n")
			if !strings.Contains(asked, "/manifests/") || strings.Contains(asked, "/blobs/") {
				t.Errorf("always asked for:\n%s", asked)
			}
			push(t, ref, authn.Anonymous)
			if moved, err := ensure(core.PullAlways); err != "" || moved.Digest == first.Digest {
				t.Errorf("a tag that moved: %+v, %s", moved, err)
			}
		})
	}
}

// An image that is there but was not unpacked, or that lacks content.
func TestEnsureMends(t *testing.T) {
	t.Parallel()
	s, hub := open(t), serve(t, "")
	ref := hub.host + "/app:1"
	push(t, ref, authn.Anonymous)
	image, err := s.Pull(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	snapshots := s.client.SnapshotService(s.snapshotter)
	for n := len(image.DiffIDs); n > 0; n-- {
		err := snapshots.Remove(t.Context(), identity.ChainID(image.DiffIDs[:n]).String())
		if err != nil && !errdefs.IsNotFound(err) { // once nothing stands on it, it is garbage
			t.Fatal(err)
		}
	}
	if _, err := s.Ensure(t.Context(), Want{Ref: ref, Policy: core.PullNever}, nil); err != nil || !unpacked(t, s, image) {
		t.Errorf("unpack: %v", err)
	}
	record, _ := s.client.ImageService().Get(t.Context(), image.Name)
	if err := s.client.ContentStore().Delete(t.Context(), record.Target.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ensure(t.Context(), Want{Ref: ref, Policy: core.PullIfNotPresent}, nil); err != nil {
		t.Errorf("fetch what is missing: %v", err)
	}
}

func TestPullErrors(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s, hub, private := open(t, opts...), serve(t, ""), serve(t, "secret")
			push(t, private.host+"/app:1", &authn.Basic{Username: "me", Password: "secret"})
			other := foreign(t, build(t))
			tag, _ := name.NewTag(hub.host+"/foreign:1", name.Insecure)
			if err := remote.Write(tag, other); err != nil {
				t.Fatal(err)
			}
			for ref, want := range map[string]struct {
				reason, message string
				is              func(error) bool
			}{
				hub.host + "/nope:1":    {ErrImagePull, "not found", errdefs.IsNotFound},
				hub.host + "/foreign:1": {ErrImagePull, "made for linux/s390x, not for this machine's " + platforms.Format(platforms.DefaultSpec()) + ": not found", errdefs.IsNotFound},
				private.host + "/app:1": {ErrImagePull, "", errdefs.IsUnauthorized},
				closed + "/app:1":       {RegistryUnavailable, "", errdefs.IsUnavailable},
				"Not A Name":            {InvalidImageName, "", errdefs.IsInvalidArgument},
			} {
				_, err := s.Pull(t.Context(), ref, nil)
				var e *Error
				if !errors.As(err, &e) {
					t.Errorf("%s: got %v", ref, err)
					continue
				}
				t.Logf("%s: %s", e.Reason, e.Message)
				if strings.ContainsAny(e.Message, "\n") || e.Reason != want.reason {
					t.Errorf("%s: %+v", ref, e)
				}
				if want.message != "" && e.Message != `pull "`+ref+`": `+want.message {
					t.Errorf("%s: message %q", ref, e.Message)
				}
				if !want.is(err) {
					t.Errorf("%s: the class of %v is not recognised", ref, err)
				}
			}
		})
	}
}

// foreign makes an image for another machine.
func foreign(t *testing.T, image v1.Image) v1.Image {
	t.Helper()
	config := mustConfig(t, image)
	config.Architecture = "s390x" // no machine of ours
	image, err := mutate.ConfigFile(image, config)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

type keychain struct {
	password string
	asked    sync.Map
}

func (k *keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	k.asked.Store(r.String(), true)
	if k.password == "" {
		return nil, errors.New("the helper is broken")
	}
	return &authn.Basic{Username: "me", Password: k.password}, nil
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			keys := &keychain{password: "geheim"}
			s, hub := open(t, append(opts, WithKeychain(keys))...), serve(t, "geheim")
			ref := hub.host + "/team/app:1"
			push(t, ref, &authn.Basic{Username: "me", Password: "geheim"})
			if _, err := s.Pull(t.Context(), ref, nil); err != nil {
				t.Fatal(err)
			}
			if _, ok := keys.asked.Load(hub.host + "/team/app"); !ok {
				t.Error("the keychain was not asked for the repository")
			}

			keys.password = "falsch-4711"
			_, err := s.Pull(t.Context(), ref, nil)
			if !errdefs.IsUnauthorized(err) {
				t.Errorf("wrong password: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "4711") {
				t.Errorf("the error tells the password: %v", err)
			}

			keys.password = ""
			if _, err := s.Pull(t.Context(), ref, nil); err == nil || !strings.Contains(err.Error(), "the helper is broken") {
				t.Errorf("broken helper: %v", err)
			}
		})
	}
}

// What is meant for one registry is not shown to another.
func TestCredentialsOfMirrors(t *testing.T) {
	t.Parallel()
	keys := &keychain{password: "x"}
	s := New(nil, "", WithKeychain(keys))
	all, err := s.credentials("docker.io/library/busybox", nil)
	if err != nil || len(all) != 1 {
		t.Fatal(len(all), err)
	}
	creds := all[0]
	for host, want := range map[string]string{
		"registry-1.docker.io": "index.docker.io/library/busybox",
		"mirror.example:5000":  "mirror.example:5000",
	} {
		if _, _, err := creds.lookup(t.Context(), host); err != nil {
			t.Fatal(err)
		}
		if _, ok := keys.asked.Load(want); !ok {
			t.Errorf("%s: not asked for %s", host, want)
		}
	}
}

func TestGetListRemove(t *testing.T) {
	t.Parallel()
	s, hub := open(t), serve(t, "")
	ref := hub.host + "/app:1"
	push(t, ref, authn.Anonymous)
	image, err := s.Pull(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{ref, image.ID, image.Digest, ref + "@" + image.Digest} {
		if got, err := s.Get(t.Context(), ref); err != nil || got.Name != image.Name {
			t.Errorf("get %s: %+v, %v", ref, got, err)
		}
	}
	for _, ref := range []string{hub.host + "/app:2", "other@" + image.Digest, "sha256:" + strings.Repeat("0", 64)} {
		if _, err := s.Get(t.Context(), ref); !errdefs.IsNotFound(err) || err.Error() != `image "`+ref+`": not found` {
			t.Errorf("get %s: %v", ref, err)
		}
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != image.Name || list[0].Size != image.Size {
		t.Errorf("list %+v, %v", list, err)
	}
	if err := s.Remove(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), ref); !errdefs.IsNotFound(err) {
		t.Errorf("remove again: %v", err)
	}
	err = s.client.ContentStore().Walk(t.Context(), func(info content.Info) error {
		t.Errorf("content is left behind: %s", info.Digest)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	image := build(t)
	for name, test := range map[string]struct {
		archive []byte
		want    string
	}{
		"docker":           {dockerArchive(t, "busybox", image), "docker.io/library/busybox:latest"},
		"docker, gzip":     {gzipped(t, dockerArchive(t, "example.com/app:2", image)), "example.com/app:2"},
		"docker, zstd":     {zstded(t, dockerArchive(t, "example.com/app:2", image)), "example.com/app:2"},
		"oci":              {ociArchive(t, map[string]string{"org.opencontainers.image.ref.name": "example.com/app:3"}, image), "example.com/app:3"},
		"oci, familiar":    {ociArchive(t, map[string]string{"io.containerd.image.name": "busybox"}, image), "docker.io/library/busybox:latest"},
		"oci, only a tag":  {ociArchive(t, map[string]string{"org.opencontainers.image.ref.name": "latest"}, image), "podrun.local/load@"},
		"oci without name": {ociArchive(t, nil, image), "podrun.local/load@"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			for range 2 { // again changes nothing
				loaded, err := s.Load(t.Context(), bytes.NewReader(test.archive))
				if err != nil {
					t.Fatal(err)
				}
				if len(loaded) != 1 || !strings.HasPrefix(loaded[0].Name, test.want) || !unpacked(t, s, &loaded[0]) {
					t.Fatalf("loaded %+v", loaded)
				}
				if got, err := s.Ensure(t.Context(), Want{Ref: loaded[0].Name, Policy: core.PullNever}, nil); err != nil || got.Config.Entrypoint[0] != "/app" {
					t.Errorf("%+v, %v", got, err)
				}
			}
			if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
				t.Errorf("list %+v, %v", list, err)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for name, archive := range map[string][]byte{
		"empty":     nil,
		"text":      []byte("this is not an archive"),
		"bad gzip":  {0x1f, 0x8b, 0, 0},
		"cut short": dockerArchive(t, "busybox", build(t))[:30_000],
		"foreign":   dockerArchive(t, "busybox", foreign(t, build(t))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t).Load(t.Context(), bytes.NewReader(archive))
			if err == nil || !strings.HasPrefix(err.Error(), "load images: ") {
				t.Errorf("got %v", err)
			}
			t.Log(err)
		})
	}
}

func dockerArchive(t *testing.T, ref string, image v1.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	tag, err := name.NewTag(ref)
	if err == nil {
		err = tarball.Write(tag, image, &b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ociArchive(t *testing.T, annotations map[string]string, image v1.Image) []byte {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, emptyIndex())
	if err == nil {
		err = path.AppendImage(image, layout.WithAnnotations(annotations))
	}
	if err != nil {
		t.Fatal(err)
	}
	return tarOf(t, dir)
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	return compressed(t, &out, gzip.NewWriter(&out), b)
}

func zstded(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	return compressed(t, &out, w, b)
}

func compressed(t *testing.T, out *bytes.Buffer, w io.WriteCloser, b []byte) []byte {
	t.Helper()
	_, err := w.Write(b)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestImportPause(t *testing.T) {
	t.Parallel()
	s := open(t)
	program := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(program, []byte("#!/bin/true\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	names := make([]string, 4)
	for i := range names {
		group.Go(func() {
			image, err := s.ImportPause(context.Background(), program, "v1")
			if err != nil {
				t.Error(err)
				return
			}
			names[i] = image.Name
		})
	}
	group.Wait()
	if len(slices.Compact(names)) != 1 || names[0] != "podrun.local/pause:v1" {
		t.Fatalf("names %v", names)
	}
	image, err := s.Get(t.Context(), names[0])
	if err != nil || !unpacked(t, s, image) || !slices.Equal(image.Config.Entrypoint, []string{"/pause"}) {
		t.Errorf("%+v, %v", image, err)
	}
	// Nothing of it is garbage.
	if err := s.client.LeasesService().Delete(t.Context(), lease(t, s)); err != nil {
		t.Fatal(err)
	}
	if image, err = s.Get(t.Context(), names[0]); err != nil || !unpacked(t, s, image) {
		t.Errorf("after garbage collection: %+v, %v", image, err)
	}
	root, err := s.client.SnapshotService(s.snapshotter).Mounts(t.Context(), image.Root)
	if err == nil {
		err = mount.WithReadonlyTempMount(t.Context(), root, func(dir string) error {
			for _, name := range append(mountPoints, "pause") {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
	}
	if err != nil {
		t.Errorf("root: %v", err)
	}
	if _, err := s.ImportPause(t.Context(), program+"-not", "v2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
}

func TestPullConcurrently(t *testing.T) {
	t.Parallel()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s, hub := open(t, opts...), serve(t, "")
			ref := hub.host + "/app:1"
			push(t, ref, authn.Anonymous)
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					if image, err := s.Pull(context.Background(), ref, nil); err != nil || !unpacked(t, s, image) {
						t.Errorf("%+v, %v", image, err)
					}
				})
			}
			group.Wait()
		})
	}
}

// A registry that does not answer costs no more than the caller's patience.
func TestPullCancelled(t *testing.T) {
	t.Parallel()
	for way, opts := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			asked, over := make(chan struct{}, 10), make(chan struct{})
			hub := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				asked <- struct{}{}
				<-over
			}))
			defer hub.Close()
			defer close(over)
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			go func() {
				<-asked
				cancel(enough)
			}()
			_, err := open(t, opts...).Pull(ctx, hub.Listener.Addr().String()+"/app:1", nil)
			if !errors.Is(err, enough) {
				t.Errorf("got %v", err)
			}
		})
	}
}
