package manifest

import (
	"context"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/capabilities"
)

// misnamed are the fields that Kubernetes' validation does not call by their names.
var misnamed = strings.NewReplacer(
	"spec.HostPID", "spec.hostPID", "spec.HostIPC", "spec.hostIPC", ".downwarAPI", ".downwardAPI",
	"spec.resources[", "spec.resources.requests[",
	".downwardAPI.fieldRef", ".downwardAPI.items.fieldRef", ".downwardAPI.resourceFieldRef", ".downwardAPI.items.resourceFieldRef",
	".downwardAPI.mode", ".downwardAPI.items.mode", ".downwardAPI.path", ".downwardAPI.items.path",
)

var podSteps = steps[*v1.Pod]{
	judge:    (*decoder).conditions,
	complete: absoluteHostPaths,
	defaults: corev1.SetObjectDefaults_Pod,
	validate: validatePod,
	warn:     podWarnings,
}

// absoluteHostPaths makes relative host paths relative to the manifest.
func absoluteHostPaths(src Source, pod *v1.Pod) {
	for i := range pod.Spec.Volumes {
		host := pod.Spec.Volumes[i].HostPath
		if host != nil && host.Path != "" && !filepath.IsAbs(host.Path) {
			host.Path = filepath.Join(src.Dir, host.Path)
		}
	}
}

// podWarnings are those of the API server's pod strategy.
func podWarnings(pod *v1.Pod) []string {
	var in core.Pod
	if corev1.Convert_v1_Pod_To_core_Pod(pod, &in, nil) != nil {
		return nil // said by validatePod
	}
	return podutil.GetWarningsForPod(context.Background(), &in, nil)
}

// validatePod is what the API server's pod strategy does in Validate, on a
// server that allows privileged containers. That is said to the whole process,
// because validation asks it so.
func validatePod(pod *v1.Pod) field.ErrorList {
	capabilities.Setup(true, 0)
	var in core.Pod
	if err := corev1.Convert_v1_Pod_To_core_Pod(pod, &in, nil); err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&in.Spec, nil, &in.ObjectMeta, nil)
	opts.ResourceIsPod = true
	return validation.ValidatePodCreate(&in, opts)
}
