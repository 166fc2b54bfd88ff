package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/containerd/v2/core/transfer"
	transferimage "github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	v1 "k8s.io/api/core/v1"
)

const (
	// versionTime bounds how long a containerd may take to say its version.
	versionTime = 5 * time.Second
	// progressInterval is how often downloads are looked at.
	progressInterval = 200 * time.Millisecond
)

// A puller fetches an image and stores it under a name. It may leave unpacking
// to its caller.
type puller func(ctx context.Context, named reference.Named, creds *credentials, r *reporter) error

// Pull contacts the registry, fetches what of the image is not there yet, and
// unpacks it. It blocks until then. progress may be nil; it is not called after
// Pull has returned. Registries on this machine are spoken to without TLS when
// they have none. Errors are *Error, except when ctx is done.
func (s *Store) Pull(ctx context.Context, ref string, progress func(Progress)) (*Image, error) {
	return s.pullWith(ctx, ref, nil, progress)
}

// pullWith is Pull with the credentials that secrets hold.
func (s *Store) pullWith(ctx context.Context, ref string, secrets []v1.Secret, progress func(Progress)) (*Image, error) {
	named, err := parse(ref)
	if err != nil {
		return nil, err
	}
	// containerd's client tells its troubles to a log that everybody can see.
	ctx = log.WithLogger(ctx, quiet())
	r := &reporter{ref: ref, report: progress}
	defer r.close()
	image, err := s.pull(ctx, named, secrets, r)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("pull %q: %w", ref, context.Cause(ctx))
	}
	if err != nil {
		return nil, pullError(ref, named.String(), err)
	}
	return image, nil
}

// pull tries all credentials in turn, for as long as the registry wants others.
// The error is that of the first ones.
func (s *Store) pull(ctx context.Context, named reference.Named, secrets []v1.Secret, r *reporter) (*Image, error) {
	all, err := s.credentials(named.Name(), secrets)
	if err != nil {
		return nil, err
	}
	pull, err := s.choose(ctx)
	if err != nil {
		return nil, err
	}
	var first error
	for _, creds := range all {
		image, err := s.try(ctx, pull, named, creds, r)
		if err == nil {
			return image, nil
		}
		if first == nil {
			first = err
		}
		if !wantsOther(err) {
			break
		}
	}
	return nil, first
}

// wantsOther tells that somebody else might get the image. Registries hide what
// is not for everybody.
func wantsOther(err error) bool {
	class := classify(err)
	return class == errdefs.ErrUnauthenticated || class == errdefs.ErrPermissionDenied ||
		errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) || errdefs.IsNotFound(err)
}

// try pulls with one of the credentials.
func (s *Store) try(ctx context.Context, pull puller, named reference.Named, creds *credentials, r *reporter) (image *Image, err error) {
	err = s.leased(ctx, func(ctx context.Context) error {
		err := pull(ctx, named, creds, r)
		if err != nil {
			return errors.Join(err, creds.failure())
		}
		if image, err = s.Get(ctx, named.String()); err != nil {
			return err
		}
		return s.unpack(ctx, image)
	})
	return image, err
}

// choose says how images are pulled, which depends on containerd's version.
func (s *Store) choose(ctx context.Context) (puller, error) {
	s.pulling.Lock()
	defer s.pulling.Unlock()
	if s.puller != nil {
		return s.puller, nil
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	version, err := s.client.Version(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask containerd for its version: %w", err)
	}
	if major(version.Version) < 2 {
		s.puller = s.fetch
	} else {
		s.puller = s.transfer
	}
	return s.puller, nil
}

// major is the first number of a version such as v2.4.2 or 1.7.24~ds1. A
// version that does not have one is taken for a new one: what a daemon cannot
// do, it says.
func major(version string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 2
	}
	return n
}

// transfer has containerd fetch the image.
func (s *Store) transfer(ctx context.Context, named reference.Named, creds *credentials, r *reporter) error {
	source, err := registry.NewOCIRegistry(ctx, named.String(), registry.WithCredentials(creds), registry.WithHostDir(s.hostDir(named)))
	if err != nil {
		return err
	}
	platform := platforms.DefaultSpec()
	opts := []transferimage.StoreOpt{transferimage.WithPlatforms(platform), transferimage.WithManifestLimit(1)}
	if s.snapshotter == defaults.DefaultSnapshotter { // of others containerd may not know
		opts = append(opts, transferimage.WithUnpack(platform, s.snapshotter))
	}
	err = s.client.Transfer(ctx, source, transferimage.NewStore(named.String(), opts...), transfer.WithProgress(func(p transfer.Progress) {
		if status, ok := states[p.Event]; ok && p.Desc != nil && images.IsLayerType(p.Desc.MediaType) {
			r.tell(Progress{Layer: p.Desc.Digest.String(), Status: status, Current: p.Progress, Total: max(p.Total, p.Desc.Size)})
		}
	}))
	if errdefs.IsNotImplemented(err) {
		return s.fetch(ctx, named, creds, r)
	}
	return err
}

// hostDir is the first of the directories that has something for an image's
// registry, empty when none has.
func (s *Store) hostDir(named reference.Named) string {
	for _, dir := range s.hostDirs {
		if _, err := config.HostDirFromRoot(dir)(reference.Domain(named)); err == nil {
			return dir
		}
	}
	return ""
}

// states are the transfer service's names for what becomes of a layer.
var states = map[string]string{
	"waiting":        Waiting,
	"downloading":    Downloading,
	"complete":       Downloaded,
	"already exists": Downloaded,
	"extracting":     Unpacking,
	"extracted":      Unpacked,
}

// fetch fetches the image in this process.
func (s *Store) fetch(ctx context.Context, named reference.Named, creds *credentials, r *reporter) error {
	options := config.HostOptions{Credentials: func(host string) (string, string, error) { return creds.lookup(ctx, host) }}
	if dir := s.hostDir(named); dir != "" {
		options.HostDir = config.HostDirFromRoot(dir)
	}
	layers := make(chan imagespec.Descriptor)
	watched := make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	go func() {
		defer close(watched)
		s.watch(watching, layers, r)
	}()
	defer func() {
		stop()
		<-watched
	}()
	_, err := s.client.Pull(ctx, named.String(),
		containerd.WithPullUnpack,
		containerd.WithPullSnapshotter(s.snapshotter),
		containerd.WithPlatformMatcher(s.platform),
		containerd.WithResolver(docker.NewResolver(docker.ResolverOptions{Hosts: config.ConfigureHosts(ctx, options)})),
		containerd.WithImageHandler(images.HandlerFunc(func(_ context.Context, desc imagespec.Descriptor) ([]imagespec.Descriptor, error) {
			if images.IsLayerType(desc.MediaType) {
				select {
				case layers <- desc:
				case <-watching.Done():
				}
			}
			return nil, nil
		})),
	)
	return err
}

// watch reports how far the downloads of layers have come, until ctx is done.
func (s *Store) watch(ctx context.Context, layers <-chan imagespec.Descriptor, r *reporter) {
	pending := map[string]imagespec.Descriptor{} // by the key that their download has
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case layer := <-layers:
			pending[remotes.MakeRefKey(ctx, layer)] = layer
			r.tell(Progress{Layer: layer.Digest.String(), Status: Waiting, Total: layer.Size})
			continue
		case <-ticker.C:
		}
		if len(pending) == 0 || r.report == nil {
			continue
		}
		active, err := s.client.ContentStore().ListStatuses(ctx)
		if err != nil {
			continue // progress is not worth an error
		}
		for _, download := range active {
			if layer, ok := pending[download.Ref]; ok {
				r.tell(Progress{Layer: layer.Digest.String(), Status: Downloading, Current: download.Offset, Total: layer.Size})
			}
		}
		for key, layer := range pending {
			if _, err := s.client.ContentStore().Info(ctx, layer.Digest); err == nil {
				delete(pending, key)
				r.tell(Progress{Layer: layer.Digest.String(), Status: Downloaded, Current: layer.Size, Total: layer.Size})
			}
		}
	}
}

func quiet() *log.Entry {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logrus.NewEntry(logger)
}
