package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/capabilities"
)

// Fixed returns the paths of the fields in which new differs from old although
// they cannot be changed on what exists; none when an API server would accept
// the change. Both are pods, ConfigMaps, Secrets or claims, defaulted and of
// one name.
func Fixed(old, new runtime.Object) []string {
	errs := validateUpdate(old, new)
	if len(errs) == 0 {
		return nil
	}
	if old, ok := old.(*v1.Pod); ok {
		if fields := fixedInPod(old, new.(*v1.Pod), errs); len(fields) > 0 {
			return fields
		}
	}
	var fields []string
	for _, err := range errs {
		fields = append(fields, err.Field)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// changeable are the fields of a pod that may be changed, as Diff names them,
// as long as validation does not name them.
var changeable = regexp.MustCompile(`^(metadata\.(labels|annotations)|spec\.(tolerations|activeDeadlineSeconds)|spec\.(initContainers|containers)\[\d+\]\.image$)`)

// fixedInPod says it field by field, where validation says "spec".
func fixedInPod(old, new *v1.Pod, errs field.ErrorList) []string {
	return slices.DeleteFunc(Diff(old, new), func(path string) bool {
		named := slices.ContainsFunc(errs, func(err *field.Error) bool {
			return err.Field != "spec" && strings.HasPrefix(path, err.Field)
		})
		return changeable.MatchString(path) && !named
	})
}

// AddEphemeral returns a pod with one more ephemeral container, defaulted, and
// what an API server would find wrong with that. Fields are named as those of the
// container.
func AddEphemeral(pod *v1.Pod, c v1.EphemeralContainer) (*v1.Pod, field.ErrorList) {
	changed := pod.DeepCopy()
	changed.Spec.EphemeralContainers = append(changed.Spec.EphemeralContainers, c)
	corev1.SetObjectDefaults_Pod(changed)
	errs := validatePodUpdate(pod, changed, validation.ValidatePodEphemeralContainersUpdate)
	own := fmt.Sprintf("spec.ephemeralContainers[%d].", len(pod.Spec.EphemeralContainers))
	for _, err := range errs {
		err.Field = strings.TrimPrefix(err.Field, own)
	}
	return changed, errs
}

// validateUpdate is what the API server's strategies do in ValidateUpdate.
func validateUpdate(old, new runtime.Object) field.ErrorList {
	if old, ok := old.(*v1.Pod); ok {
		return validatePodUpdate(old, new.(*v1.Pod), validation.ValidatePodUpdate)
	}
	old, new = old.DeepCopyObject(), new.DeepCopyObject()
	succeed(old.(metav1.Object), new.(metav1.Object))
	switch old := old.(type) {
	case *v1.ConfigMap:
		return converted(old, new.(*v1.ConfigMap), corev1.Convert_v1_ConfigMap_To_core_ConfigMap, validation.ValidateConfigMapUpdate)
	case *v1.Secret:
		return converted(old, new.(*v1.Secret), corev1.Convert_v1_Secret_To_core_Secret, validation.ValidateSecretUpdate)
	case *v1.PersistentVolumeClaim:
		return validateClaimUpdate(old, new.(*v1.PersistentVolumeClaim))
	}
	return nil
}

// succeed gives new what an API server takes over from the old object, and both
// the version that an update is made for.
func succeed(old, new metav1.Object) {
	old.SetResourceVersion("1")
	new.SetResourceVersion("1")
	new.SetUID(old.GetUID())
	new.SetCreationTimestamp(old.GetCreationTimestamp())
	new.SetDeletionTimestamp(old.GetDeletionTimestamp())
	new.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	new.SetGeneration(old.GetGeneration())
}

// validatePodUpdate validates with the options that an API server would choose.
func validatePodUpdate(old, new *v1.Pod, validate func(new, old *core.Pod, opts validation.PodValidationOptions) field.ErrorList) field.ErrorList {
	capabilities.Setup(true, 0)
	old, new = old.DeepCopy(), new.DeepCopy()
	succeed(old, new)
	new.Status = old.Status
	return converted(old, new, corev1.Convert_v1_Pod_To_core_Pod, func(new, old *core.Pod) field.ErrorList {
		opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&new.Spec, &old.Spec, &new.ObjectMeta, &old.ObjectMeta)
		opts.ResourceIsPod = true
		return validate(new, old, opts)
	})
}

// validateClaimUpdate takes every claim for bound: its directory is its volume.
func validateClaimUpdate(old, new *v1.PersistentVolumeClaim) field.ErrorList {
	old.Status = v1.PersistentVolumeClaimStatus{Phase: v1.ClaimBound, Capacity: old.Spec.Resources.Requests}
	new.Status = old.Status
	return converted(old, new, corev1.Convert_v1_PersistentVolumeClaim_To_core_PersistentVolumeClaim,
		func(new, old *core.PersistentVolumeClaim) field.ErrorList {
			return validation.ValidatePersistentVolumeClaimUpdate(new, old, validation.ValidationOptionsForPersistentVolumeClaim(new, old))
		})
}

// converted validates two objects in the form that validation is written for.
func converted[V, C any](old, new *V, convert func(*V, *C, conversion.Scope) error, validate func(new, old *C) field.ErrorList) field.ErrorList {
	var oldCore, newCore C
	for in, out := range map[*V]*C{old: &oldCore, new: &newCore} {
		if err := convert(in, out, nil); err != nil {
			return field.ErrorList{field.InternalError(nil, err)}
		}
	}
	return validate(&newCore, &oldCore)
}
