package volume

import (
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestHugePageSize(t *testing.T) {
	t.Parallel()
	requests := func(names ...v1.ResourceName) v1.ResourceRequirements {
		list := v1.ResourceList{}
		for _, name := range names {
			list[name] = resource.MustParse("4Mi")
		}
		return v1.ResourceRequirements{Requests: list}
	}
	const small, large = "hugepages-2Mi", "hugepages-1Gi"
	for name, test := range map[string]struct {
		pod, init, app v1.ResourceRequirements
		medium         v1.StorageMedium
		want, err      string
	}{
		"the only size":         {app: requests(small, v1.ResourceMemory), medium: "HugePages", want: "2Mi"},
		"of an init container":  {init: requests(large), medium: "HugePages", want: "1Gi"},
		"of the pod":            {pod: requests(small), medium: "HugePages", want: "2Mi"},
		"the named one":         {app: requests(small, large), medium: "HugePages-1Gi", want: "1Gi"},
		"one of two":            {app: requests(small), init: requests(large), medium: "HugePages", err: "medium: HugePages can't be used if container requests multiple huge page sizes"},
		"none":                  {app: requests(v1.ResourceMemory), medium: "HugePages", err: "medium HugePages: hugePages storage requested, but there is no resource request for huge pages"},
		"another than is named": {app: requests(small), medium: "HugePages-1Gi", err: "medium HugePages-1Gi: hugePages storage requested, but there is no resource request for huge pages"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pod()
			p.Spec.Resources, p.Spec.Containers[0].Resources = &test.pod, test.app
			p.Spec.InitContainers = []v1.Container{{Resources: test.init}}
			got, err := hugePageSize(p, test.medium)
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err || err == nil && got.String() != test.want {
				t.Errorf("got %s, %v, want %s", got.String(), err, test.want)
			}
		})
	}
}

func TestHugePagesAreMounted(t *testing.T) {
	dir := volumeDir(t)
	p := pod(emptyDir("pages", v1.EmptyDirVolumeSource{Medium: "HugePages"}))
	p.Spec.Containers[0].Resources.Requests = v1.ResourceList{"hugepages-2Mi": resource.MustParse("4Mi")}
	setUp(t, dir, p)
	path := setUp(t, dir, p)["pages"]
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(mounts) != 1 || mounts[0].FSType != "hugetlbfs" || !strings.Contains(mounts[0].VFSOptions, "pagesize=2M") {
		t.Errorf("mounts = %+v, want one hugetlbfs of 2M", mounts)
	}
}
