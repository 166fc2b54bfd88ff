package sandbox

import (
	"reflect"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"podrun/container"
)

func TestState(t *testing.T) {
	t.Parallel()
	made := Memory{IPs: []string{"10.0.0.2"}}
	for name, test := range map[string]struct {
		pause  container.State
		memory Memory
		want   State
	}{
		"only a record":                        {container.Registered, Memory{}, Absent},
		"pause made, no network":               {container.Created, Memory{}, Pausing},
		"pause runs, no network":               {container.Running, Memory{}, Pausing},
		"pause runs, network made":             {container.Running, made, Ready},
		"its shim does not answer":             {container.Unknown, made, Ready},
		"being made, its shim does not answer": {container.Unknown, Memory{}, Absent},
		"pause died":                           {container.Exited, made, Dead},
		"pause died early":                     {container.Exited, Memory{}, Dead},
		"the machine was restarted":            {container.Registered, made, Dead},
		"taken down":                           {container.Registered, Memory{IPs: made.IPs, Stopped: true}, Stopped},
		"taken down, pause still to be seen":   {container.Running, Memory{IPs: made.IPs, Stopped: true}, Stopped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := state(&container.Container{State: test.pause}, test.memory); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	pod := &v1.Pod{}
	pod.Name, pod.UID = "web", "u"
	pod.Spec.Containers = []v1.Container{{
		Name:          "a",
		Resources:     v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceMemory: resource.MustParse("64Mi")}},
		LivenessProbe: &v1.Probe{ProbeHandler: v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Port: intstr.FromString("web")}}},
	}}
	pod.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	memory := Memory{
		Attempt: 2, StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), IPs: []string{"10.0.0.2"},
		Settings: Settings{Backoff: time.Second, LogMaxSize: 1, LogMaxFiles: 2},
		Failures: map[string]Failure{"": {Reason: "CreatePodSandboxError", Message: "m", Count: 3}},
	}
	c := &container.Container{ID: "id", Extensions: map[string][]byte{}}
	var err error
	if c.Extensions[extensionPod], err = encode(pod); err != nil {
		t.Fatal(err)
	}
	if c.Extensions[extensionMemory], err = encode(memory); err != nil {
		t.Fatal(err)
	}
	sb, err := fromPause(c)
	if err != nil || !equality.Semantic.DeepEqual(sb.Pod, pod) || !reflect.DeepEqual(sb.Memory, memory) {
		t.Errorf("got %+v, %+v, %v", sb.Pod, sb.Memory, err)
	}
	for _, broken := range [][]byte{[]byte("{"), nil} {
		c.Extensions[extensionPod] = broken
		if _, err := fromPause(c); err == nil {
			t.Errorf("a record of %q was read", broken)
		}
	}
}
