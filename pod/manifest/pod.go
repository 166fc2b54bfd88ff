package manifest

import (
	"encoding/json"
	"path/filepath"
	"reflect"
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
var misnamed = strings.NewReplacer("spec.HostPID", "spec.hostPID", "spec.HostIPC", "spec.hostIPC", ".downwarAPI", ".downwardAPI")

// decodePod makes a pod of a document, as an API server does on create:
//
//  1. decode strictly, with a verdict for every field that is set
//  2. fill in the namespace and absolute host paths
//  3. default
//  4. validate
//
// What is wrong on the way stays with the decoder.
func (l *loader) decodePod(src Source, doc document) (*v1.Pod, *decoder) {
	d := newDecoder(src.Name, &l.budget)
	pod := d.decode(doc)
	d.conditions(doc, pod)
	l.namespace(d, doc, pod)
	absoluteHostPaths(src.Dir, pod)
	corev1.SetObjectDefaults_Pod(pod)
	d.validate(doc, pod)
	for i := range d.notes {
		d.notes[i].Pod = pod.Namespace + "/" + pod.Name
	}
	return pod, d
}

func newDecoder(file string, budget *int) *decoder {
	return &decoder{
		reporter: reporter{file: file},
		budget:   budget,
		types:    map[reflect.Type]map[string]slot{},
		wrong:    map[string]bool{},
		near:     map[string]bool{},
		yields:   map[string]int{},
	}
}

// decode reads what fits a pod; the rest is reported.
func (d *decoder) decode(doc document) *v1.Pod {
	pod := &v1.Pod{}
	value := d.value(doc.root, reflect.TypeFor[v1.Pod](), place{line: doc.root.Line})
	encoded, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(encoded, pod)
	}
	if err != nil {
		d.add(doc.root.Line, "", "decode pod: %v", err)
	}
	return pod
}

// namespace gives the pod the namespace that was asked for, if it names none.
func (l *loader) namespace(d *decoder, doc document, pod *v1.Pod) {
	if pod.Namespace == "" {
		pod.Namespace = l.opts.Namespace
	}
	if l.opts.NamespaceSet && pod.Namespace != l.opts.Namespace {
		d.add(doc.line("metadata.namespace"), "metadata.namespace",
			"%q is not the namespace that was asked for, %q", pod.Namespace, l.opts.Namespace)
	}
}

// absoluteHostPaths makes relative host paths relative to the manifest.
func absoluteHostPaths(dir string, pod *v1.Pod) {
	for i := range pod.Spec.Volumes {
		host := pod.Spec.Volumes[i].HostPath
		if host != nil && host.Path != "" && !filepath.IsAbs(host.Path) {
			host.Path = filepath.Join(dir, host.Path)
		}
	}
}

// validate reports what an API server would refuse in a defaulted pod, except
// what was reported already.
func (d *decoder) validate(doc document, pod *v1.Pod) {
	if pod.GenerateName != "" && pod.Name == "" {
		d.ignore("metadata.name")
	}
	for _, err := range validatePod(pod) {
		if d.covers(err) {
			continue
		}
		if i, ok := d.yields[err.Field]; ok {
			d.problems[i] = Problem{}
		}
		path := misnamed.Replace(err.Field)
		d.add(doc.lineOf(path, err.BadValue), path, "%s", err.ErrorBody())
	}
	kept := d.problems[:0]
	for _, p := range d.problems {
		if p != (Problem{}) {
			kept = append(kept, p)
		}
	}
	d.problems = kept
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
