package objects

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is the kind of an object, as a manifest says it.
type Kind string

// The kinds of objects that are kept.
const (
	ConfigMap Kind = "ConfigMap"
	Secret    Kind = "Secret"
	Claim     Kind = "PersistentVolumeClaim"
)

// Kinds are all kinds, in the order in which they are listed.
var Kinds = []Kind{ConfigMap, Secret, Claim}

// Object is a *v1.ConfigMap, a *v1.Secret or a *v1.PersistentVolumeClaim.
type Object interface {
	metav1.Object
	runtime.Object
}

// Ref names an object.
type Ref struct {
	Kind            Kind
	Namespace, Name string
}

// RefOf is the reference to an object.
func RefOf(object Object) Ref {
	return Ref{Kind: kindOf(object), Namespace: object.GetNamespace(), Name: object.GetName()}
}

// String is the object's name among others of its namespace: configmap/env.
func (r Ref) String() string { return strings.ToLower(string(r.Kind)) + "/" + r.Name }

// path is where the object is below the store's directory. No name that is
// legal in Kubernetes is refused, and none that is not gets out of there.
func (r Ref) path() (string, error) {
	if r.Kind.empty() == nil {
		return "", fmt.Errorf("%s: objects of kind %q are not kept", r, r.Kind)
	}
	for _, name := range []string{r.Namespace, r.Name} {
		if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00") {
			return "", fmt.Errorf("%s: %q is not the name of an object", r, name)
		}
	}
	// Without an extension, since a name may be as long as a file's.
	return r.Kind.dir() + "/" + r.Namespace + "/" + r.Name, nil
}

func (k Kind) dir() string { return strings.ToLower(string(k)) + "s" }

// empty is a new object of a kind, nil for a kind that is not kept.
func (k Kind) empty() Object {
	switch k {
	case ConfigMap:
		return &v1.ConfigMap{}
	case Secret:
		return &v1.Secret{}
	case Claim:
		return &v1.PersistentVolumeClaim{}
	}
	return nil
}

func kindOf(object Object) Kind {
	switch object.(type) {
	case *v1.ConfigMap:
		return ConfigMap
	case *v1.Secret:
		return Secret
	case *v1.PersistentVolumeClaim:
		return Claim
	}
	return ""
}

// whole is a copy of an object that says of what kind it is.
func whole(object Object) Object {
	copied := object.DeepCopyObject().(Object)
	kind := schema.GroupVersionKind{Version: "v1", Kind: string(kindOf(object))}
	copied.GetObjectKind().SetGroupVersionKind(kind)
	return copied
}

// Equal says whether two objects are the same to Kubernetes.
func Equal(a, b Object) bool { return equality.Semantic.DeepEqual(whole(a), whole(b)) }
