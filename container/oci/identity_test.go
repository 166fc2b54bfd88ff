package oci

import (
	"reflect"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestIdentityOf(t *testing.T) {
	t.Parallel()
	id := func(n int64) *int64 { return &n }
	gid := func(n uint32) *uint32 { return &n }
	for _, test := range []struct {
		name  string
		pod   v1.PodSecurityContext
		own   *v1.SecurityContext
		image string
		want  Identity
	}{
		{"nothing is root", v1.PodSecurityContext{}, nil, "", Identity{User: "0"}},
		{"the image's name", v1.PodSecurityContext{}, nil, "app", Identity{User: "app"}},
		{"the image's number, not its group", v1.PodSecurityContext{}, nil, "5:6", Identity{User: "5"}},
		{"the pod's", v1.PodSecurityContext{RunAsUser: id(7)}, nil, "app", Identity{User: "7"}},
		{"the container's wins", v1.PodSecurityContext{RunAsUser: id(7), RunAsGroup: id(8)},
			&v1.SecurityContext{RunAsUser: id(0)}, "app", Identity{User: "0", Group: gid(8)}},
		{"a group alone", v1.PodSecurityContext{}, &v1.SecurityContext{RunAsGroup: id(9)}, "app", Identity{User: "app", Group: gid(9)}},
		{"groups", v1.PodSecurityContext{
			FSGroup: id(3), SupplementalGroups: []int64{2, 4}, SupplementalGroupsPolicy: new(v1.SupplementalGroupsPolicyStrict),
		}, nil, "", Identity{User: "0", Groups: []uint32{3, 2, 4}, Strict: true}},
		{"not root", v1.PodSecurityContext{RunAsNonRoot: new(true)}, nil, "5", Identity{User: "5"}},
		{"not root by the pod's user", v1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: id(5)}, nil, "app", Identity{User: "5"}},
		{"the container may be root", v1.PodSecurityContext{RunAsNonRoot: new(true)},
			&v1.SecurityContext{RunAsNonRoot: new(false)}, "", Identity{User: "0"}},
	} {
		in := input()
		in.Pod.Spec.SecurityContext, in.Container.SecurityContext = &test.pod, test.own
		if got, err := IdentityOf(in.Pod, in.Container, test.image); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestIdentityOfRoot(t *testing.T) {
	t.Parallel()
	where := ` (pod: "shop_default(` + uid + `)", container: web)`
	for image, want := range map[string]string{
		"":      "container has runAsNonRoot and image will run as root",
		"0":     "container has runAsNonRoot and image will run as root",
		"0:7":   "container has runAsNonRoot and image will run as root",
		"+0":    "container has runAsNonRoot and image will run as root",
		"app":   "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
		"0x1":   "container has runAsNonRoot and image has non-numeric user (0x1), cannot verify user is non-root",
		"5:app": "",
	} {
		in := input()
		in.Container.SecurityContext = &v1.SecurityContext{RunAsNonRoot: new(true)}
		_, err := IdentityOf(in.Pod, in.Container, image)
		checkConfigError(t, image, err, want, where)
	}
	in := input()
	in.Container.SecurityContext = &v1.SecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(0))}
	_, err := IdentityOf(in.Pod, in.Container, "5")
	checkConfigError(t, "runAsUser 0", err, "container's runAsUser breaks non-root policy", where)
}

func checkConfigError(t *testing.T, name string, err error, want, where string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	if config, ok := err.(*ConfigError); !ok || config.Message != want+where {
		t.Errorf("%s: got %v, want %s", name, err, want+where)
	}
}

func TestCheckIDs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"2147483648", "4294967296", "-1", "99999999999999999999", "0:4294967296", "app:-5", "1-2"} {
		if CheckIDs(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, good := range []string{"", "0", "2147483647:0", "app:app", "a1", ":"} {
		if err := CheckIDs(good); err != nil {
			t.Error(err)
		}
	}
}
