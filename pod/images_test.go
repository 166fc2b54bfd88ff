package pod

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"

	"podrun/container/image"
	"podrun/sandbox"
)

// A pod uses the images of all its containers and volumes, and that of pause.
func TestImageUsers(t *testing.T) {
	t.Parallel()
	of := func(name string, change func(*v1.PodSpec)) *sandbox.Sandbox {
		pod := &v1.Pod{}
		pod.Name = name
		pod.Spec.Containers = []v1.Container{{Image: "other:1"}}
		change(&pod.Spec)
		return &sandbox.Sandbox{Pod: pod, Image: "pause.test/pause:1"}
	}
	const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	records := []*sandbox.Sandbox{
		of("volume", func(s *v1.PodSpec) {
			s.Volumes = []v1.Volume{{}, {VolumeSource: v1.VolumeSource{Image: &v1.ImageVolumeSource{Reference: "busybox"}}}}
		}),
		of("app", func(s *v1.PodSpec) {
			s.Containers = append(s.Containers, v1.Container{Image: "docker.io/library/busybox"})
		}),
		of("init", func(s *v1.PodSpec) { s.InitContainers = []v1.Container{{Image: "busybox:latest"}} }),
		of("digest", func(s *v1.PodSpec) { s.Containers[0].Image = "busybox@" + digest }),
		of("tag", func(s *v1.PodSpec) { s.Containers[0].Image = "busybox:1" }),
		of("repository", func(s *v1.PodSpec) { s.Containers[0].Image = "elsewhere.test/busybox@" + digest }),
		of("none", func(*v1.PodSpec) {}),
	}
	busybox := image.Image{Name: "docker.io/library/busybox:latest", ID: "docker.io/library/busybox@" + digest, Digest: digest}
	if got := imageUsers(records, busybox); !slices.Equal(got, []string{"app", "digest", "init", "volume"}) {
		t.Errorf("busybox is used by %q", got)
	}
	if got := imageUsers(records, image.Image{Name: "pause.test/pause:1"}); len(got) != len(records) {
		t.Errorf("pause is used by %q", got)
	}
}
