package leakcheck_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/types/known/anypb"

	"podrun/test/daemon"
	"podrun/test/leakcheck"
)

// bundled is the containerd that make has built.
const bundled = "../../bundle/out/containerd"

// blob is some content.
var blob = []byte("lctest")

// Everything that a containerd holds is seen, and so is an open connection.
func TestFindsObjects(t *testing.T) {
	in := instance(t)
	in.Containerd = start(t, in)
	c, err := client.New(in.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// containerd opens its databases when they are first used.
	makeObjects(t, c)
	removeObjects(t, c)
	before := take(t, in)
	undo := dial(t, in.Containerd)
	makeObjects(t, c)
	after := take(t, in)
	undo()
	desc := digest.FromBytes(blob).String()
	for _, want := range []string{
		"container podrun lctest", "image podrun lctest", "lease podrun lctest", "sandbox podrun lctest",
		"content podrun " + desc, "snapshot podrun overlayfs Active lctest", "fd containerd socket",
	} {
		if after[want] <= before[want] {
			t.Errorf("no line %q", want)
		}
	}
	removeObjects(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	diff, err := leakcheck.Settle(ctx, before, in.List)
	if err != nil || len(diff) != 0 {
		t.Errorf("after the removal: %q, %v", diff, err)
	}
}

func start(t *testing.T, in leakcheck.Instance) (socket string) {
	t.Helper()
	bin, err := filepath.Abs(bundled)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("run make first: %v", err)
	}
	d, err := daemon.Start(t.Context(), bin, in.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d.Socket
}

func take(t *testing.T, in leakcheck.Instance) leakcheck.Listing {
	t.Helper()
	l, err := in.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// makeObjects makes one object of each kind. The lease keeps the snapshot and
// the content from being collected.
func makeObjects(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := namespaces.WithNamespace(t.Context(), "podrun")
	lease, err := c.LeasesService().Create(ctx, leases.WithID("lctest"))
	check(t, err)
	ctx = leases.WithLease(ctx, lease.ID)
	desc := ocispec.Descriptor{MediaType: "text/plain", Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	check(t, content.WriteBlob(ctx, c.ContentStore(), "lctest", bytes.NewReader(blob), desc))
	_, err = c.ImageService().Create(ctx, images.Image{Name: "lctest", Target: desc})
	check(t, err)
	_, err = c.SnapshotService("overlayfs").Prepare(ctx, "lctest", "")
	check(t, err)
	_, err = c.ContainerService().Create(ctx, containers.Container{
		ID: "lctest", Runtime: containers.RuntimeInfo{Name: "io.containerd.runc.v2"}, Spec: &anypb.Any{TypeUrl: "lctest"},
	})
	check(t, err)
	_, err = c.SandboxStore().Create(ctx, sandbox.Sandbox{ID: "lctest", Runtime: sandbox.RuntimeOpts{Name: "io.containerd.runc.v2"}})
	check(t, err)
}

func removeObjects(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := namespaces.WithNamespace(t.Context(), "podrun")
	check(t, c.SandboxStore().Delete(ctx, "lctest"))
	check(t, c.ContainerService().Delete(ctx, "lctest"))
	check(t, c.SnapshotService("overlayfs").Remove(ctx, "lctest"))
	check(t, c.ImageService().Delete(ctx, "lctest"))
	check(t, c.LeasesService().Delete(ctx, leases.Lease{ID: "lctest"}, leases.SynchronousDelete))
	check(t, c.NamespaceService().Delete(ctx, "podrun"))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
