package manifest

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// Source is one input as it was read. The caller does the I/O.
type Source struct {
	Name string // as the user gave it, "-" for standard input; shown in errors
	Dir  string // absolute directory that relative hostPaths are relative to
	Data []byte // YAML or JSON, UTF-8, at most 3 MiB
}

// Options are what the command line adds to the documents.
type Options struct {
	Namespace    string // namespace of documents that name none; "" is "default"
	NamespaceSet bool   // Namespace was asked for: a document with another one is a problem
}

// Manifest is what the sources say.
type Manifest struct {
	Pods  []*v1.Pod // defaulted and valid, in input order, namespace set
	Notes []Note    // fields that were set and mean nothing on one machine
}

// Load reads all documents of all sources. When anything is wrong with them the
// error is Problems and holds everything that is wrong, and there is no Manifest.
func Load(sources []Source, opts Options) (*Manifest, error) {
	if opts.Namespace == "" {
		opts.Namespace = v1.NamespaceDefault
	}
	l := loader{opts: opts, declared: map[string]string{}}
	for _, src := range sources {
		l.problems = append(l.problems, l.source(src).sorted()...)
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return &l.manifest, nil
}

// loader gathers what the sources say, across documents.
type loader struct {
	opts     Options
	manifest Manifest
	problems Problems
	declared map[string]string // kind namespace/name -> FILE:LINE
	budget   int               // values that the source at hand may still hold, aliases followed
}

// source reads the documents of one source and returns what is wrong with them.
func (l *loader) source(src Source) Problems {
	docs, problems := read(src)
	l.budget = maxExpansion
	for _, doc := range docs {
		l.budget += doc.nodes
	}
	for _, doc := range docs {
		problems = append(problems, l.document(src, doc)...)
	}
	return problems
}

// document dispatches on the kind.
func (l *loader) document(src Source, doc document) Problems {
	file := reporter{file: src.Name}
	if doc.root.Kind != yaml.MappingNode {
		file.add(doc.root.Line, "", "expected an object, got %s", describe(doc.root))
		return file.problems
	}
	apiVersion, kind := doc.text("apiVersion"), doc.text("kind")
	switch {
	case kind == "":
		file.add(doc.line("kind"), "kind", "Required value: expected Pod")
	case kind != "Pod":
		file.add(doc.line("kind"), "", "kind %s is not supported yet", kind)
	case apiVersion == "":
		file.add(doc.line("apiVersion"), "apiVersion", "Required value: expected v1")
	case apiVersion != "v1":
		file.add(doc.line("apiVersion"), "apiVersion", "%q has no kind Pod, expected v1", apiVersion)
	default:
		return l.pod(src, doc)
	}
	return file.problems
}

// pod adds the document's pod to the manifest, if nothing is wrong with it.
func (l *loader) pod(src Source, doc document) Problems {
	pod, d := l.decodePod(src, doc)
	if pod.Name != "" {
		id := "pod " + pod.Namespace + "/" + pod.Name
		line := doc.line("metadata.name")
		if first, ok := l.declared[id]; ok {
			d.add(line, "metadata.name", "%s is already declared at %s", id, first)
		} else {
			l.declared[id] = fmt.Sprintf("%s:%d", src.Name, line)
		}
	}
	l.manifest.Pods = append(l.manifest.Pods, pod)
	l.manifest.Notes = append(l.manifest.Notes, d.notes...)
	return d.problems
}
