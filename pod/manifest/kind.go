package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml/goyaml.v3"
)

// kinds are the kinds of objects that are read, beside lists of them.
var kinds = []string{"Pod", "ConfigMap", "Secret", "PersistentVolumeClaim"}

// Hints that several kinds share.
const (
	givePod     = "nothing here keeps copies of a pod; give its template as a Pod"
	giveJob     = "nothing here makes pods of it; give its template as a Pod with restartPolicy OnFailure or Never"
	hostPort    = "a container's hostPort is reached from outside, and pods reach each other by their addresses"
	noRights    = "there is no API server to have rights at"
	noNamespace = "namespaces need not be made, an object names its own"
	noVolume    = "a claim is a directory of its own; a hostPath volume has one that is there"
)

// hints say what to do instead of a kind that many manifests have.
var hints = map[string]string{
	"Deployment": givePod, "ReplicaSet": givePod, "ReplicationController": givePod, "StatefulSet": givePod, "DaemonSet": givePod,
	"PodTemplate": givePod, "Job": giveJob,
	"CronJob":   "let cron or a timer of systemd bring up a Pod",
	"Service":   hostPort,
	"Ingress":   hostPort,
	"Gateway":   hostPort,
	"HTTPRoute": hostPort,
	"Endpoints": hostPort,
	"Namespace": noNamespace,

	"ServiceAccount": noRights, "Role": noRights, "RoleBinding": noRights, "ClusterRole": noRights, "ClusterRoleBinding": noRights,

	"PersistentVolume": noVolume, "StorageClass": noVolume,
	"NetworkPolicy":            "the firewall of the machine decides who reaches a pod",
	"HorizontalPodAutoscaler":  "nothing here keeps copies of a pod",
	"PodDisruptionBudget":      "nothing here evicts pods",
	"PriorityClass":            "no pod gives way to another",
	"RuntimeClass":             "a pod's runtimeClassName names a runtime of containerd",
	"LimitRange":               "each container says its own limits",
	"ResourceQuota":            "each container says its own limits",
	"CustomResourceDefinition": "there is no API server to add a kind to",
	"Kustomization":            `kubectl kustomize DIR prints what it stands for, and podrun reads that as "-"`,
}

// unsupported says what podrun does with a document of a kind that it does not
// read: refuse it or, on demand, skip it.
func (l *loader) unsupported(src Source, doc document, kind string) {
	reason := hintFor(kind)
	f := Finding{
		File: printable(src.Name), Line: doc.line("kind"), Field: "kind", Verdict: Refused, Reason: reason, path: doc.at("kind"),
		Kind: kind, Namespace: doc.nested("namespace"), Name: doc.nested("name"),
	}
	if f.Namespace == "" {
		f.Namespace = l.opts.Namespace
	}
	if l.opts.SkipUnsupported {
		f.Verdict = Skipped
	} else {
		r := reporter{file: src.Name}
		r.add(f.Line, doc.at("kind"), "%s is not supported: %s", kind, reason)
		f.problem = r.problems[0]
	}
	l.findings = append(l.findings, f)
}

// hintFor says what to do instead of a kind.
func hintFor(kind string) string {
	item := strings.TrimSuffix(kind, "List")
	if hint, ok := hints[item]; ok {
		return hint
	}
	if known := nearest(item, slices.Values(kinds)); known != "" {
		return fmt.Sprintf("did you mean %q?", known+strings.TrimPrefix(kind, item))
	}
	if known := nearest(item, maps.Keys(hints)); known != "" {
		return hints[known]
	}
	return "podrun runs Pods, and keeps ConfigMaps, Secrets and PersistentVolumeClaims for them"
}

// nested returns a scalar of the metadata, "" if there is none.
func (doc document) nested(key string) string {
	if n, _ := doc.find("metadata." + key); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}
