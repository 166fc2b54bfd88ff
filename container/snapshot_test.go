package container

import (
	"context"
	"slices"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"podrun/container/image"
)

// fakeSnapshotter has the parents of snapshots, and what was done to them.
type fakeSnapshotter struct {
	snapshots.Snapshotter
	parents map[string]string
	done    []string
}

func (f *fakeSnapshotter) Prepare(_ context.Context, key, parent string, _ ...snapshots.Opt) ([]mount.Mount, error) {
	if _, ok := f.parents[key]; ok {
		return nil, errdefs.ErrAlreadyExists
	}
	f.parents[key], f.done = parent, append(f.done, "prepare")
	return f.Mounts(context.Background(), key)
}

func (f *fakeSnapshotter) Mounts(_ context.Context, key string) ([]mount.Mount, error) {
	return []mount.Mount{{Source: f.parents[key]}}, nil
}

func (f *fakeSnapshotter) Stat(_ context.Context, key string) (snapshots.Info, error) {
	return snapshots.Info{Name: key, Parent: f.parents[key]}, nil
}

func (f *fakeSnapshotter) Remove(_ context.Context, key string) error {
	delete(f.parents, key)
	f.done = append(f.done, "remove")
	return nil
}

// TestSnapshotOfItsImage: a root filesystem that was made ahead is used, but not
// when the container has another image by then.
func TestSnapshotOfItsImage(t *testing.T) {
	t.Parallel()
	fake := &fakeSnapshotter{parents: map[string]string{}}
	store := New(newFakeClient(t, fake), Config{})
	for i, name := range []string{"old", "old", "new", "new"} {
		layer := digest.FromString(name)
		mounts, err := store.Snapshot(t.Context(), "id", "uid", &image.Image{DiffIDs: []digest.Digest{layer}})
		if err != nil || len(mounts) != 1 || mounts[0].Source != layer.String() {
			t.Fatalf("%d: %v, %v, want %s", i, mounts, err, layer)
		}
	}
	if want := []string{"prepare", "remove", "prepare"}; !slices.Equal(fake.done, want) {
		t.Errorf("did %v, want %v", fake.done, want)
	}
}

// TestLayOut: a root filesystem that the same store has laid out is taken as it
// is, once, and not when it has been removed or the container has another image.
func TestLayOut(t *testing.T) {
	t.Parallel()
	old, other := digest.FromString("old"), digest.FromString("other")
	for _, c := range []struct {
		name    string
		between func(*Store) error
		image   digest.Digest
		want    []string
	}{
		{"as it is", func(*Store) error { return nil }, old, []string{"prepare"}},
		{"removed", func(s *Store) error { return s.removeSnapshot(t.Context(), "id") }, old, []string{"prepare", "remove", "prepare"}},
		{"another image", func(*Store) error { return nil }, other, []string{"prepare", "remove", "prepare"}},
	} {
		fake := &fakeSnapshotter{parents: map[string]string{}}
		store := New(newFakeClient(t, fake), Config{})
		if err := store.LayOut(t.Context(), "id", "uid", &image.Image{DiffIDs: []digest.Digest{old}}); err != nil {
			t.Fatal(err)
		}
		if err := c.between(store); err != nil {
			t.Fatal(err)
		}
		mounts, err := store.takeSnapshot(t.Context(), "id", "uid", &image.Image{DiffIDs: []digest.Digest{c.image}})
		if err != nil || len(mounts) != 1 || mounts[0].Source != c.image.String() {
			t.Errorf("%s: %v, %v, want %s", c.name, mounts, err, c.image)
		}
		if !slices.Equal(fake.done, c.want) {
			t.Errorf("%s: did %v, want %v", c.name, fake.done, c.want)
		}
		if _, again := store.laidOut.Load("id"); again {
			t.Errorf("%s: it would be taken once more", c.name)
		}
	}
}

// newFakeClient is a client of nothing but a snapshotter.
func newFakeClient(t *testing.T, snapshotter snapshots.Snapshotter) *containerd.Client {
	t.Helper()
	client, err := containerd.New("", containerd.WithServices(
		containerd.WithSnapshotters(map[string]snapshots.Snapshotter{Snapshotter: snapshotter})))
	if err != nil {
		t.Fatal(err)
	}
	return client
}
