package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// busybox is where Debian's package busybox-static has its program.
const busybox = "/bin/busybox"

// file is one entry of an image's only layer.
type file struct {
	name string // without a leading slash; with a slash at its end it is a directory
	mode int64
	data []byte
	link string // the target of a symbolic link
	fifo bool
}

// Busybox makes an image with all of busybox' applets, users root and nobody,
// and /tmp. It runs sh.
func Busybox() (v1.Image, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, fmt.Errorf("make busybox image (Debian package busybox-static): %w", err)
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("make busybox image: %w", err)
	}
	files := []file{
		{name: "bin/", mode: 0o755},
		{name: "bin/busybox", mode: 0o755, data: program},
		{name: "etc/", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nwheel:x:10:root\nnogroup:x:65534:\n")},
		{name: "root/", mode: 0o700},
		{name: "tmp/", mode: 0o1777},
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			files = append(files, file{name: "bin/" + applet, mode: 0o777, link: "busybox"})
		}
	}
	return image(files, v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}})
}

// Static makes an image of nothing but one static executable, which it runs as
// /NAME.
func Static(name, path string) (v1.Image, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("make image of %s: %w", path, err)
	}
	return image([]file{{name: name, mode: 0o755, data: program}}, v1.Config{
		Entrypoint: []string{"/" + name},
		Env:        []string{"FROM_IMAGE=yes"},
	})
}

// With makes an image of another one, with a change of its configuration.
func With(img v1.Image, change func(*v1.Config)) (v1.Image, error) {
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("change image: %w", err)
	}
	cf = cf.DeepCopy()
	change(&cf.Config)
	return mutate.ConfigFile(img, cf)
}

func image(files []file, config v1.Config) (v1.Image, error) {
	img, err := add(empty.Image, files)
	if err != nil {
		return nil, err
	}
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture, cf.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(img, cf)
}

// WithFile makes an image of another one, with one more file.
func WithFile(img v1.Image, name, text string) (v1.Image, error) {
	return add(img, []file{{name: name, mode: 0o644, data: []byte(text)}})
}

// WithLink makes an image of another one, with one more symbolic link.
func WithLink(img v1.Image, name, target string) (v1.Image, error) {
	return add(img, []file{{name: name, mode: 0o777, link: target}})
}

// WithFIFO makes an image of another one, with one more FIFO.
func WithFIFO(img v1.Image, name string) (v1.Image, error) {
	return add(img, []file{{name: name, mode: 0o644, fifo: true}})
}

// add puts a layer of files on top of an image.
func add(img v1.Image, files []file) (v1.Image, error) {
	data, err := archive(files)
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	img, err = mutate.AppendLayers(img, layer)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	return img, nil
}

func archive(files []file) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Linkname: f.link, Typeflag: tar.TypeReg}
		switch {
		case f.link != "":
			h.Typeflag = tar.TypeSymlink
		case f.fifo:
			h.Typeflag = tar.TypeFifo
		case strings.HasSuffix(f.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
