package oci

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestContainerMounts(t *testing.T) {
	t.Parallel()
	shared := []Mount{{Source: "/s/hosts", Destination: "/etc/hosts"}, {Source: "/s/shm", Destination: "/dev/shm"}}
	defaults := "/proc /dev /dev/pts /dev/mqueue /sys /sys/fs/cgroup "
	for _, test := range []struct {
		name            string
		own             []Mount
		want            string
		rootPropagation string
	}{
		{"none", nil, defaults + "/etc/hosts=/s/hosts /dev/shm=/s/shm", ""},
		{"by depth, stable", []Mount{{Source: "1", Destination: "/a/b/c"}, {Source: "2", Destination: "/z"}, {Source: "3", Destination: "/a/"}},
			defaults + "/z=2 /a=3 /etc/hosts=/s/hosts /dev/shm=/s/shm /a/b/c=1", ""},
		{"own wins over shared", []Mount{{Source: "1", Destination: "/etc//hosts"}, {Source: "2", Destination: "/dev/shm"}},
			defaults + "/etc/hosts=1 /dev/shm=2", ""},
		{"own wins over defaults", []Mount{{Source: "1", Destination: "/sys"}, {Source: "2", Destination: "/dev/mqueue"}},
			"/proc /dev /dev/pts /sys/fs/cgroup /sys=1 /dev/mqueue=2 /etc/hosts=/s/hosts /dev/shm=/s/shm", ""},
		{"own /dev", []Mount{{Source: "1", Destination: "/dev"}},
			"/proc /sys /sys/fs/cgroup /dev=1 /etc/hosts=/s/hosts /dev/shm=/s/shm", ""},
		{"relative", []Mount{{Source: "1", Destination: "data"}},
			defaults + "/data=1 /etc/hosts=/s/hosts /dev/shm=/s/shm", ""},
		{"slave root", []Mount{{Source: "1", Destination: "/a", Propagation: v1.MountPropagationHostToContainer}},
			defaults + "/a=1 /etc/hosts=/s/hosts /dev/shm=/s/shm", "rslave"},
		{"shared root", []Mount{
			{Source: "1", Destination: "/a", Propagation: v1.MountPropagationBidirectional},
			{Source: "2", Destination: "/b", Propagation: v1.MountPropagationHostToContainer},
		}, defaults + "/a=1 /b=2 /etc/hosts=/s/hosts /dev/shm=/s/shm", "rshared"},
	} {
		in := input()
		in.Mounts, in.Shared.Mounts = test.own, shared
		mounts, propagation := containerMounts(in)
		var got []string
		for _, m := range mounts {
			entry := m.Destination
			if m.Type == "bind" {
				entry += "=" + m.Source
			}
			got = append(got, entry)
		}
		if text := strings.Join(got, " "); text != test.want || propagation != test.rootPropagation {
			t.Errorf("%s:\n got %s %q\nwant %s %q", test.name, text, propagation, test.want, test.rootPropagation)
		}
	}
}

func TestMountOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mount Mount
		want  string
	}{
		{Mount{}, "bind rbind,rprivate,rw"},
		{Mount{ReadOnly: true, Propagation: v1.MountPropagationNone}, "bind rbind,rprivate,ro"},
		{Mount{Propagation: v1.MountPropagationHostToContainer}, "bind rbind,rslave,rw"},
		{Mount{Propagation: v1.MountPropagationBidirectional, Options: []string{"noexec"}}, "bind rbind,rshared,rw,noexec"},
		{Mount{Type: "tmpfs", Options: []string{"size=1m"}}, "tmpfs rw,size=1m"},
	} {
		m := test.mount.spec()
		if got := m.Type + " " + strings.Join(m.Options, ","); got != test.want {
			t.Errorf("%+v: got %s, want %s", test.mount, got, test.want)
		}
	}
}
