package manifest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// Note is a field that was set and is without meaning on one machine.
type Note struct {
	File   string
	Line   int
	Pod    string // namespace/name
	Path   string // spec.nodeSelector
	Reason string
}

// Ignored renders notes in one line, "ignored on one machine: nodeSelector,
// tolerations", each field once; "" when there are none.
func Ignored(notes []Note) string {
	var fields []string
	for _, note := range notes {
		if name := strings.TrimPrefix(note.Path, "spec."); !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	if len(fields) == 0 {
		return ""
	}
	return "ignored on one machine: " + strings.Join(fields, ", ")
}

// judge applies the rule of a field that is set. It returns whether the verdict
// covers what is below the field.
func (d *decoder) judge(r rule, n *yaml.Node, at place) bool {
	verdict, path := r.verdict, at.path.String()
	if slices.Contains(r.values, literal(n)) {
		return false
	}
	if verdict == Honoured && len(r.values) > 0 {
		verdict = r.rest
	}
	switch verdict {
	case Honoured:
		return false
	case Meaningless:
		d.notes = append(d.notes, Note{File: printable(d.file), Line: at.line, Path: path, Reason: r.reason})
	case NotYet:
		if len(r.values) > 0 {
			d.yields[path] = len(d.problems)
		}
		d.add(at.line, path, "%s", notYet(r, n))
	default:
		d.add(at.line, path, "not supported on one machine: %s", r.reason)
		d.ignore(path)
	}
	return true
}

// notYet says so of a field, or of a value of an honoured field.
func notYet(r rule, n *yaml.Node) string {
	if r.verdict == Honoured && n.Kind == yaml.ScalarNode {
		return fmt.Sprintf("%q is not supported yet, only %s", n.Value, strings.Join(r.values, ", "))
	}
	return "not supported yet"
}

// conditions are the verdicts that depend on more than that a field is set.
func (d *decoder) conditions(doc document, pod *v1.Pod) {
	spec := field.NewPath("spec")
	for i, volume := range pod.Spec.Volumes {
		if dir := volume.EmptyDir; dir != nil && dir.SizeLimit != nil && dir.Medium == v1.StorageMediumDefault {
			d.condition(doc, spec.Child("volumes").Index(i).Child("emptyDir", "sizeLimit"),
				"not supported yet on disk, only with medium Memory")
		}
	}
	for i, c := range pod.Spec.Containers {
		path := spec.Child("containers").Index(i)
		d.resources(doc, c.Resources.Limits, path.Child("resources", "limits"))
		d.resources(doc, c.Resources.Requests, path.Child("resources", "requests"))
		for i, port := range c.Ports {
			// Kubernetes leaves it to the CNI plugin to find out.
			if _, err := netip.ParseAddr(port.HostIP); port.HostIP != "" && err != nil {
				d.condition(doc, path.Child("ports").Index(i).Child("hostIP"), fmt.Sprintf("%q is not an IP address", port.HostIP))
			}
		}
	}
}

// resources refuses the resources that are not honoured yet.
func (d *decoder) resources(doc document, list v1.ResourceList, path *field.Path) {
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if name != v1.ResourceCPU && name != v1.ResourceMemory {
			d.condition(doc, path.Key(string(name)), "not supported yet, only cpu, memory")
		}
	}
}

// condition reports what validation may know better.
func (d *decoder) condition(doc document, path *field.Path, message string) {
	d.yields[path.String()] = len(d.problems)
	d.add(doc.line(path.String()), path.String(), "%s", message)
}
