package env

import (
	"cmp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	resourceutil "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
)

// NeedsAddress says that a container is told the pod's address: it cannot be
// made before there is one.
func NeedsAddress(c *v1.Container) bool {
	return slices.ContainsFunc(c.Env, func(v v1.EnvVar) bool {
		return v.ValueFrom != nil && v.ValueFrom.FieldRef != nil && strings.HasPrefix(v.ValueFrom.FieldRef.FieldPath, "status.podIP")
	})
}

// Field returns the value of a field of the pod, or of its whole labels or
// annotations (kubelet: podFieldSelectorRuntimeValue).
func Field(pod *v1.Pod, ref *v1.ObjectFieldSelector, facts Facts) (string, error) {
	switch ref.FieldPath {
	case "spec.nodeName":
		return cmp.Or(pod.Spec.NodeName, facts.NodeName), nil
	case "spec.serviceAccountName":
		return cmp.Or(pod.Spec.ServiceAccountName, "default"), nil // admission fills it in
	case "status.hostIP":
		return first(facts.HostIPs), nil
	case "status.hostIPs":
		return strings.Join(facts.HostIPs, ","), nil
	case "status.podIP":
		return first(facts.PodIPs), nil
	case "status.podIPs":
		return strings.Join(facts.PodIPs, ","), nil
	}
	return fieldpath.ExtractFieldPathAsString(pod, ref.FieldPath)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// Resource returns a request or a limit of the container that ref names, or of
// own when it names none. A limit that is not set is the pod's, else what all
// pods may have (kubelet: defaultPodLimitsForDownwardAPI).
func Resource(pod *v1.Pod, own *v1.Container, ref *v1.ResourceFieldSelector, facts Facts) (string, error) {
	limits := facts.Allocatable.DeepCopy()
	if resource.IsPodLevelLimitsSet(pod) {
		for name, quantity := range pod.Spec.Resources.Limits {
			if _, known := limits[name]; known && resource.IsSupportedPodLevelResource(name) && !quantity.IsZero() {
				limits[name] = quantity
			}
		}
	}
	if ref.ContainerName != "" {
		return resourceutil.ExtractResourceValueByContainerNameAndNodeAllocatable(ref, pod, ref.ContainerName, limits)
	}
	own = own.DeepCopy()
	resourceutil.MergeContainerResourceLimits(own, limits)
	return resourceutil.ExtractContainerResourceValue(ref, own)
}
