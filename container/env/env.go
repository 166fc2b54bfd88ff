package env

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// Objects are what a pod refers to and what exists, by name; all are of its
// namespace.
type Objects struct {
	ConfigMaps map[string]*v1.ConfigMap
	Secrets    map[string]*v1.Secret
	Claims     map[string]*v1.PersistentVolumeClaim
}

// Facts are what a pod is told about where it runs.
type Facts struct {
	NodeName string
	// HostIPs are the machine's addresses, the preferred one first.
	HostIPs []string
	// PodIPs are the pod's, with hostNetwork the machine's.
	PodIPs []string
	// Allocatable is what all pods may have together: cpu, memory and
	// ephemeral-storage.
	Allocatable v1.ResourceList
}

// Input is what a container's variables are computed from.
type Input struct {
	Pod       *v1.Pod
	Container *v1.Container // one of Pod's
	Objects   Objects
	Facts     Facts
	// File returns a variable that a file in a volume sets, empty when it does
	// not. Its errors count as the kubelet's.
	File func(*v1.FileKeySelector) (string, error)
}

// Resolve returns the container's variables, all of them literal, in the order
// in which they count: those of envFrom, then those of env. References to
// variables are left to whoever expands all; what came from elsewhere is
// escaped, so that it is not expanded. An error names what is missing.
func Resolve(in Input) ([]v1.EnvVar, error) {
	var vars []v1.EnvVar
	for _, from := range in.Container.EnvFrom {
		data, err := in.Objects.all(from)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(data)) {
			vars = append(vars, literal(from.Prefix+key, data[key]))
		}
	}
	for _, v := range in.Container.Env {
		if v.ValueFrom == nil || v.Value != "" {
			vars = append(vars, v1.EnvVar{Name: v.Name, Value: v.Value})
			continue
		}
		value, found, err := in.value(v.ValueFrom)
		if err != nil {
			return nil, err
		}
		if found {
			vars = append(vars, literal(v.Name, value))
		}
	}
	return vars, nil
}

// literal is a variable whose value an expansion gives back as it is.
func literal(name, value string) v1.EnvVar {
	return v1.EnvVar{Name: name, Value: strings.ReplaceAll(value, "$", "$$")}
}

// value is found unless it is optional and missing: then there is no variable.
func (in Input) value(from *v1.EnvVarSource) (value string, found bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = Field(in.Pod, from.FieldRef, in.Facts)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = Resource(in.Pod, in.Container, from.ResourceFieldRef, in.Facts)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := in.Objects.configMap(ref.Name)
		return pick(data, err, ref.Key, ref.Optional, "ConfigMap "+in.Pod.Namespace+"/"+ref.Name)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := in.Objects.secret(ref.Name)
		return pick(data, err, ref.Key, ref.Optional, "Secret "+in.Pod.Namespace+"/"+ref.Name)
	case from.FileKeyRef != nil:
		return in.fromFile(from.FileKeyRef)
	}
	return "", false, errors.New("a variable has a source that is not supported")
}

func (in Input) fromFile(ref *v1.FileKeySelector) (string, bool, error) {
	value, err := in.File(ref)
	switch {
	case err != nil:
		return "", false, err
	case value == "" && (ref.Optional == nil || !*ref.Optional):
		return "", false, fmt.Errorf("environment variable key %q not found in file %q", ref.Key, ref.Path)
	}
	return value, value != "", nil
}

// pick returns one value of an object, if there is the object and the value.
func pick(data map[string]string, err error, key string, optional *bool, object string) (string, bool, error) {
	mayMiss := optional != nil && *optional
	if err != nil && !mayMiss {
		return "", false, err
	}
	value, found := data[key]
	if !found && !mayMiss {
		return "", false, fmt.Errorf("couldn't find key %s in %s", key, object)
	}
	return value, found, nil
}

// all returns all values of an object, none if it is optional and missing.
func (o Objects) all(from v1.EnvFromSource) (data map[string]string, err error) {
	var optional *bool
	switch {
	case from.ConfigMapRef != nil:
		optional = from.ConfigMapRef.Optional
		data, err = o.configMap(from.ConfigMapRef.Name)
	case from.SecretRef != nil:
		optional = from.SecretRef.Optional
		data, err = o.secret(from.SecretRef.Name)
	}
	if err != nil && optional != nil && *optional {
		return nil, nil
	}
	return data, err
}

// configMap leaves binaryData out: it is for files alone.
func (o Objects) configMap(name string) (map[string]string, error) {
	object, ok := o.ConfigMaps[name]
	if !ok {
		return nil, fmt.Errorf("configmap %q not found", name)
	}
	return object.Data, nil
}

func (o Objects) secret(name string) (map[string]string, error) {
	object, ok := o.Secrets[name]
	if !ok {
		return nil, fmt.Errorf("secret %q not found", name)
	}
	data := make(map[string]string, len(object.Data))
	for key, value := range object.Data {
		data[key] = string(value)
	}
	return data, nil
}
