package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/mount"
	sandboxes "github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/google/uuid"
	"github.com/opencontainers/image-spec/identity"
	"github.com/opencontainers/runtime-spec/specs-go"

	"podrun/container/image"
	"podrun/container/oci"
)

// Namespace is the containerd namespace that all of podrun's objects live in.
// It is podrun's own: a kubelet on the same containerd sweeps k8s.io.
const Namespace = "podrun"

// Snapshotter is the snapshotter of all root filesystems.
const Snapshotter = "overlayfs"

// gcRoot keeps a snapshot from containerd's garbage collector. It is made
// before the record that refers to it, so nothing else would.
const gcRoot = "containerd.io/gc.root"

// Shared is what a container joins or is given by its sandbox.
type Shared = oci.Shared

// Config says how containers are run.
type Config struct {
	// RunDir is podrun's run directory; runc keeps its state below it.
	RunDir string
	// Runc is the path of the runc to use; empty lets the shim find one.
	Runc string
	// Address is containerd's, and ShimDir the directory of its shims' sockets.
	Address, ShimDir string
	// Sandboxes says that the daemon has the sandbox store of containerd 2.0,
	// which lets the containers of a pod use its shim without starting one.
	Sandboxes bool
	// SeccompDir is where the machine's own seccomp profiles are.
	SeccompDir string
	Log        *slog.Logger
	// Forget removes what containerd keeps of a task that it has lost track of.
	Forget func(ctx context.Context, id string) error
	// Machine is what runtime specs have to know of the machine.
	Machine oci.Machine
}

// Store holds the containers of one containerd.
type Store struct {
	client  *containerd.Client
	config  Config
	laidOut sync.Map // a layout by ID of the container-to-be; see LayOut
	// making has a *tasktypes.Process by container ID: nil as long as the task of one
	// that is no pause is being made, and what a pause container has that is being started.
	making sync.Map
}

// layout is how a root filesystem is mounted, and the snapshot that it is made from.
type layout struct {
	parent string
	mounts []mount.Mount
}

// New makes a Store over a client whose default namespace is Namespace.
func New(client *containerd.Client, config Config) *Store {
	return &Store{client: client, config: config}
}

// runcRoot is where runc keeps its state, in a directory for each namespace.
func runcRoot(runDir string) string { return filepath.Join(runDir, "runc") }

// Spec is what a container is made from.
type Spec struct {
	Record  Record
	Image   *image.Image
	Runtime *specs.Spec
	// Class names the runtime, one of Runtimes; empty for the default one.
	Class string
	// Systemd says that the runtime has systemd make the container's cgroup.
	Systemd bool
	// SandboxID is the ID of the pod's pause container, empty for itself.
	SandboxID string
	// Extensions are kept with the record, byte for byte.
	Extensions map[string][]byte
}

// ID is the containerd ID that the container has.
func (s Spec) ID() string { return ID(s.Record.Pod.UID, s.Record.Name, s.Record.Attempt) }

// Register writes the container's record and nothing else. It fails with
// errdefs.ErrAlreadyExists when there is one.
func (s *Store) Register(ctx context.Context, spec Spec) error {
	runtimeSpec, err := typeurl.MarshalAny(spec.Runtime)
	if err != nil {
		return fmt.Errorf("encode runtime spec: %w", err)
	}
	runtime, err := s.runtimeFor(spec.Class, spec.Systemd)
	if err != nil {
		return err
	}
	root := spec.ID()
	if spec.Record.Kind == KindPause && spec.Image.Root != "" {
		root = spec.Image.Root // it is in use, whatever becomes of the image
	}
	c := containers.Container{
		ID:          spec.ID(),
		Labels:      spec.Record.labels(),
		Image:       spec.Image.Name,
		Runtime:     runtime,
		Spec:        runtimeSpec,
		Snapshotter: Snapshotter,
		SnapshotKey: root,
		Extensions:  encodeExtensions(spec.Extensions),
	}
	if s.config.Sandboxes {
		c.SandboxID = spec.SandboxID
	}
	_, err = s.client.ContainerService().Create(ctx, c)
	return err
}

// Update replaces one of the extensions of a container's record.
func (s *Store) Update(ctx context.Context, id, extension string, value []byte) error {
	_, err := s.client.ContainerService().Update(ctx, containers.Container{
		ID:         id,
		Extensions: encodeExtensions(map[string][]byte{extension: value}),
	}, "extensions."+extension)
	return err
}

// Group makes the pause container's shim the one of all its pod's containers.
// Daemons that have no sandboxes group shims by the annotation of the specs; so do
// the others for a container that is made before this is done, which only takes
// longer. class is the pod's; see Spec.
func (s *Store) Group(ctx context.Context, sandboxID, class string) error {
	if !s.config.Sandboxes {
		return nil
	}
	runtime, err := s.runtimeFor(class, false)
	if err != nil {
		return err
	}
	_, err = s.client.SandboxStore().Create(ctx, sandboxes.Sandbox{
		ID:      sandboxID,
		Runtime: sandboxes.RuntimeOpts{Name: runtime.Name},
	})
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Ungroup is the reverse of Group; none is no error.
func (s *Store) Ungroup(ctx context.Context, sandboxID string) error {
	if !s.config.Sandboxes {
		return nil
	}
	return ignoreNotFound(s.client.SandboxStore().Delete(ctx, sandboxID))
}

func (s *Store) setLabel(ctx context.Context, id, key, value string) error {
	return s.setLabels(ctx, id, map[string]string{key: value})
}

func (s *Store) setLabels(ctx context.Context, id string, labels map[string]string) error {
	fields := make([]string, 0, len(labels))
	for key := range labels {
		fields = append(fields, "labels."+key)
	}
	_, err := s.client.ContainerService().Update(ctx, containers.Container{ID: id, Labels: labels}, fields...)
	return err
}

// Snapshot makes the root filesystem of a container-to-be from its image and
// returns how to mount it; one of that image that exists already is used as it is.
func (s *Store) Snapshot(ctx context.Context, id, podUID string, img *image.Image) ([]mount.Mount, error) {
	return s.snapshot(ctx, s.client.SnapshotService(Snapshotter).Prepare, id, podUID, img)
}

// Root is how the root filesystem is mounted that pause containers of an image share;
// errdefs.ErrNotFound when they do not. The shim of another runtime than runc and its
// like may want to write into it. class is the pod's; see Spec.
func (s *Store) Root(ctx context.Context, img *image.Image, class string) ([]mount.Mount, error) {
	if img.Root == "" || ownShim(class) {
		return nil, errdefs.ErrNotFound
	}
	return s.client.SnapshotService(Snapshotter).Mounts(ctx, img.Root)
}

// LayOut is Snapshot for a container that the same Store creates soon.
func (s *Store) LayOut(ctx context.Context, id, podUID string, img *image.Image) error {
	mounts, err := s.Snapshot(ctx, id, podUID, img)
	if err == nil {
		s.laidOut.Store(id, layout{parentOf(img), mounts})
	}
	return err
}

// takeSnapshot is Snapshot, or what LayOut has made, which is then used up.
func (s *Store) takeSnapshot(ctx context.Context, id, podUID string, img *image.Image) ([]mount.Mount, error) {
	if found, ok := s.laidOut.LoadAndDelete(id); ok && found.(layout).parent == parentOf(img) {
		return found.(layout).mounts, nil
	}
	return s.Snapshot(ctx, id, podUID, img)
}

// parentOf is the snapshot that an image is unpacked into.
func parentOf(img *image.Image) string { return identity.ChainID(img.DiffIDs).String() }

// View is Snapshot for what an image holds, to be read only.
func (s *Store) View(ctx context.Context, id, podUID string, img *image.Image) ([]mount.Mount, error) {
	return s.snapshot(ctx, s.client.SnapshotService(Snapshotter).View, id, podUID, img)
}

type makeSnapshot func(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error)

func (s *Store) snapshot(ctx context.Context, prepare makeSnapshot, id, podUID string, img *image.Image) ([]mount.Mount, error) {
	labels := snapshots.WithLabels(map[string]string{
		labelPodUID: podUID,
		gcRoot:      formatTime(time.Now()),
	})
	ctx, cancel := toItsEnd(ctx)
	defer cancel()
	parent := parentOf(img)
	mounts, err := prepare(ctx, id, parent, labels)
	if errdefs.IsAlreadyExists(err) {
		if mounts, err = s.snapshotOf(ctx, id, parent); errdefs.IsNotFound(err) {
			mounts, err = prepare(ctx, id, parent, labels)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("prepare root filesystem: %w", err)
	}
	return mounts, nil
}

// snapshotOf returns how to mount a snapshot that exists. One of another parent is
// removed: the container was to have another image when it was made.
func (s *Store) snapshotOf(ctx context.Context, id, parent string) ([]mount.Mount, error) {
	info, err := s.client.SnapshotService(Snapshotter).Stat(ctx, id)
	if err != nil {
		return nil, err
	}
	if info.Parent == parent {
		return s.client.SnapshotService(Snapshotter).Mounts(ctx, id)
	}
	if err := s.removeSnapshot(ctx, id); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("snapshot %.12s of %s: %w", id, parent, errdefs.ErrNotFound)
}

// Remove takes away all that a container has: its processes, its task, its
// root filesystem and its record, in this order. What is not there counts as
// removed; a step that fails keeps the record, so that it can be tried again.
func (s *Store) Remove(ctx context.Context, id string) error {
	for _, step := range []struct {
		name string
		run  func(context.Context, string) error
	}{
		{"kill", s.Kill},
		{"delete task of", s.DeleteTask},
		{"discard", s.Discard},
		{"remove root filesystem of", s.removeSnapshot},
		{"remove record of", s.client.ContainerService().Delete},
	} {
		if err := step.run(ctx, id); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("%s container %.12s: %w", step.name, id, err)
		}
	}
	return nil
}

func (s *Store) removeSnapshot(ctx context.Context, id string) error {
	s.laidOut.Delete(id)
	return s.client.SnapshotService(Snapshotter).Remove(ctx, id)
}

// Discard removes what runc and containerd keep of a container whose task is
// gone without them, because its shim was killed, or containerd in the middle of
// taking it away: no task of that ID could be made. None is no error. Processes
// are not looked for.
func (s *Store) Discard(ctx context.Context, id string) error {
	return errors.Join(
		s.config.Forget(ctx, id),
		os.RemoveAll(filepath.Join(runcRoot(s.config.RunDir), Namespace, id)),
	)
}

// RemoveSnapshots removes the root filesystems of a pod that no record refers
// to any more: a crash may leave them between a snapshot and its record.
func (s *Store) RemoveSnapshots(ctx context.Context, podUID string) error {
	keys, err := s.Snapshots(ctx, podUID)
	if err != nil {
		return err
	}
	var errs []error
	for key := range keys {
		if err := s.removeSnapshot(ctx, key); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove snapshot %.12s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// Snapshots returns the containers' root filesystems, by ID, with the UID of
// the pod that each is of; podUID limits them to one pod's when not empty.
func (s *Store) Snapshots(ctx context.Context, podUID string) (map[string]string, error) {
	keys := map[string]string{}
	filter := fmt.Sprintf("labels.%q", labelPodUID)
	if podUID != "" {
		filter += "==" + podUID
	}
	err := s.client.SnapshotService(Snapshotter).Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		keys[info.Name] = info.Labels[labelPodUID]
		return nil
	}, filter)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return keys, nil
}

// Collect makes containerd give back at once what nothing refers to any more,
// such as the files of a root filesystem that was removed: it does so at a time
// of its own choosing otherwise. The way to ask for it is to delete a lease.
// Its name is always the same, so that one whose maker was killed goes with the
// next; when it goes with somebody else's collection, which may have begun too
// early, another one is asked for.
func (s *Store) Collect(ctx context.Context) error {
	manager := s.client.LeasesService()
	for ctx.Err() == nil {
		_, err := manager.Create(ctx, leases.WithID(collectLease), leases.WithExpiration(leaseTime))
		if err == nil || errdefs.IsAlreadyExists(err) {
			err = manager.Delete(ctx, leases.Lease{ID: collectLease}, leases.SynchronousDelete)
		}
		if !errdefs.IsNotFound(err) {
			return err
		}
	}
	return context.Cause(ctx)
}

// Sweep is Collect for what containerd itself lost track of when it was killed
// in the middle of giving it back: it looks at a snapshotter's files only when
// a snapshot was removed from it.
func (s *Store) Sweep(ctx context.Context) error {
	snapshotter, key := s.client.SnapshotService(Snapshotter), "sweep-"+uuid.NewString()
	_, err := snapshotter.Prepare(ctx, key, "")
	if err == nil {
		err = ignoreNotFound(snapshotter.Remove(ctx, key)) // it may be collected at once
	}
	if err != nil {
		return fmt.Errorf("sweep snapshots: %w", err)
	}
	return s.Collect(ctx)
}

const (
	collectLease = "podrun-collect"
	// leaseTime is when containerd forgets the lease if its maker was killed.
	leaseTime = time.Minute
)
