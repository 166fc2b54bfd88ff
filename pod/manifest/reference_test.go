package manifest

import (
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const usesMuch = `
metadata: {name: web, namespace: shop}
spec:
  volumes:
  - {name: a, configMap: {name: c1}}
  - {name: b, secret: {secretName: s1, optional: true}}
  - {name: c, persistentVolumeClaim: {claimName: p1}}
  - {name: d, emptyDir: {}}
  - name: e
    projected:
      sources:
      - configMap: {name: c2, optional: true}
      - secret: {name: s2}
      - downwardAPI: {}
  imagePullSecrets: [{name: s3}]
  initContainers:
  - name: i
    envFrom: [{configMapRef: {name: c3}}]
  containers:
  - name: c
    envFrom: [{secretRef: {name: s4, optional: true}}]
    env:
    - {name: A, value: b}
    - {name: B, valueFrom: {configMapKeyRef: {name: c4, key: k, optional: false}}}
    - {name: C, valueFrom: {secretKeyRef: {name: s1, key: k}}}
    - {name: D, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
`

func TestReferences(t *testing.T) {
	t.Parallel()
	var pod v1.Pod
	if err := yaml.UnmarshalStrict([]byte(usesMuch), &pod); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range References(&pod) {
		line := r.Kind + " " + r.Namespace + "/" + r.Name + " " + r.Field
		if r.Optional {
			line += " optional"
		}
		got = append(got, line)
	}
	want := []string{
		"ConfigMap shop/c1 spec.volumes[0].configMap.name",
		"Secret shop/s1 spec.volumes[1].secret.secretName optional",
		"PersistentVolumeClaim shop/p1 spec.volumes[2].persistentVolumeClaim.claimName",
		"ConfigMap shop/c2 spec.volumes[4].projected.sources[0].configMap.name optional",
		"Secret shop/s2 spec.volumes[4].projected.sources[1].secret.name",
		"Secret shop/s3 spec.imagePullSecrets[0].name optional",
		"ConfigMap shop/c3 spec.initContainers[0].envFrom[0].configMapRef.name",
		"Secret shop/s4 spec.containers[0].envFrom[0].secretRef.name optional",
		"ConfigMap shop/c4 spec.containers[0].env[1].valueFrom.configMapKeyRef.name",
		"Secret shop/s1 spec.containers[0].env[2].valueFrom.secretKeyRef.name",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestMissing shows that what is declared after the pod, or was stored before,
// is not missing, and that the place of what is comes from the input.
func TestMissing(t *testing.T) {
	t.Parallel()
	const text = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: web}
  spec: {containers: [{name: web, image: nginx}]}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: here}}
- {apiVersion: v1, kind: Secret, metadata: {name: gone}}
`
	m, err := Load([]Source{{Name: "f", Data: []byte(text)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"here", "stored", "gone"} { // what up does not take yet
		m.Pods[0].Spec.Volumes = append(m.Pods[0].Spec.Volumes, v1.Volume{Name: name, VolumeSource: v1.VolumeSource{
			ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: name}},
		}})
	}
	problems := m.Missing(func(r Reference) bool { return r.Name == "stored" })
	want := "f:7: items[0].spec.volumes[2].configMap.name: there is no ConfigMap default/gone, here or from an earlier call"
	if problems.Error() != want {
		t.Errorf("%s\nwant\n%s", problems.Error(), want)
	}
	if p := m.Problem(m.Secrets[0], "metadata.name", "a\x1b"); p.Error() != `f:9: items[2].metadata.name: a\x1b` {
		t.Error(p)
	}
}
