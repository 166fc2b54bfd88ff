package image

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
)

// digestBegin is a digest, or as much of its beginning as is shown to people.
var digestBegin = regexp.MustCompile(`^sha256:[0-9a-f]{6,64}$`)

// Match returns the images that a person means: the one of that name, or all
// that have a digest, of which the beginning is enough when no other digest has
// it. Only what Image says without reading content is known of them. None is
// errdefs.ErrNotFound.
func (s *Store) Match(ctx context.Context, ref string) ([]Image, error) {
	record, err := s.find(ctx, ref)
	if err == nil && !digestBegin.MatchString(ref) {
		return []Image{*outline(record)}, nil
	}
	if !digestBegin.MatchString(ref) {
		return nil, err
	}
	records, err := s.client.ImageService().List(ctx)
	if err != nil {
		return nil, lookupError(ref, err)
	}
	return matchDigest(ref, records)
}

func matchDigest(ref string, records []images.Image) ([]Image, error) {
	var found []Image
	for _, record := range records {
		if !strings.HasPrefix(record.Target.Digest.String(), ref) {
			continue
		}
		if len(found) > 0 && found[0].Digest != record.Target.Digest.String() {
			return nil, fmt.Errorf("image %q: %w: several digests begin so", ref, errdefs.ErrInvalidArgument)
		}
		found = append(found, *outline(record))
	}
	if len(found) == 0 {
		return nil, lookupError(ref, errdefs.ErrNotFound)
	}
	return found, nil
}
