package manifest

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml/goyaml.v3"
)

// maxSource bounds one source in bytes, as an API server bounds a request.
const maxSource = 3 << 20

// document is one document of a source: its tree, free of aliases and merge
// keys, with the lines of the source.
type document struct {
	root  *yaml.Node
	index map[*yaml.Node]map[string]keyNode // the keys of the objects that were looked into

	// Of an item of a list:
	prefix string // its path, items[0]
	depth  int    // how many lists it is in
	kind   string // what it is when it does not say so, "" if it must

	searches *int // that locate has done
}

// keyNode is one key of an object and what it holds.
type keyNode struct{ key, value *yaml.Node }

// read splits a source into documents. Empty documents are skipped.
func read(src Source) ([]document, Problems) {
	r := reporter{file: src.Name}
	data := bytes.TrimPrefix(src.Data, []byte("\xef\xbb\xbf"))
	if len(data) > maxSource {
		r.add(1, "", "larger than 3 MiB")
		return nil, r.problems
	}
	if at := invalidUTF8(data); at >= 0 {
		r.add(1+bytes.Count(data[:at], []byte("\n")), "", "not valid UTF-8")
		return nil, r.problems
	}
	docs := parse(data, &r)
	for i := range docs {
		docs[i].index, docs[i].searches = map[*yaml.Node]map[string]keyNode{}, new(int)
	}
	if len(docs) == 0 && len(r.problems) == 0 {
		r.add(1, "", "no document found")
	}
	return docs, r.problems
}

// parse reads JSON where the text is JSON, else YAML. YAML is nearly a superset:
// what looks like JSON and is not may still be YAML in flow style.
func parse(data []byte, r *reporter) []document {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return parseYAML(data, r)
	}
	docs, bad := parseJSON(data)
	if bad == nil {
		return docs
	}
	flow := reporter{file: r.file}
	if docs := parseYAML(data, &flow); len(flow.problems) == 0 {
		return docs
	}
	r.add(bad.line, "", "%s", bad.message)
	return nil
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(data []byte) int {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// at is the path of a field of the document, from the source's point of view.
func (doc document) at(path string) string {
	if doc.prefix == "" || path == "" {
		return doc.prefix + path
	}
	return doc.prefix + "." + path
}

// prefixed puts the document's place in its list before the fields of problems.
func (doc document) prefixed(problems Problems) Problems {
	for i := range problems {
		problems[i].Field = doc.at(problems[i].Field)
	}
	return problems
}

// text returns the scalar under a top-level key, "" if there is none.
func (doc document) text(key string) string {
	if n, ok := doc.child(doc.root, key); ok && n.value.Kind == yaml.ScalarNode {
		return n.value.Value
	}
	return ""
}

// line returns the line of the key or item that a field path names, or of its
// nearest parent that is there.
func (doc document) line(path string) int {
	_, line := doc.find(path)
	return line
}

// maxSearch bounds the values that are looked through for the one that an error
// is about, and maxSearches for how many errors of a document: there may be as
// many as values.
const maxSearch, maxSearches = 1000, 100

// locate finds what an error of validation is about when its path stops short of
// it: the key of an object whose keys are the user's, such as labels, that is,
// or has, the value; or the item of a list that has it. Of equal values the one
// after skip others is meant. It returns the path, completed where the error
// leaves out an index, and the line.
func (doc document) locate(path string, value any, skip int) (string, int) {
	at, line := doc.find(path)
	text, ok := textOf(value)
	if at != nil && at.Kind == yaml.MappingNode && ok {
		if n, ok := doc.child(at, text); ok {
			return path, n.key.Line
		}
	}
	if !ok || at != nil && at.Kind == yaml.ScalarNode {
		return path, line
	}
	if *doc.searches++; *doc.searches > maxSearches {
		return path, line
	}
	switch {
	case at == nil:
		return doc.indexed(path, text, skip)
	case at.Kind == yaml.SequenceNode && text != "":
		for _, item := range at.Content[:min(len(at.Content), maxSearch)] {
			if holds(item, text) {
				if skip--; skip < 0 {
					return path, item.Line
				}
			}
		}
	case at.Kind == yaml.MappingNode:
		return path, keyLine(at, text, line)
	}
	return path, line
}

// textOf is how a document says a value that is a string or a number.
func textOf(value any) (text string, ok bool) {
	v := reflect.Indirect(reflect.ValueOf(value))
	switch v.Kind() {
	case reflect.String, reflect.Int, reflect.Int32, reflect.Int64:
		return fmt.Sprint(v.Interface()), true
	}
	return "", false
}

// keyLine is the line of the key that has a value, or else the given.
func keyLine(object *yaml.Node, text string, line int) int {
	for i := 0; i+1 < min(len(object.Content), maxSearch); i += 2 {
		if object.Content[i+1].Value == text {
			return object.Content[i].Line
		}
	}
	return line
}

// indexed completes a path that names a field of the items of a list without an
// index: volumeMounts.subPath. Without a value it is the only item that has it.
func (doc document) indexed(path, text string, skip int) (string, int) {
	var same, found []string
	for end := range path {
		if path[end] != '.' {
			continue
		}
		items, _ := doc.find(path[:end])
		if items == nil || items.Kind != yaml.SequenceNode {
			continue
		}
		for i := range min(len(items.Content), maxSearch) {
			with := fmt.Sprintf("%s[%d]%s", path[:end], i, path[end:])
			at, _ := doc.find(with)
			if at != nil {
				found = append(found, with)
			}
			if at != nil && at.Kind == yaml.ScalarNode && literal(at) == text {
				same = append(same, with)
			}
		}
	}
	switch {
	case skip < len(same):
		path = same[skip]
	case text == "" && len(found) == 1:
		path = found[0]
	}
	return path, doc.line(path)
}

// holds tells whether an item of a list is a value, or an object with it.
func holds(item *yaml.Node, text string) bool {
	if item.Kind != yaml.MappingNode {
		return item.Value == text
	}
	for i := 1; i < len(item.Content); i += 2 {
		if item.Content[i].Value == text {
			return true
		}
	}
	return false
}

// find returns the node that a field path names, nil if it is not there, and
// the line of line.
func (doc document) find(path string) (*yaml.Node, int) {
	at, line := doc.root, doc.root.Line
	for _, name := range segments(path) {
		switch at.Kind {
		case yaml.MappingNode:
			n, ok := doc.child(at, name)
			if !ok {
				return nil, line
			}
			at, line = n.value, n.key.Line
		case yaml.SequenceNode:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at.Content) {
				return nil, line
			}
			at = at.Content[i]
			line = at.Line
		default:
			return nil, line
		}
	}
	return at, line
}

// child looks a key up; of a key that is given twice the first counts.
func (doc document) child(object *yaml.Node, key string) (keyNode, bool) {
	keys, ok := doc.index[object]
	if !ok {
		keys = map[string]keyNode{}
		for i := len(object.Content) - 2; i >= 0; i -= 2 {
			keys[object.Content[i].Value] = keyNode{object.Content[i], object.Content[i+1]}
		}
		doc.index[object] = keys
	}
	n, ok := keys[key]
	return n, ok
}

// segments splits spec.containers[0].resources.limits[nvidia.com/gpu] into its
// names, indices and keys.
func segments(path string) []string {
	var out []string
	for path != "" {
		if path[0] == '[' {
			key, rest, _ := strings.Cut(path[1:], "]")
			out, path = append(out, key), rest
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		if end > 0 {
			out = append(out, path[:end])
		}
		path = path[end:]
	}
	return out
}
