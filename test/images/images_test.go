package images_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"podrun/test/images"
)

// What was pushed can be pulled, and only with the password where there is one.
func TestRegistry(t *testing.T) {
	t.Parallel()
	img := busybox(t)
	for kind, serve := range map[string]func(string) (*images.Registry, error){"open": images.Serve, "private": images.ServePrivate} {
		r, err := serve("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.Push(t.Context(), "busybox:1", img); err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(r.Ref("busybox:1"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := remote.Image(ref)
		if (err != nil) != (kind == "private") {
			t.Fatalf("%s registry: %v", kind, err)
		}
		if err == nil && digest(t, got) != digest(t, img) {
			t.Errorf("%s registry: another image came back", kind)
		}
		if r.Asked() == 0 {
			t.Errorf("%s registry: no request was counted", kind)
		}
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	dir, img := t.TempDir(), busybox(t)
	docker, oci := filepath.Join(dir, "docker.tar"), filepath.Join(dir, "oci.tar")
	if err := images.WriteDocker(docker, "localhost/busybox:1", img); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("localhost/busybox:1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tarball.ImageFromPath(docker, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := config(t, got), config(t, img); a != b {
		t.Errorf("the archive holds image %s, want %s", a, b)
	}
	if err := images.WriteOCI(oci, "localhost/busybox:1", img); err != nil {
		t.Fatal(err)
	}
}

func TestStaticNeedsTheProgram(t *testing.T) {
	t.Parallel()
	if _, err := images.Static("x", "/nowhere"); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("error %v", err)
	}
}

func busybox(t *testing.T) v1.Image {
	t.Helper()
	img, err := images.Busybox()
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func config(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}
