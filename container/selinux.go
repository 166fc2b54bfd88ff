package container

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/opencontainers/selinux/go-selinux"
	"github.com/opencontainers/selinux/go-selinux/label"
	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// SELinux says whether this machine has SELinux, and a policy that knows containers.
func SELinux() bool {
	labels, err := draw()
	return err == nil && labels != (oci.Labels{})
}

// draw makes labels as the policy has them for all containers, but for what is
// wished: "level:s0:c1,c2". They are empty on a machine without SELinux.
func draw(wishes ...string) (oci.Labels, error) {
	process, files, err := label.InitLabels(wishes)
	if err != nil || process == "" {
		return oci.Labels{}, err
	}
	selinux.ReleaseLabel(process) // nobody else is kept from its categories
	return oci.Labels{Process: process, Files: files}, nil
}

// Labels are SELinux' for a container, or for a pod's sandbox with none; empty when
// neither it nor its pod asks for SELinux. What is not asked for is as the policy
// has it for all containers (lxc_contexts). The categories that keep a pod from the
// files of others follow from its UID, where the runtimes of CRI draw them by lot:
// nobody needs to remember them.
func Labels(pod *v1.Pod, c *v1.Container) (oci.Labels, error) {
	options := oci.SELinux(pod, c)
	if options == nil {
		return oci.Labels{}, nil
	}
	level := options.Level
	if level == "" {
		level = levelOf(string(pod.UID))
	}
	wishes := []string{"level:" + level}
	for name, value := range map[string]string{"user": options.User, "role": options.Role, "type": options.Type} {
		if value != "" {
			wishes = append(wishes, name+":"+value)
		}
	}
	labels, err := draw(wishes...)
	if err == nil && labels == (oci.Labels{}) {
		err = errors.New("this machine has no SELinux, or a policy that does not know containers")
	}
	if err != nil {
		return oci.Labels{}, fmt.Errorf("make SELinux labels: %w", err)
	}
	return labels, nil
}

// categories is how many a policy has, c0 to c1023.
const categories = 1024

// levelOf is a level with two categories, which follow from a UID.
func levelOf(uid string) string {
	sum := sha256.Sum256([]byte(uid))
	first := binary.BigEndian.Uint64(sum[:]) % categories
	second := binary.BigEndian.Uint64(sum[8:]) % (categories - 1)
	if second >= first {
		second++
	}
	return fmt.Sprintf("s0:c%d,c%d", min(first, second), max(first, second))
}

// Labelled is a file system whose files all have a label, where it is one that can.
func Labelled(mounts []mount.Mount, files string) []mount.Mount {
	context := label.FormatMountLabel("", files)
	if context == "" {
		return mounts
	}
	labelled := slices.Clone(mounts)
	for i, m := range labelled {
		if m.Type == "overlay" {
			labelled[i].Options = append(slices.Clone(m.Options), context)
		}
	}
	return labelled
}

// relabel gives a container's label to the files that it is to write to, and to what
// is its pod's own of its volumes. The sandbox' files get the pod's label, if that
// has one: they are for all containers.
func (o CreateOptions) relabel(files string) error {
	if files == "" {
		return nil
	}
	pods, err := Labels(o.Pod, nil)
	if err != nil {
		return err
	}
	return errors.Join(
		relabel(files, append(own(o.Mounts), o.Stdout, o.Stderr)...),
		relabel(cmp.Or(pods.Files, files), own(o.Shared.Mounts)...),
	)
}

// own are the sources of the mounts that are the pod's own.
func own(mounts []oci.Mount) (sources []string) {
	for _, m := range mounts {
		if m.Relabel {
			sources = append(sources, m.Source)
		}
	}
	return sources
}

// relabel gives files a label, and all below them. What has it is left as it is, so
// that nothing is walked through twice.
func relabel(files string, paths ...string) error {
	if files == "" {
		return nil
	}
	for _, path := range paths {
		current, err := selinux.LfileLabel(path)
		if err == nil && current == files {
			continue
		}
		if err := label.Relabel(path, files, false); err != nil {
			return fmt.Errorf("relabel %s: %w", path, err)
		}
	}
	return nil
}

// inherit has the files that will be made in a directory get a container's label.
func inherit(files, dir string) error {
	if files == "" {
		return nil
	}
	return selinux.SetFileLabel(dir, files)
}
