package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// pauseRepository names images of the bundled pause program. There is no such
// registry: they cannot be pulled.
const pauseRepository = "podrun.local/pause"

// mountPoints are the directories of the image of the bundled pause program: what
// a runtime mounts in every container has a place in it.
var mountPoints = []string{"dev", "proc", "sys"}

// ImportPause stores and unpacks an image that holds nothing but a static
// program, as /pause, and returns it. Its containers can share one root filesystem,
// its Root. Its name follows from version, which stands for the program's content:
// when there is such an image already, the program is not even read.
func (s *Store) ImportPause(ctx context.Context, program, version string) (*Image, error) {
	name := pauseRepository + ":" + version
	image, err := s.Get(ctx, name)
	if !errdefs.IsNotFound(err) {
		return image, err
	}
	file, err := os.ReadFile(program)
	if err == nil {
		err = s.leased(ctx, func(ctx context.Context) error { return s.importPause(ctx, name, file) })
	}
	if err != nil {
		return nil, fmt.Errorf("import pause image: %w", err)
	}
	return s.Get(ctx, name)
}

// importPause writes what the image consists of, unpacks it, and only then
// gives it its name, so that what has the name is complete.
func (s *Store) importPause(ctx context.Context, name string, program []byte) error {
	layer, err := layerOf("pause", program)
	if err != nil {
		return err
	}
	parts, err := pauseImage(layer)
	if err != nil {
		return err
	}
	for _, p := range parts {
		err := content.WriteBlob(ctx, s.client.ContentStore(), name+"/"+p.desc.Digest.String(), bytes.NewReader(p.data), p.desc, content.WithLabels(p.labels))
		if err != nil {
			return err
		}
	}
	record := images.Image{Name: name, Target: parts[len(parts)-1].desc, Labels: map[string]string{s.labelRoot(): name}}
	if err := s.unpackRecord(ctx, record); err != nil {
		return err
	}
	_, err = s.client.SnapshotService(s.snapshotter).View(ctx, name, parts[0].desc.Digest.String())
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	return s.put(ctx, record)
}

// labelRoot is the label of an image that names its Root. Such a reference keeps
// containerd from taking what it names for garbage.
func (s *Store) labelRoot() string { return "containerd.io/gc.ref.snapshot." + s.snapshotter }

// A part is a blob of an image.
type part struct {
	desc   imagespec.Descriptor
	data   []byte
	labels map[string]string // by which containerd knows what it refers to
}

// pauseImage gives the parts of an image of one layer: layer, config, manifest.
func pauseImage(layer []byte) ([]part, error) {
	first := newPart(imagespec.MediaTypeImageLayer, layer)
	config, err := json.Marshal(imagespec.Image{
		Platform: platforms.DefaultSpec(),
		Config:   imagespec.ImageConfig{Entrypoint: []string{"/pause"}},
		RootFS:   imagespec.RootFS{Type: "layers", DiffIDs: []digest.Digest{first.desc.Digest}},
	})
	if err != nil {
		return nil, err
	}
	second := newPart(imagespec.MediaTypeImageConfig, config)
	manifest, err := json.Marshal(imagespec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: imagespec.MediaTypeImageManifest,
		Config:    second.desc,
		Layers:    []imagespec.Descriptor{first.desc},
	})
	if err != nil {
		return nil, err
	}
	third := newPart(imagespec.MediaTypeImageManifest, manifest)
	third.labels = map[string]string{
		"containerd.io/gc.ref.content.config": second.desc.Digest.String(),
		"containerd.io/gc.ref.content.l.0":    first.desc.Digest.String(),
	}
	return []part{first, second, third}, nil
}

func newPart(mediaType string, data []byte) part {
	return part{
		desc: imagespec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))},
		data: data,
	}
}

// layerOf makes a layer of one program and mountPoints. The same program makes the
// same layer.
func layerOf(name string, program []byte) ([]byte, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, dir := range mountPoints {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}
