package container

import (
	"regexp"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/google/uuid"
	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// The categories follow from the UID, and are two.
func TestLevel(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^s0:c(\d{1,4}),c(\d{1,4})$`)
	seen := map[string]bool{}
	for range 2000 {
		uid := uuid.NewString()
		level := levelOf(uid)
		parts := form.FindStringSubmatch(level)
		if parts == nil || parts[1] == parts[2] || level != levelOf(uid) {
			t.Fatalf("%s has %s, then %s", uid, level, levelOf(uid))
		}
		seen[level] = true
	}
	if len(seen) < 1980 { // of half a million
		t.Errorf("2000 pods have %d levels", len(seen))
	}
}

// Who asks for nothing gets nothing, and who asks for something gets an error where
// there is no SELinux.
func TestLabels(t *testing.T) {
	t.Parallel()
	none, empty, some := &v1.Pod{}, &v1.Pod{}, &v1.Pod{}
	empty.Spec.SecurityContext = &v1.PodSecurityContext{SELinuxOptions: &v1.SELinuxOptions{}}
	some.Spec.SecurityContext = &v1.PodSecurityContext{SELinuxOptions: &v1.SELinuxOptions{Type: "a_t"}}
	own := &v1.Container{SecurityContext: &v1.SecurityContext{SELinuxOptions: &v1.SELinuxOptions{}}}
	for name, test := range map[string]struct {
		pod  *v1.Pod
		c    *v1.Container
		asks bool
	}{
		"nothing":                        {none, &v1.Container{}, false},
		"a sandbox of nothing":           {none, nil, false},
		"an empty wish":                  {empty, &v1.Container{}, false},
		"the pod's":                      {some, &v1.Container{}, true},
		"its sandbox":                    {some, nil, true},
		"nothing of its own for the pod": {some, own, false},
	} {
		labels, err := Labels(test.pod, test.c)
		if test.asks == (err == nil && labels == oci.Labels{}) || !test.asks && err != nil {
			t.Errorf("%s: %+v, %v", name, labels, err)
		}
	}
}

func TestLabelled(t *testing.T) {
	t.Parallel()
	mounts := []mount.Mount{{Type: "overlay", Options: []string{"a"}}, {Type: "bind", Options: []string{"b"}}}
	if got := Labelled(mounts, ""); !slices.Equal(got[0].Options, []string{"a"}) {
		t.Errorf("without a label: %v", got)
	}
	got := Labelled(mounts, "u:r:t:s0:c1,c2")
	if !slices.Equal(got[0].Options, []string{"a", `context="u:r:t:s0:c1,c2"`}) || !slices.Equal(got[1].Options, []string{"b"}) {
		t.Errorf("got %v", got)
	}
	if len(mounts[0].Options) != 1 {
		t.Errorf("what was given is changed: %v", mounts)
	}
}
