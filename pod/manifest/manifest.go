package manifest

import (
	"reflect"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// Source is one input as it was read. The caller does the I/O.
type Source struct {
	Name string // as the user gave it, "-" for standard input; shown in errors
	Dir  string // absolute directory that relative hostPaths are relative to; without one they are problems
	Data []byte // YAML or JSON, UTF-8, at most 3 MiB
}

// Options are what the command line adds to the documents.
type Options struct {
	Namespace    string // namespace of documents that name none; "" is "default"
	NamespaceSet bool   // Namespace was asked for: a document with another one is a problem

	// SkipUnsupported leaves out documents of kinds that are not read. Each is a
	// finding then instead of a problem.
	SkipUnsupported bool

	// Machine is where the pods are to run; nil when that does not matter.
	Machine *Machine
}

// Manifest is what the sources say.
//
// The objects are defaulted and valid, their namespace is set, and they stand in
// the order of the input.
type Manifest struct {
	Pods       []*v1.Pod
	ConfigMaps []*v1.ConfigMap
	Secrets    []*v1.Secret // stringData is merged into data, as an API server does
	Claims     []*v1.PersistentVolumeClaim
	Findings   []Finding // what has no meaning on one machine, and what was skipped
	Warnings   Problems  // what is right and may not be meant, as an API server warns

	places map[metav1.Object]origin
}

// origin is the document that an object was made of.
type origin struct {
	file string
	doc  document
}

// Load reads all documents of all sources. When anything is wrong with them the
// error is Problems and holds everything that is wrong, and there is no Manifest.
func Load(sources []Source, opts Options) (*Manifest, error) {
	l := newLoader(opts)
	l.load(sources)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return &l.manifest, nil
}

// others are the objects that are not pods.
func (m *Manifest) others() []apiObject {
	var out []apiObject
	for _, object := range m.ConfigMaps {
		out = append(out, object)
	}
	for _, object := range m.Secrets {
		out = append(out, object)
	}
	for _, object := range m.Claims {
		out = append(out, object)
	}
	return out
}

// loader gathers what the sources say, across documents.
type loader struct {
	opts     Options
	manifest Manifest
	problems Problems
	declared map[string]string                // idOf -> FILE:LINE
	types    map[reflect.Type]map[string]slot // the structs that were met
	all      bool                             // findings are kept of honoured fields, too, and refused ones are no problems

	// Of the source at hand:
	findings []Finding
	warnings Problems
	budget   int // values that it may still hold, aliases followed
	items    int // of all its lists
}

func newLoader(opts Options) *loader {
	if opts.Namespace == "" {
		opts.Namespace = v1.NamespaceDefault
	}
	return &loader{
		opts:     opts,
		manifest: Manifest{places: map[metav1.Object]origin{}},
		declared: map[string]string{},
		types:    map[reflect.Type]map[string]slot{},
	}
}

// load reads all sources.
func (l *loader) load(sources []Source) {
	for _, src := range sources {
		l.findings, l.warnings = nil, nil
		problems := l.source(src)
		findings := inOrder(l.findings)
		if !l.all {
			problems = append(problems, refusals(findings)...)
		}
		l.problems = append(l.problems, problems.sorted()...)
		l.manifest.Findings = append(l.manifest.Findings, findings...)
		l.manifest.Warnings = append(l.manifest.Warnings, l.warnings.sorted()...)
	}
}

// source reads the documents of one source and returns what is wrong with them.
func (l *loader) source(src Source) Problems {
	docs, problems := read(src)
	l.budget, l.items = maxValues, 0
	for _, doc := range docs {
		if l.budget < 0 {
			break
		}
		problems = append(problems, l.document(src, doc)...)
	}
	return problems
}

// document dispatches on the kind.
func (l *loader) document(src Source, doc document) Problems {
	file := reporter{file: src.Name}
	if doc.root.Kind != yaml.MappingNode {
		file.add(doc.root.Line, doc.prefix, "expected an object, got %s", describe(doc.root))
		return file.problems
	}
	apiVersion, kind := doc.text("apiVersion"), doc.text("kind")
	if kind == "" && doc.kind != "" {
		apiVersion, kind = "v1", doc.kind
	}
	switch n, _ := doc.child(doc.root, "kind"); {
	case n.value != nil && n.value.Kind != yaml.ScalarNode:
		file.add(n.key.Line, doc.at("kind"), "expected a string, got %s", kindOf(n.value))
	case kind == "":
		file.add(doc.line("kind"), doc.at("kind"), "Required value: expected %s", strings.Join(kinds, ", "))
	case !slices.Contains(kinds, kind) && !isList(kind):
		l.unsupported(src, doc, kind)
	case apiVersion == "":
		file.add(doc.line("apiVersion"), doc.at("apiVersion"), "Required value: expected v1")
	case apiVersion != "v1":
		file.add(doc.line("apiVersion"), doc.at("apiVersion"), "%q has no kind %s, expected v1", apiVersion, kind)
	case isList(kind):
		return l.list(src, doc, kind)
	default:
		return l.object(src, doc, kind)
	}
	return file.problems
}

// object reads a document of one of the kinds.
func (l *loader) object(src Source, doc document, kind string) Problems {
	switch kind {
	case "Pod":
		return create(l, src, doc, podSteps, &l.manifest.Pods)
	case "ConfigMap":
		return create(l, src, doc, configMapSteps, &l.manifest.ConfigMaps)
	case "Secret":
		return create(l, src, doc, secretSteps, &l.manifest.Secrets)
	default:
		return create(l, src, doc, claimSteps, &l.manifest.Claims)
	}
}
