package manifest

import (
	"bytes"
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
	nodes int                               // how many values the text itself holds
	index map[*yaml.Node]map[string]keyNode // the keys of the objects that were looked into
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

// maxSearch bounds the objects that lineOf searches for a value: it does so for
// each error, and an object may have as many errors as values.
const maxSearch = 1000

// lineOf is line, but for an object whose keys are the user's, such as labels,
// it is the line of the key that is, or has, the value.
func (doc document) lineOf(path string, value any) int {
	at, line := doc.find(path)
	text, ok := value.(string)
	if at == nil || at.Kind != yaml.MappingNode || !ok {
		return line
	}
	if n, ok := doc.child(at, text); ok {
		return n.key.Line
	}
	for i := 0; i+1 < min(len(at.Content), maxSearch); i += 2 {
		if at.Content[i+1].Value == text {
			return at.Content[i].Line
		}
	}
	return line
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
