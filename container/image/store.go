package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/uuid"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
)

const (
	// maxDocument bounds an image's index, manifest and config, in bytes.
	maxDocument = 8 << 20
	// documentTime bounds how long containerd takes to give one.
	documentTime = time.Minute
	// leaseTime is when containerd takes away the lease of a pull whose process
	// was killed. A pull that takes longer may lose layers and fails.
	leaseTime = 24 * time.Hour
	// cleanupTime bounds clean-up that goes on after its cause was cancelled.
	cleanupTime = 10 * time.Second
)

// Store is the images of one containerd, in the client's default namespace.
// It may be used by many goroutines at once.
type Store struct {
	client      *containerd.Client
	snapshotter string
	platform    platforms.MatchComparer
	keychain    authn.Keychain
	hostDirs    []string

	pulling sync.Mutex
	puller  puller // chosen at the first pull
}

// An Option changes how a Store works.
type Option func(*Store)

// WithKeychain sets where credentials come from. By default they come from
// docker's configuration and its helpers.
func WithKeychain(keychain authn.Keychain) Option {
	return func(s *Store) { s.keychain = keychain }
}

// WithHostDirs sets directories of registry configurations as containerd has
// them: REGISTRY/hosts.toml, with mirrors, certificates and so on, or _default.
// For each registry the first directory counts that has something for it. By
// default there are none.
func WithHostDirs(dirs ...string) Option {
	return func(s *Store) { s.hostDirs = dirs }
}

// WithClientPull makes this process fetch images itself, as is done for
// containerd before 2.0, instead of asking containerd's transfer service.
func WithClientPull() Option {
	return func(s *Store) { s.puller = s.fetch }
}

// New returns the images of the containerd that client is connected to,
// unpacked into the snapshotter.
func New(client *containerd.Client, snapshotter string, opts ...Option) *Store {
	s := &Store{
		client:      client,
		snapshotter: snapshotter,
		platform:    platforms.Default(),
		keychain:    dockerKeychain{helperTime: helperTime},
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Image describes an image in containerd.
type Image struct {
	Name   string // as containerd stores it, docker.io/library/busybox:latest
	Digest string // of the manifest or index that the name stands for
	ID     string // what a pod's status shows: docker.io/library/busybox@sha256:…

	Config   imagespec.ImageConfig
	Platform imagespec.Platform
	// DiffIDs are the layers of the root filesystem. Their chain ID is the
	// parent of a container's snapshot.
	DiffIDs []digest.Digest
	// Root is the key of a snapshot that is the root filesystem, read-only, of any
	// number of containers. Other images than that of ImportPause have none.
	Root string
	Size int64 // bytes of content: manifest, config and compressed layers
}

// Get looks an image up by its name, by a name with digest, or by a digest
// alone. One that is not there is errdefs.ErrNotFound; so is one whose content
// is not complete or not for this machine.
func (s *Store) Get(ctx context.Context, ref string) (*Image, error) {
	record, err := s.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.describe(ctx, record)
}

// List lists all images, in the order of their names. Of images for other
// machines only name, digest and ID are known.
func (s *Store) List(ctx context.Context) ([]Image, error) {
	records, err := s.client.ImageService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	list := make([]Image, 0, len(records))
	for _, record := range records {
		image, err := s.describe(ctx, record)
		if errdefs.IsNotFound(err) {
			image = outline(record)
		} else if err != nil {
			return nil, err
		}
		list = append(list, *image)
	}
	return list, nil
}

// Remove removes an image's name, and what of its content no other image and
// no container needs. One that is not there is errdefs.ErrNotFound.
func (s *Store) Remove(ctx context.Context, ref string) error {
	record, err := s.find(ctx, ref)
	if err != nil {
		return err
	}
	if err := s.client.ImageService().Delete(ctx, record.Name, images.SynchronousDelete()); err != nil {
		return fmt.Errorf("remove image %q: %w", ref, err)
	}
	return nil
}

// find looks up the record that a reference means.
func (s *Store) find(ctx context.Context, ref string) (images.Image, error) {
	var none images.Image
	if d, err := digest.Parse(ref); err == nil {
		return s.findDigest(ctx, ref, d, nil)
	}
	named, err := parse(ref)
	if err != nil {
		return none, err
	}
	record, err := s.client.ImageService().Get(ctx, named.String())
	if digested, ok := named.(reference.Digested); ok && errdefs.IsNotFound(err) {
		return s.findDigest(ctx, ref, digested.Digest(), named)
	}
	if err != nil {
		return none, lookupError(ref, err)
	}
	return record, nil
}

// findDigest looks up a record with the digest and, unless it is nil, the
// repository of named.
func (s *Store) findDigest(ctx context.Context, ref string, d digest.Digest, named reference.Named) (images.Image, error) {
	records, err := s.client.ImageService().List(ctx, "target.digest=="+d.String())
	if err != nil {
		return images.Image{}, lookupError(ref, err)
	}
	for _, record := range records {
		of, err := parse(record.Name)
		if named == nil || err == nil && of.Name() == named.Name() {
			return record, nil
		}
	}
	return images.Image{}, lookupError(ref, errdefs.ErrNotFound)
}

func lookupError(ref string, err error) error {
	if errdefs.IsNotFound(err) {
		err = errdefs.ErrNotFound
	}
	return fmt.Errorf("image %q: %w", ref, err)
}

// outline says what is known of an image without reading its content.
func outline(record images.Image) *Image {
	image := &Image{Name: record.Name, Digest: record.Target.Digest.String()}
	if named, err := parse(record.Name); err == nil {
		image.ID = named.Name() + "@" + image.Digest
	} else {
		image.ID = image.Digest
	}
	return image
}

// describe reads what there is to know of an image.
func (s *Store) describe(ctx context.Context, record images.Image) (*Image, error) {
	image, provider := outline(record), documents{contentapi.NewContentClient(s.client.Conn().(grpc.ClientConnInterface))}
	manifest, err := images.Manifest(ctx, provider, record.Target, s.platform)
	if err != nil {
		return nil, fmt.Errorf("read image %q: %w", record.Name, err)
	}
	blob, err := content.ReadBlob(ctx, provider, manifest.Config)
	if err != nil {
		return nil, fmt.Errorf("read config of image %q: %w", record.Name, err)
	}
	var config imagespec.Image
	if err := json.Unmarshal(blob, &config); err != nil {
		return nil, fmt.Errorf("read config of image %q: %w", record.Name, err)
	}
	if config.OS != "" && config.Architecture != "" && !s.platform.Match(config.Platform) {
		return nil, fmt.Errorf("image %q: made for %s, not for this machine's %s: %w", record.Name,
			platforms.Format(config.Platform), platforms.Format(platforms.DefaultSpec()), errdefs.ErrNotFound)
	}
	image.Config, image.Platform, image.DiffIDs, image.Root = config.Config, config.Platform, config.RootFS.DiffIDs, record.Labels[s.labelRoot()]
	image.Size = record.Target.Size + manifest.Config.Size
	for _, layer := range manifest.Layers {
		image.Size += layer.Size
	}
	return image, nil
}

// unpack makes a snapshot of an image's root filesystem, if there is none yet.
func (s *Store) unpack(ctx context.Context, image *Image) error {
	chain := identity.ChainID(image.DiffIDs).String()
	_, err := s.client.SnapshotService(s.snapshotter).Stat(ctx, chain)
	if err == nil || chain == "" {
		return nil
	}
	if errdefs.IsNotFound(err) {
		var record images.Image
		if record, err = s.client.ImageService().Get(ctx, image.Name); err == nil {
			err = s.unpackRecord(ctx, record)
		}
	}
	if err != nil {
		return fmt.Errorf("unpack image %q: %w", image.Name, err)
	}
	return nil
}

// unpackRecord unpacks an image that may not be stored under its name yet.
func (s *Store) unpackRecord(ctx context.Context, record images.Image) error {
	return s.leased(ctx, func(ctx context.Context) error {
		return containerd.NewImageWithPlatform(s.client, record, s.platform).Unpack(ctx, s.snapshotter)
	})
}

// leased runs f so that nothing of what it creates is collected as garbage
// meanwhile.
func (s *Store) leased(ctx context.Context, f func(context.Context) error) error {
	manager, id := s.client.LeasesService(), "podrun-image-"+uuid.NewString()
	// Neither call is broken off with ctx: one that was may be heard all the
	// same, and later than the next one.
	create, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if _, err := manager.Create(create, leases.WithID(id), leases.WithExpiration(leaseTime)); err != nil {
		return fmt.Errorf("create lease: %w", err)
	}
	err := f(leases.WithLease(ctx, id))
	remove, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if e := manager.Delete(remove, leases.Lease{ID: id}); e != nil && !errdefs.IsNotFound(e) && err == nil {
		err = fmt.Errorf("delete lease: %w", e)
	}
	return err
}

// documents gives access to an image's JSON documents, within bounds. Each comes
// with one call: how long it is stands where it is referred to.
type documents struct{ content contentapi.ContentClient }

func (d documents) ReaderAt(ctx context.Context, desc imagespec.Descriptor) (content.ReaderAt, error) {
	if desc.Size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", desc.Digest, desc.Size, maxDocument)
	}
	ctx, cancel := context.WithTimeout(ctx, documentTime)
	defer cancel()
	stream, err := d.content.Read(ctx, &contentapi.ReadContentRequest{Digest: desc.Digest.String(), Size: desc.Size})
	if err != nil {
		return nil, errgrpc.ToNative(err)
	}
	var text []byte
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return document{bytes.NewReader(text)}, nil
		}
		if err != nil {
			return nil, errgrpc.ToNative(err)
		}
		if text = append(text, part.Data...); len(text) > maxDocument {
			return nil, fmt.Errorf("%s has more than %d bytes", desc.Digest, maxDocument)
		}
	}
}

// document is one that was read.
type document struct{ *bytes.Reader }

func (document) Close() error { return nil }
