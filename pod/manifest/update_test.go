package manifest

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
)

func TestFixedInPods(t *testing.T) {
	t.Parallel()
	base := func() *v1.Pod {
		deadline, grace := int64(100), int64(-1)
		pod := &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u", Generation: 3, Labels: map[string]string{"a": "1"}},
			Spec: v1.PodSpec{
				ActiveDeadlineSeconds:         &deadline,
				TerminationGracePeriodSeconds: &grace,
				Tolerations:                   []v1.Toleration{{Key: "k", Operator: v1.TolerationOpExists}},
				InitContainers:                []v1.Container{{Name: "i", Image: "i:1"}},
				Containers:                    []v1.Container{{Name: "a", Image: "a:1"}, {Name: "b", Image: "b:1"}},
			},
		}
		corev1.SetObjectDefaults_Pod(pod)
		return pod
	}
	for name, test := range map[string]struct {
		change func(*v1.Pod)
		want   []string
	}{
		"nothing":            {func(*v1.Pod) {}, nil},
		"labels":             {func(p *v1.Pod) { p.Labels = map[string]string{"b": "2"} }, nil},
		"annotations":        {func(p *v1.Pod) { p.Annotations = map[string]string{"b": "2"} }, nil},
		"images":             {func(p *v1.Pod) { p.Spec.InitContainers[0].Image, p.Spec.Containers[1].Image = "i:2", "b:2" }, nil},
		"no image":           {func(p *v1.Pod) { p.Spec.Containers[1].Image = "" }, []string{"spec.containers[1].image"}},
		"a shorter deadline": {func(p *v1.Pod) { *p.Spec.ActiveDeadlineSeconds = 50 }, nil},
		"a longer deadline":  {func(p *v1.Pod) { *p.Spec.ActiveDeadlineSeconds = 200 }, []string{"spec.activeDeadlineSeconds"}},
		"no deadline":        {func(p *v1.Pod) { p.Spec.ActiveDeadlineSeconds = nil }, []string{"spec.activeDeadlineSeconds"}},
		"a negative grace":   {func(p *v1.Pod) { *p.Spec.TerminationGracePeriodSeconds = 1 }, nil},
		"another grace":      {func(p *v1.Pod) { *p.Spec.TerminationGracePeriodSeconds = 2 }, []string{"spec.terminationGracePeriodSeconds"}},
		"one more toleration": {func(p *v1.Pod) {
			p.Spec.Tolerations = append(p.Spec.Tolerations, v1.Toleration{Key: "l", Operator: v1.TolerationOpExists})
		}, nil},
		"no toleration": {func(p *v1.Pod) { p.Spec.Tolerations = nil }, []string{"spec.tolerations[0]"}},
		"a command":     {func(p *v1.Pod) { p.Spec.Containers[0].Command = []string{"x"} }, []string{"spec.containers[0].command"}},
		"a command beside what may change": {func(p *v1.Pod) {
			p.Labels, p.Spec.Containers[0].Image, p.Spec.Containers[0].Command = nil, "a:2", []string{"x"}
		}, []string{"spec.containers[0].command"}},
		"one more container": {func(p *v1.Pod) { p.Spec.Containers = append(p.Spec.Containers, v1.Container{Name: "c", Image: "c:1"}) },
			[]string{"spec.containers[2]"}},
		"hostNetwork":   {func(p *v1.Pod) { p.Spec.HostNetwork = true }, []string{"spec.hostNetwork"}},
		"restartPolicy": {func(p *v1.Pod) { p.Spec.RestartPolicy = v1.RestartPolicyNever }, []string{"spec.restartPolicy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := base()
			test.change(changed)
			// What an API server fills in is not known to a manifest.
			changed.UID, changed.Generation = "", 0
			corev1.SetObjectDefaults_Pod(changed)
			if got := Fixed(base(), changed); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFixedInObjects(t *testing.T) {
	t.Parallel()
	meta := metav1.ObjectMeta{Name: "o", Namespace: "default"}
	configMap := func(value string, immutable *bool) runtime.Object {
		return &v1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"k": value}, Immutable: immutable}
	}
	secret := func(value string, kind v1.SecretType, immutable *bool) runtime.Object {
		return &v1.Secret{ObjectMeta: meta, Type: kind, Data: map[string][]byte{"k": []byte(value)}, Immutable: immutable}
	}
	claim := func(size string, mode v1.PersistentVolumeAccessMode) runtime.Object {
		c := &v1.PersistentVolumeClaim{ObjectMeta: meta, Spec: v1.PersistentVolumeClaimSpec{
			AccessModes: []v1.PersistentVolumeAccessMode{mode},
			Resources:   v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse(size)}},
		}}
		corev1.SetObjectDefaults_PersistentVolumeClaim(c)
		return c
	}
	yes := new(true)
	for name, test := range map[string]struct {
		old, new runtime.Object
		want     []string
	}{
		"data of a ConfigMap":      {configMap("1", nil), configMap("2", yes), nil},
		"an immutable ConfigMap":   {configMap("1", yes), configMap("2", yes), []string{"data"}},
		"immutable no more":        {configMap("1", yes), configMap("1", nil), []string{"immutable"}},
		"data of a Secret":         {secret("1", v1.SecretTypeOpaque, nil), secret("2", v1.SecretTypeOpaque, nil), nil},
		"an immutable Secret":      {secret("1", v1.SecretTypeOpaque, yes), secret("2", v1.SecretTypeOpaque, yes), []string{"data"}},
		"a Secret's type":          {secret("1", v1.SecretTypeOpaque, nil), secret("1", "example.com/x", nil), []string{"type"}},
		"a larger claim":           {claim("1Gi", v1.ReadWriteOnce), claim("2Gi", v1.ReadWriteOnce), nil},
		"a smaller claim":          {claim("2Gi", v1.ReadWriteOnce), claim("1Gi", v1.ReadWriteOnce), []string{"spec.resources.requests.storage"}},
		"access modes of a claim":  {claim("1Gi", v1.ReadWriteOnce), claim("1Gi", v1.ReadWriteMany), []string{"spec"}},
		"a claim that stays as is": {claim("1Gi", v1.ReadWriteOnce), claim("1Gi", v1.ReadWriteOnce), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Fixed(test.old, test.new); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAddEphemeral(t *testing.T) {
	t.Parallel()
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u", Generation: 3},
		Spec:       v1.PodSpec{InitContainers: []v1.Container{{Name: "i", Image: "i:1"}}, Containers: []v1.Container{{Name: "a", Image: "a:1"}}},
	}
	corev1.SetObjectDefaults_Pod(pod)
	one := v1.EphemeralContainer{TargetContainerName: "a", EphemeralContainerCommon: v1.EphemeralContainerCommon{Name: "one", Image: "debug"}}
	pod, errs := AddEphemeral(pod, one)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	before := pod.DeepCopy()
	if c := pod.Spec.EphemeralContainers[0]; c.ImagePullPolicy != v1.PullAlways || c.TerminationMessagePath == "" {
		t.Errorf("it is not defaulted: %+v", c)
	}
	for name, test := range map[string]struct {
		change func(*v1.EphemeralContainer)
		want   string
	}{
		"nothing":                  {func(*v1.EphemeralContainer) {}, ""},
		"a target that is an init": {func(c *v1.EphemeralContainer) { c.TargetContainerName = "i" }, ""},
		"name of an app":           {func(c *v1.EphemeralContainer) { c.Name = "a" }, `name: Duplicate value: "a"`},
		"name of an init":          {func(c *v1.EphemeralContainer) { c.Name = "i" }, `name: Duplicate value: "i"`},
		"name of another":          {func(c *v1.EphemeralContainer) { c.Name = "one" }, `name: Duplicate value: "one"`},
		"a target nowhere":         {func(c *v1.EphemeralContainer) { c.TargetContainerName = "x" }, `targetContainerName: Not found: "x"`},
		"a target like it":         {func(c *v1.EphemeralContainer) { c.TargetContainerName = "one" }, `targetContainerName: Not found: "one"`},
		"no image":                 {func(c *v1.EphemeralContainer) { c.Image = "" }, "image: Required value"},
		"a variable":               {func(c *v1.EphemeralContainer) { c.Env = []v1.EnvVar{{Name: ""}} }, "env[0].name: Required value"},
		"a port":                   {func(c *v1.EphemeralContainer) { c.Ports = []v1.ContainerPort{{ContainerPort: 80, Protocol: "TCP"}} }, "ports: Forbidden: cannot be set for an Ephemeral Container"},
		"a probe": {func(c *v1.EphemeralContainer) {
			c.LivenessProbe = &v1.Probe{ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"x"}}}}
		}, "livenessProbe: Forbidden: cannot be set for an Ephemeral Container"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := one.DeepCopy()
			c.Name = "two"
			test.change(c)
			got := ""
			changed, errs := AddEphemeral(pod, *c)
			if len(errs) > 0 {
				got = errs.ToAggregate().Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if len(changed.Spec.EphemeralContainers) != 2 || len(Diff(pod, before)) > 0 {
				t.Errorf("the pod has %+v", changed.Spec.EphemeralContainers)
			}
		})
	}
}
