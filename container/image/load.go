package image

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// nameless is where images go that an archive has no name for: by digest.
const nameless = "podrun.local/load"

// Load stores and unpacks the images of an OCI or docker archive, which may be
// compressed with gzip or zstd, and returns them. They get the names that the
// archive gives them, normalised; one without gets podrun.local/load@DIGEST.
// After an error some of the images may have been stored.
func (s *Store) Load(ctx context.Context, r io.Reader) (loaded []Image, err error) {
	archive, err := decompress(r)
	if err != nil {
		return nil, fmt.Errorf("load images: %w", err)
	}
	defer archive.Close()
	err = s.leased(ctx, func(ctx context.Context) error {
		records, err := s.client.Import(ctx, archive,
			containerd.WithImportPlatform(s.platform),
			containerd.WithImageRefTranslator(refName),
			containerd.WithDigestRef(func(d digest.Digest) string { return nameless + "@" + d.String() }),
			containerd.WithSkipDigestRef(func(name string) bool { return name != "" }),
		)
		if errors.Is(err, images.ErrEmptyWalk) || err == nil && len(records) == 0 {
			return fmt.Errorf("the archive holds none for %s", platforms.Format(platforms.DefaultSpec()))
		}
		if err != nil {
			return err
		}
		for _, record := range records {
			image, err := s.adopt(ctx, record)
			if err != nil {
				return err
			}
			loaded = append(loaded, *image)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load images: %w", err)
	}
	return loaded, nil
}

// adopt gives an imported image its proper name and unpacks it.
func (s *Store) adopt(ctx context.Context, record images.Image) (*Image, error) {
	name, err := Normalize(record.Name)
	if err != nil {
		return nil, err
	}
	if old := record.Name; name != old {
		record.Name = name
		if err := s.put(ctx, record); err != nil {
			return nil, err
		}
		if err := s.client.ImageService().Delete(ctx, old); err != nil && !errdefs.IsNotFound(err) {
			return nil, err
		}
	}
	image, err := s.describe(ctx, record)
	if err != nil {
		return nil, err
	}
	return image, s.unpack(ctx, image)
}

// put stores a record in place of one that may have its name.
func (s *Store) put(ctx context.Context, record images.Image) error {
	_, err := s.client.ImageService().Create(ctx, record)
	if errdefs.IsAlreadyExists(err) {
		fields := []string{"target"}
		for label := range record.Labels {
			fields = append(fields, "labels."+label)
		}
		_, err = s.client.ImageService().Update(ctx, record, fields...)
	}
	return err
}

// refName is what an OCI archive calls an image: a name or, of no use alone, a tag.
func refName(ref string) string {
	if !strings.ContainsAny(ref, "/:@") {
		return ""
	}
	return ref
}

// decompress finds out how an archive is compressed and undoes it.
func decompress(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReader(r)
	magic, err := buffered.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		decoder, err := zstd.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}
