package image

import (
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMatchDigest(t *testing.T) {
	t.Parallel()
	record := func(name, begin string) images.Image {
		return images.Image{Name: name, Target: imagespec.Descriptor{
			Digest: digest.Digest("sha256:" + begin + strings.Repeat("0", 64-len(begin))),
		}}
	}
	records := []images.Image{record("a:1", "abcdef1"), record("a:2", "abcdef1"), record("b:1", "abcdef2"), record("c:1", "012345")}
	for ref, want := range map[string]string{
		"sha256:abcdef1": "a:1 a:2", "sha256:abcdef2": "b:1", "sha256:012345": "c:1", "sha256:012345" + strings.Repeat("0", 58): "c:1",
	} {
		found, err := matchDigest(ref, records)
		var names []string
		for _, image := range found {
			names = append(names, image.Name)
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%s: %q, %v", ref, names, err)
		}
	}
	if _, err := matchDigest("sha256:abcdef", records); !errdefs.IsInvalidArgument(err) {
		t.Errorf("several digests: %v", err)
	}
	if _, err := matchDigest("sha256:999999", records); !errdefs.IsNotFound(err) {
		t.Errorf("no digest: %v", err)
	}
}
