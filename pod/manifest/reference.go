package manifest

import (
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Reference is a ConfigMap, a Secret or a claim that a pod names.
type Reference struct {
	Kind      string // ConfigMap, Secret or PersistentVolumeClaim
	Namespace string // the pod's
	Name      string
	Optional  bool   // the pod starts without it
	Field     string // of the pod, where it is named: spec.volumes[0].configMap.name
}

// References lists what a pod names, in the order of the manifest: volumes, pull
// secrets, then the containers. What is named twice is listed twice. A pull
// secret is optional, as a kubelet has it: the image may need none.
func References(pod *v1.Pod) []Reference {
	r := references{namespace: pod.Namespace}
	spec := field.NewPath("spec")
	for i := range pod.Spec.Volumes {
		r.volume(&pod.Spec.Volumes[i].VolumeSource, spec.Child("volumes").Index(i))
	}
	for i, secret := range pod.Spec.ImagePullSecrets {
		r.add(secretKind, secret.Name, new(true), spec.Child("imagePullSecrets").Index(i).Child("name"))
	}
	for i := range pod.Spec.InitContainers {
		r.container(&pod.Spec.InitContainers[i], spec.Child("initContainers").Index(i))
	}
	for i := range pod.Spec.Containers {
		r.container(&pod.Spec.Containers[i], spec.Child("containers").Index(i))
	}
	return r.list
}

// Missing reports the references of the manifest's pods, optional ones aside, to
// what the manifest does not declare and exists does not know either.
func (m *Manifest) Missing(exists func(Reference) bool) Problems {
	declared := map[string]bool{}
	for _, object := range m.others() {
		declared[idOf(object)] = true
	}
	var problems Problems
	for _, pod := range m.Pods {
		for _, ref := range References(pod) {
			id := ref.Kind + " " + ref.Namespace + "/" + ref.Name
			if !ref.Optional && !declared[id] && !exists(ref) {
				problems = append(problems, m.Problem(pod, ref.Field, "there is no "+id+", here or from an earlier call"))
			}
		}
	}
	return problems
}

// Problem says that something is wrong with a field of one of the manifest's
// objects, at its place in the input.
func (m *Manifest) Problem(object metav1.Object, path, message string) Problem {
	at := m.places[object]
	r := reporter{file: at.file}
	r.add(at.doc.line(path), at.doc.at(path), "%s", message)
	return r.problems[0]
}

// references gathers them.
type references struct {
	namespace string
	list      []Reference
}

const (
	configMapKind = "ConfigMap"
	secretKind    = "Secret"
	claimKind     = "PersistentVolumeClaim"
)

func (r *references) add(kind, name string, optional *bool, at *field.Path) {
	r.list = append(r.list, Reference{
		Kind: kind, Namespace: r.namespace, Name: name, Optional: optional != nil && *optional, Field: at.String(),
	})
}

func (r *references) volume(source *v1.VolumeSource, at *field.Path) {
	if c := source.ConfigMap; c != nil {
		r.add(configMapKind, c.Name, c.Optional, at.Child("configMap", "name"))
	}
	if s := source.Secret; s != nil {
		r.add(secretKind, s.SecretName, s.Optional, at.Child("secret", "secretName"))
	}
	if c := source.PersistentVolumeClaim; c != nil {
		r.add(claimKind, c.ClaimName, nil, at.Child("persistentVolumeClaim", "claimName"))
	}
	if source.Projected == nil {
		return
	}
	for i, projected := range source.Projected.Sources {
		at := at.Child("projected", "sources").Index(i)
		if c := projected.ConfigMap; c != nil {
			r.add(configMapKind, c.Name, c.Optional, at.Child("configMap", "name"))
		}
		if s := projected.Secret; s != nil {
			r.add(secretKind, s.Name, s.Optional, at.Child("secret", "name"))
		}
	}
}

func (r *references) container(c *v1.Container, at *field.Path) {
	for i, from := range c.EnvFrom {
		at := at.Child("envFrom").Index(i)
		if c := from.ConfigMapRef; c != nil {
			r.add(configMapKind, c.Name, c.Optional, at.Child("configMapRef", "name"))
		}
		if s := from.SecretRef; s != nil {
			r.add(secretKind, s.Name, s.Optional, at.Child("secretRef", "name"))
		}
	}
	for i, env := range c.Env {
		if env.ValueFrom == nil {
			continue
		}
		at := at.Child("env").Index(i).Child("valueFrom")
		if c := env.ValueFrom.ConfigMapKeyRef; c != nil {
			r.add(configMapKind, c.Name, c.Optional, at.Child("configMapKeyRef", "name"))
		}
		if s := env.ValueFrom.SecretKeyRef; s != nil {
			r.add(secretKind, s.Name, s.Optional, at.Child("secretKeyRef", "name"))
		}
	}
}
