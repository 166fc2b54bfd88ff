package manifest

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podapi "k8s.io/kubernetes/pkg/api/v1/pod"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// judge applies the rule of a field, and returns whether its verdict covers what
// is below the field.
func (d *decoder) judge(r rule, s slot, n *yaml.Node, at place) bool {
	verdict, usual := r.verdict, !isSet(n, s.typ) || slices.Contains(r.values, literal(n))
	switch {
	case kindOf(n) == null:
		return false
	case verdict == Honoured && !d.all && (usual || len(r.values) == 0):
		return false // as nearly all are
	case usual && verdict != Meaningless && verdict != Overwritten:
		verdict = Honoured
	case !usual && verdict == Honoured && len(r.values) > 0:
		verdict = r.rest
	}
	f := Finding{Line: at.line, Field: at.field(), Verdict: verdict, Reason: r.reason}
	switch verdict {
	case Honoured:
		if s.owner != "TypeMeta" && (structOf(s.typ) == nil || len(n.Content) == 0) {
			d.quietly(f)
		}
		return false
	case Meaningless:
		if usual {
			d.quietly(f)
			return false
		}
		d.findings = append(d.findings, f)
	case Overwritten:
		f.Verdict, f.Reason = Meaningless, "an API server sets it itself"
		d.quietly(f)
	case NotYet:
		d.yields[f.Field] = d.yields[f.Field] || len(r.values) > 0
		d.refuse(f, notYet(r, n))
	default:
		d.refuse(f, "")
		d.ignore(f.Field)
	}
	return true
}

// quietly adds a finding for those who ask for all.
func (d *decoder) quietly(f Finding) {
	if d.all {
		d.findings = append(d.findings, f)
	}
}

// refuse adds a finding that is a problem. What is not supported yet has no
// other reason.
func (d *decoder) refuse(f Finding, notYet string) {
	message := notYet
	if notYet == "" {
		message = "not supported on one machine: " + f.Reason
	} else {
		f.Reason = notYet
	}
	r := reporter{file: d.file}
	r.add(f.Line, f.Field, "%s", message)
	f.Verdict, f.Reason, f.problem = Refused, printable(f.Reason), r.problems[0]
	d.findings = append(d.findings, f)
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
	if grace := pod.Spec.TerminationGracePeriodSeconds; grace != nil && *grace < 0 {
		d.warn(doc, "spec.terminationGracePeriodSeconds: negative, which Kubernetes takes for 1")
	}
	for key := range pod.Annotations {
		if strings.HasPrefix(key, v1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) {
			at := field.NewPath("metadata", "annotations").Key(key).String()
			d.add(doc.line(at), at, "not supported, give securityContext.appArmorProfile instead")
		}
	}
	for i, volume := range pod.Spec.Volumes {
		at := spec.Child("volumes").Index(i)
		if host := volume.HostPath; host != nil && host.Path != "" && !filepath.IsAbs(host.Path) && d.dir == "" {
			path := at.Child("hostPath", "path").String()
			d.add(doc.line(path), path, "a relative path, but a manifest from here is in no directory")
		}
	}
	if why := longName(pod); why != "" {
		d.condition(doc, spec.Child("setHostnameAsFQDN"), why)
	}
	if d.machine != nil {
		d.fits(doc, pod)
	}
	if r := pod.Spec.Resources; r != nil {
		d.resources(doc, r.Limits, spec.Child("resources", "limits"))
		d.resources(doc, r.Requests, spec.Child("resources", "requests"))
	}
	eachContainer(&pod.Spec, func(path *field.Path, c *v1.Container) { d.containerConditions(doc, c, path) })
	for i := range pod.Spec.InitContainers {
		c, path := &pod.Spec.InitContainers[i], spec.Child("initContainers").Index(i)
		for i, port := range c.Ports {
			if port.HostPort != 0 && !podapi.IsRestartableInitContainer(c) && !pod.Spec.HostNetwork {
				d.condition(doc, path.Child("ports").Index(i).Child("hostPort"), "a kubelet maps no port to an init container, but to a sidecar (restartPolicy: Always)")
			}
		}
	}
}

// eachContainer visits all containers of a pod.
func eachContainer(pod *v1.PodSpec, visit func(path *field.Path, c *v1.Container)) {
	spec := field.NewPath("spec")
	for i := range pod.InitContainers {
		visit(spec.Child("initContainers").Index(i), &pod.InitContainers[i])
	}
	for i := range pod.Containers {
		visit(spec.Child("containers").Index(i), &pod.Containers[i])
	}
}

func (d *decoder) containerConditions(doc document, c *v1.Container, path *field.Path) {
	d.resources(doc, c.Resources.Limits, path.Child("resources", "limits"))
	d.resources(doc, c.Resources.Requests, path.Child("resources", "requests"))
	d.capabilities(doc, c, path.Child("securityContext", "capabilities"))
	for i, port := range c.Ports {
		// Kubernetes leaves it to the CNI plugin to find out.
		if _, err := netip.ParseAddr(port.HostIP); port.HostIP != "" && err != nil {
			at := path.Child("ports").Index(i).Child("hostIP").String()
			d.add(doc.line(at), at, "%q is not an IP address", port.HostIP)
		}
	}
}

// resources judges resources by their names.
func (d *decoder) resources(doc document, list v1.ResourceList, path *field.Path) {
	for _, name := range slices.Sorted(maps.Keys(list)) {
		at := path.Key(string(name))
		switch {
		case name == v1.ResourceCPU, name == v1.ResourceMemory:
		case name == v1.ResourceEphemeralStorage:
			d.findings = append(d.findings, Finding{
				Line: doc.line(at.String()), Field: at.String(), Verdict: Meaningless, Reason: "the space that containers take is not watched",
			})
		case !strings.HasPrefix(string(name), v1.ResourceHugePagesPrefix):
			d.condition(doc, at, "there are no device plugins, only cpu, memory, ephemeral-storage and hugepages")
		case d.machine != nil && !slices.Contains(d.machine.HugePages(), string(name)):
			d.condition(doc, at, "this machine has no such pages, or no cgroups that limit them")
		}
	}
}

// condition refuses what validation may know better.
func (d *decoder) condition(doc document, path *field.Path, message string) {
	if d.wrong[path.String()] {
		return
	}
	d.yields[path.String()] = true
	d.refuse(Finding{Line: doc.line(path.String()), Field: path.String()}, message)
}
