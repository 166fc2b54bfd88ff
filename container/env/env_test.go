package env

import (
	"errors"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var facts = Facts{
	NodeName: "node", HostIPs: []string{"192.0.2.1", "2001:db8::1"}, PodIPs: []string{"10.0.0.7", "fd00::7"},
	Allocatable: v1.ResourceList{
		v1.ResourceCPU: resource.MustParse("2"), v1.ResourceMemory: resource.MustParse("4Gi"), v1.ResourceEphemeralStorage: resource.MustParse("10Gi"),
	},
}

var objects = Objects{
	ConfigMaps: map[string]*v1.ConfigMap{
		"env":   {Data: map[string]string{"A": "1", "B": "two", "REF": "$(A) $$"}, BinaryData: map[string][]byte{"BIN": {1}}},
		"other": {Data: map[string]string{"A": "other"}},
	},
	Secrets: map[string]*v1.Secret{"login": {Data: map[string][]byte{"password": []byte("hunter2")}}},
}

func pod() *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web", Namespace: "shop", UID: "u-1",
			Labels:      map[string]string{"tier": "front", "app.kubernetes.io/name": "web"},
			Annotations: map[string]string{"note": "a\"b", "Build": "7"},
		},
		Spec: v1.PodSpec{
			Containers: []v1.Container{{Name: "c"}, {Name: "limited", Resources: v1.ResourceRequirements{
				Limits:   v1.ResourceList{v1.ResourceCPU: resource.MustParse("1250m"), v1.ResourceMemory: resource.MustParse("64Mi")},
				Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse("100m")},
			}}},
			InitContainers: []v1.Container{{Name: "init"}},
		},
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		container string // envFrom and env
		want      string // NAME=VALUE, separated by " | "
		err       string
	}{
		"nothing":                     {"{}", "", ""},
		"literals stay as they are":   {`{env: [{name: X, value: "$(A)"}, {name: V}]}`, "X=$(A) | V=", ""},
		"a whole ConfigMap, sorted":   {`{envFrom: [{configMapRef: {name: env}}]}`, "A=1 | B=two | REF=$$(A) $$$$", ""},
		"with a prefix":               {`{envFrom: [{prefix: P_, configMapRef: {name: other}}]}`, "P_A=other", ""},
		"a whole Secret":              {`{envFrom: [{secretRef: {name: login}}]}`, "password=hunter2", ""},
		"sources in order":            {`{envFrom: [{configMapRef: {name: other}}, {configMapRef: {name: env}}]}`, "A=other | A=1 | B=two | REF=$$(A) $$$$", ""},
		"env after envFrom":           {`{envFrom: [{configMapRef: {name: other}}], env: [{name: A, value: own}]}`, "A=other | A=own", ""},
		"no such ConfigMap":           {`{envFrom: [{configMapRef: {name: none}}]}`, "", `configmap "none" not found`},
		"no such Secret":              {`{envFrom: [{secretRef: {name: none}}]}`, "", `secret "none" not found`},
		"optional sources":            {`{envFrom: [{configMapRef: {name: none, optional: true}}, {secretRef: {name: none, optional: true}}]}`, "", ""},
		"a key of a ConfigMap":        {`{env: [{name: X, valueFrom: {configMapKeyRef: {name: env, key: REF}}}]}`, "X=$$(A) $$$$", ""},
		"a key of a Secret":           {`{env: [{name: X, valueFrom: {secretKeyRef: {name: login, key: password}}}]}`, "X=hunter2", ""},
		"no such key in a ConfigMap":  {`{env: [{name: X, valueFrom: {configMapKeyRef: {name: env, key: K}}}]}`, "", "couldn't find key K in ConfigMap shop/env"},
		"no such key in a Secret":     {`{env: [{name: X, valueFrom: {secretKeyRef: {name: login, key: K}}}]}`, "", "couldn't find key K in Secret shop/login"},
		"binary data is no variable":  {`{env: [{name: X, valueFrom: {configMapKeyRef: {name: env, key: BIN}}}]}`, "", "couldn't find key BIN in ConfigMap shop/env"},
		"a key of no ConfigMap":       {`{env: [{name: X, valueFrom: {configMapKeyRef: {name: none, key: K}}}]}`, "", `configmap "none" not found`},
		"a key of no Secret":          {`{env: [{name: X, valueFrom: {secretKeyRef: {name: none, key: K}}}]}`, "", `secret "none" not found`},
		"optional keys are left out":  {`{env: [{name: X, valueFrom: {configMapKeyRef: {name: env, key: K, optional: true}}}, {name: V, valueFrom: {secretKeyRef: {name: none, key: K, optional: true}}}, {name: Z, value: z}]}`, "Z=z", ""},
		"a field":                     {`{env: [{name: X, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}`, "X=web", ""},
		"own resources":               {`{env: [{name: X, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]}`, "X=2", ""},
		"resources of another":        {`{env: [{name: X, valueFrom: {resourceFieldRef: {containerName: limited, resource: requests.cpu, divisor: 1m}}}]}`, "X=100", ""},
		"resources of no one":         {`{env: [{name: X, valueFrom: {resourceFieldRef: {containerName: none, resource: limits.cpu}}}]}`, "", "container none not found"},
		"a variable of a file":        {`{env: [{name: X, valueFrom: {fileKeyRef: {volumeName: v, path: f, key: K}}}]}`, "X=v/f/K", ""},
		"a file without it":           {`{env: [{name: X, valueFrom: {fileKeyRef: {volumeName: v, path: f, key: EMPTY}}}]}`, "", `environment variable key "EMPTY" not found in file "f"`},
		"it is optional":              {`{env: [{name: X, valueFrom: {fileKeyRef: {volumeName: v, path: f, key: EMPTY, optional: true}}}]}`, "", ""},
		"no such file":                {`{env: [{name: X, valueFrom: {fileKeyRef: {volumeName: v, path: none, key: K, optional: true}}}]}`, "", "couldn't parse env file"},
		"an unknown source is no one": {`{env: [{name: X, valueFrom: {}}]}`, "", "a variable has a source that is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pod()
			if err := yaml.UnmarshalStrict([]byte(test.container), &p.Spec.Containers[0]); err != nil {
				t.Fatal(err)
			}
			vars, err := Resolve(Input{Pod: p, Container: &p.Spec.Containers[0], Objects: objects, Facts: facts, File: variableOf})
			var got []string
			for _, v := range vars {
				if v.ValueFrom != nil {
					t.Errorf("%s is not literal", v.Name)
				}
				got = append(got, v.Name+"="+v.Value)
			}
			if text := strings.Join(got, " | "); text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("error %v, want %s", err, test.err)
			}
		})
	}
}

// variableOf stands for files in which each variable has its own place as value.
func variableOf(ref *v1.FileKeySelector) (string, error) {
	switch {
	case ref.Path == "none":
		return "", errors.New("couldn't parse env file")
	case ref.Key == "EMPTY":
		return "", nil
	}
	return ref.VolumeName + "/" + ref.Path + "/" + ref.Key, nil
}

func TestField(t *testing.T) {
	t.Parallel()
	named := pod()
	named.Spec.NodeName, named.Spec.ServiceAccountName = "elsewhere", "robot"
	for _, test := range []struct {
		pod        *v1.Pod
		path, want string
	}{
		{pod(), "metadata.name", "web"},
		{pod(), "metadata.namespace", "shop"},
		{pod(), "metadata.uid", "u-1"},
		{pod(), "metadata.labels['tier']", "front"},
		{pod(), "metadata.labels['app.kubernetes.io/name']", "web"},
		{pod(), "metadata.labels['missing']", ""},
		{pod(), "metadata.annotations['note']", `a"b`},
		{pod(), "metadata.annotations['Build']", "7"},
		{pod(), "metadata.labels", "app.kubernetes.io/name=\"web\"\ntier=\"front\""},
		{pod(), "metadata.annotations", "Build=\"7\"\nnote=\"a\\\"b\""},
		{pod(), "spec.nodeName", "node"},
		{named, "spec.nodeName", "elsewhere"},
		{pod(), "spec.serviceAccountName", "default"},
		{named, "spec.serviceAccountName", "robot"},
		{pod(), "status.hostIP", "192.0.2.1"},
		{pod(), "status.hostIPs", "192.0.2.1,2001:db8::1"},
		{pod(), "status.podIP", "10.0.0.7"},
		{pod(), "status.podIPs", "10.0.0.7,fd00::7"},
	} {
		got, err := Field(test.pod, &v1.ObjectFieldSelector{FieldPath: test.path}, facts)
		if err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", test.path, got, err, test.want)
		}
	}
	if _, err := Field(pod(), &v1.ObjectFieldSelector{FieldPath: "spec.containers"}, facts); err == nil {
		t.Error("a field that is not offered was read")
	}
}

func TestResource(t *testing.T) {
	t.Parallel()
	whole := pod()
	whole.Spec.Resources = &v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceMemory: resource.MustParse("1Gi")}}
	for _, test := range []struct {
		pod                               *v1.Pod
		container, resource, div, want, e string
	}{
		{pod(), "limited", "limits.cpu", "", "2", ""},
		{pod(), "limited", "limits.cpu", "1m", "1250", ""},
		{pod(), "limited", "requests.cpu", "1m", "100", ""},
		{pod(), "limited", "limits.memory", "", "67108864", ""},
		{pod(), "limited", "limits.memory", "1Mi", "64", ""},
		{pod(), "limited", "limits.memory", "1Gi", "1", ""},
		{pod(), "limited", "requests.memory", "", "0", ""},
		{pod(), "limited", "limits.hugepages-2Mi", "", "0", ""},
		{pod(), "c", "limits.cpu", "", "2", ""},
		{pod(), "c", "limits.memory", "1Gi", "4", ""},
		{pod(), "c", "limits.ephemeral-storage", "1Gi", "10", ""},
		{pod(), "c", "requests.ephemeral-storage", "", "0", ""},
		{pod(), "init", "limits.memory", "1Gi", "4", ""},
		{whole, "c", "limits.memory", "1Mi", "1024", ""},
		{whole, "limited", "limits.memory", "1Mi", "64", ""},
		{pod(), "c", "limits.gpu", "", "", "unsupported container resource : limits.gpu"},
	} {
		ref := &v1.ResourceFieldSelector{ContainerName: test.container, Resource: test.resource}
		if test.div != "" {
			ref.Divisor = resource.MustParse(test.div)
		}
		got, err := Resource(test.pod, nil, ref, facts)
		if got != test.want || (err == nil) != (test.e == "") || err != nil && err.Error() != test.e {
			t.Errorf("%s of %s in %s: %q, %v, want %q", test.resource, test.container, test.div, got, err, test.want)
		}
	}
}

func TestNeedsAddress(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{"status.podIP": true, "status.podIPs": true, "status.hostIP": false, "metadata.name": false} {
		c := v1.Container{Env: []v1.EnvVar{{Name: "A"}, {Name: "B", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: path}}}}}
		if got := NeedsAddress(&c); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
