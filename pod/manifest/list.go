package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// maxListDepth bounds how deep lists hold lists.
const maxListDepth = 8

// rawItems is what the items of a list are to the list itself.
var rawItems = reflect.TypeFor[[]runtime.RawExtension]()

// isList tells whether a kind is List, or the list of one of the kinds, such as
// PodList, which is what an API server answers with.
func isList(kind string) bool {
	item, ok := strings.CutSuffix(kind, "List")
	return ok && (item == "" || slices.Contains(kinds, item))
}

// list reads the items of a list, as documents of their own. In a list of one
// kind they need not say what they are.
func (l *loader) list(src Source, doc document, kind string) Problems {
	d := l.decoder(src)
	d.value(doc.root, reflect.TypeFor[v1.List](), place{line: doc.root.Line})
	var items []*yaml.Node
	if n, ok := doc.child(doc.root, "items"); ok && n.value.Kind == yaml.SequenceNode {
		items = n.value.Content
	}
	l.items += len(items)
	switch {
	case l.items > maxDocuments:
		d.add(doc.line("items"), "items", "more than %d items", maxDocuments)
		items = nil
	case doc.depth >= maxListDepth:
		d.add(doc.line("items"), "items", "lists nest deeper than %d", maxListDepth)
		items = nil
	}
	problems := doc.prefixed(d.problems)
	for i, root := range items {
		if l.budget < 0 {
			break
		}
		item := document{
			root:  root,
			index: doc.index, searches: doc.searches,
			prefix: doc.at(fmt.Sprintf("items[%d]", i)),
			depth:  doc.depth + 1,
			kind:   strings.TrimSuffix(kind, "List"),
		}
		problems = append(problems, l.document(src, item)...)
	}
	return problems
}
