package manifest

import (
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	claimutil "k8s.io/kubernetes/pkg/api/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

var configMapSteps = steps[*v1.ConfigMap]{
	defaults: corev1.SetObjectDefaults_ConfigMap,
	validate: validateConfigMap,
}

var secretSteps = steps[*v1.Secret]{
	defaults: corev1.SetObjectDefaults_Secret,
	validate: validateSecret,
	store:    mergeStringData,
}

var claimSteps = steps[*v1.PersistentVolumeClaim]{
	defaults: corev1.SetObjectDefaults_PersistentVolumeClaim,
	validate: validateClaim,
	warn:     claimWarnings,
}

func validateConfigMap(configMap *v1.ConfigMap) field.ErrorList {
	var in core.ConfigMap
	if err := corev1.Convert_v1_ConfigMap_To_core_ConfigMap(configMap, &in, nil); err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	return validation.ValidateConfigMap(&in)
}

// validateSecret does so without a word of what is in the secret, and calls
// fields of stringData by that name.
func validateSecret(secret *v1.Secret) field.ErrorList {
	var in core.Secret
	if err := corev1.Convert_v1_Secret_To_core_Secret(secret, &in, nil); err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	errs := validation.ValidateSecret(&in)
	for _, err := range errs {
		if slices.Contains([]string{"data[" + core.DockerConfigKey + "]", "data[" + core.DockerConfigJSONKey + "]"}, err.Field) && err.Type == field.ErrorTypeInvalid {
			// Kubernetes' own message has a word of it.
			err.BadValue, err.Detail = field.OmitValueType{}, "must be a JSON object"
		}
		key, _ := strings.CutPrefix(err.Field, "data[")
		if _, ok := secret.StringData[strings.TrimSuffix(key, "]")]; ok {
			err.Field = "stringData[" + key
		}
		if text, ok := err.BadValue.(string); ok && err.Type == field.ErrorTypeInvalid && key == text+"]" {
			err.BadValue = hiddenKey{}
		}
	}
	return errs
}

// hiddenKey stands for a key of a Secret that cannot be one. It may be part of a
// value: a comma without quotes ends a text within braces.
type hiddenKey struct{}

// mergeStringData moves stringData to where it is kept.
func mergeStringData(secret *v1.Secret) {
	if len(secret.StringData) > 0 && secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for key, value := range secret.StringData {
		secret.Data[key] = []byte(value)
	}
	secret.StringData = nil
}

func validateClaim(claim *v1.PersistentVolumeClaim) field.ErrorList {
	var in core.PersistentVolumeClaim
	if err := corev1.Convert_v1_PersistentVolumeClaim_To_core_PersistentVolumeClaim(claim, &in, nil); err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	return validation.ValidatePersistentVolumeClaim(&in, validation.ValidationOptionsForPersistentVolumeClaim(&in, nil))
}

func claimWarnings(claim *v1.PersistentVolumeClaim) []string {
	var in core.PersistentVolumeClaim
	if corev1.Convert_v1_PersistentVolumeClaim_To_core_PersistentVolumeClaim(claim, &in, nil) != nil {
		return nil // said by validateClaim
	}
	return claimutil.GetWarningsForPersistentVolumeClaim(&in)
}
