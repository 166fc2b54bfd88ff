package container

import (
	"testing"

	v1 "k8s.io/api/core/v1"

	"podrun/container/image"
)

// TestStopSignal: the container's own signal counts, else its image's; SIGTERM is
// what neither says.
func TestStopSignal(t *testing.T) {
	t.Parallel()
	img := &image.Image{}
	options := CreateOptions{Container: &v1.Container{}, Image: img}
	if got := stopSignal(options); got != "" {
		t.Errorf("of nobody %q", got)
	}
	img.Config.StopSignal = "SIGQUIT"
	options.Container.Lifecycle = &v1.Lifecycle{}
	if got := stopSignal(options); got != "SIGQUIT" {
		t.Errorf("of the image %q", got)
	}
	options.Container.Lifecycle.StopSignal = new(v1.Signal("SIGUSR1"))
	if got := stopSignal(options); got != "SIGUSR1" {
		t.Errorf("of the container %q", got)
	}
}
