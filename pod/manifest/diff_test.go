package manifest

import (
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const shop = `
apiVersion: v1
kind: Pod
metadata: {name: shop, labels: {app: shop}}
spec:
  containers:
  - name: web
    image: nginx:1
    args: [a, b]
    env: [{name: A, value: "1"}]
    resources: {limits: {cpu: 1, memory: 1Gi}}
    ports: [{containerPort: 80}]
  - name: side
    image: busybox
  volumes:
  - {name: a, emptyDir: {}}
`

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		old, new string // in shop: what becomes what
		want     []string
	}{
		{"", "", nil},
		{"cpu: 1,", "cpu: 1000m,", nil},
		{"1Gi", "1024Mi", nil},
		{"memory: 1Gi", "memory: 1073741824", nil},
		{"image: busybox", "image: busybox\n    args: []", nil},
		{"nginx:1", "nginx:2", []string{"spec.containers[0].image"}},
		{"[a, b]", "[b, a]", []string{"spec.containers[0].args"}},
		{"app: shop", "app: web, x: z", []string{"metadata.labels[app]", "metadata.labels[x]"}},
		{"labels: {app: shop}", "annotations: {a/b: c}", []string{"metadata.annotations[a/b]", "metadata.labels[app]"}},
		{`value: "1"`, `value: "2"`, []string{"spec.containers[0].env[0].value"}},
		{"cpu: 1, ", "", []string{"spec.containers[0].resources.limits[cpu]", "spec.containers[0].resources.requests[cpu]"}},
		{"  - name: side\n    image: busybox\n", "", []string{"spec.containers[1]"}},
		{"emptyDir: {}", "hostPath: {path: /x}", []string{"spec.volumes[0].emptyDir", "spec.volumes[0].hostPath"}},
		{"spec:", "spec:\n  terminationGracePeriodSeconds: 1\n  hostNetwork: true", []string{
			"spec.containers[0].ports[0].hostPort", "spec.hostNetwork", "spec.terminationGracePeriodSeconds"}},
		{"name: side", "name: other", []string{"spec.containers[1].name"}},
	} {
		changed := load(t, strings.Replace(shop, test.old, test.new, 1))
		changed.UID, changed.CreationTimestamp, changed.Status.Phase = "x", metav1.NewTime(time.Unix(1, 0)), v1.PodRunning
		if got := Diff(load(t, shop), changed); !slices.Equal(got, test.want) {
			t.Errorf("%q to %q: %q, want %q", test.old, test.new, got, test.want)
		}
	}
}

func load(t *testing.T, text string) *v1.Pod {
	t.Helper()
	m, err := Load([]Source{{Name: "shop", Data: []byte(text)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Pods[0]
}
