package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml/goyaml.v3"
)

// source (CVE-2019-11253: a few lines can stand for gigabytes).
// maxExact bounds the texts, in bytes, in which the line of a syntax error is
// searched for; in larger ones the parser's own is near enough.
const maxExact = 256 << 10

// errorPrefix is what the YAML parser puts before its messages; its line is
// that of the surrounding construct, and at times off by one.
var errorPrefix = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// chunk is a part of a source that begins at a document marker.
type chunk struct {
	text   []byte
	before int // lines of the source before it
}

// parseYAML reads all documents. Each is parsed on its own, so that a syntax
// error in one does not hide what is wrong with the next.
func parseYAML(data []byte, r *reporter) []document {
	var docs []document
	e := expander{reporter: r, state: map[*yaml.Node]expansion{}}
	parts := chunks(data)
	if len(parts) > maxDocuments {
		r.add(1, "", "more than %d documents", maxDocuments)
		return nil
	}
	if tokens(data) > maxTokens {
		r.add(1, "", "more than %d keys and values", maxTokens)
		return nil
	}
	for _, c := range parts {
		roots, err := parseChunk(c.text)
		if err != nil {
			line := errorLine(c.text, err)
			r.add(c.before+line, "", "%s", explain(c.text, line, err))
			continue
		}
		for _, root := range roots {
			e.before = c.before
			e.expand(root)
			if root = root.Content[0]; kindOf(root) != null {
				docs = append(docs, document{root: root})
			}
		}
	}
	return docs
}

// chunks cuts at the lines that begin with "---": nothing else may begin so.
// Directives and comments before such a line belong to it.
func chunks(data []byte) []chunk {
	var out []chunk
	var start, at, line, before int
	content := false
	for text := range bytes.Lines(data) {
		if isMarker(text) && content {
			out = append(out, chunk{data[start:at], before})
			start, before, content = at, line, false
		}
		content = content || isMarker(text) || !isPreamble(text)
		at += len(text)
		line++
	}
	return append(out, chunk{data[start:], before})
}

// isMarker tells whether a line begins a document.
func isMarker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// isPreamble tells whether a line is blank, a comment or a directive.
func isPreamble(line []byte) bool {
	trimmed := bytes.TrimSpace(line)
	return len(trimmed) == 0 || trimmed[0] == '#' || line[0] == '%'
}

// parseChunk returns the documents of a chunk, more than one when "..." ends one.
func parseChunk(text []byte) ([]*yaml.Node, error) {
	var roots []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var root yaml.Node
		if err := dec.Decode(&root); errors.Is(err, io.EOF) {
			return roots, nil
		} else if err != nil {
			return nil, err
		}
		roots = append(roots, &root)
	}
}

// errorLine finds the line of a syntax error, counted from 1. The parser reads
// the text as a stream, so the line is the last of the shortest beginning that
// fails in the same way.
func errorLine(text []byte, err error) int {
	if len(text) > maxExact {
		line := 1
		if m := errorPrefix.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
			line, _ = strconv.Atoi(m[1])
		}
		return min(line, 1+bytes.Count(text, []byte("\n"))) // YAML breaks lines elsewhere, too
	}
	lines := bytes.SplitAfter(bytes.TrimRight(text, "\n"), []byte("\n"))
	return 1 + sort.Search(len(lines)-1, func(i int) bool {
		_, e := parseChunk(bytes.Join(lines[:i+1], nil))
		return e != nil && e.Error() == err.Error()
	})
}

// explain returns the parser's message, or what is meant by it.
func explain(text []byte, line int, err error) string {
	lines := bytes.SplitN(text, []byte("\n"), line+1)
	indent := lines[line-1][:len(lines[line-1])-len(bytes.TrimLeft(lines[line-1], " \t"))]
	if bytes.ContainsRune(indent, '\t') {
		return "a tab cannot indent YAML, use spaces"
	}
	message := errorPrefix.ReplaceAllString(err.Error(), "")
	if strings.HasPrefix(message, "unknown anchor ") {
		// Its name is not said: it may be a password that lacks its quotes.
		return "alias of an anchor that is not defined before it (a text that begins with * needs quotes)"
	}
	return message
}

// expansion is how far an anchored node has come.
type expansion int

const (
	unseen expansion = iota
	expanding
	expanded
)

// expander replaces aliases by what they stand for (shared, not copied) and
// merge keys by what they merge, and turns lines of the chunk into lines of the
// source.
type expander struct {
	*reporter
	before int
	merged int                      // of the whole source
	state  map[*yaml.Node]expansion // of the nodes with an anchor: the others are met once
}

func (e *expander) expand(n *yaml.Node) {
	n.Line += e.before
	if n.Anchor != "" {
		e.state[n] = expanding
		defer func() { e.state[n] = expanded }()
	}
	for i, child := range n.Content {
		if child.Kind != yaml.AliasNode {
			e.expand(child)
			continue
		}
		if n.Content[i] = child.Alias; e.state[child.Alias] == expanding {
			e.add(child.Line+e.before, "", "anchor %q contains itself", child.Value)
			n.Content[i] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: child.Line + e.before}
		}
	}
	if n.Kind == yaml.MappingNode {
		e.merge(n)
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!binary" {
		e.binary(n)
	}
}

// binary makes the text of a node that it gives in base64.
func (e *expander) binary(n *yaml.Node) {
	encoded, err := json.Marshal(n.Value)
	var value []byte
	if err == nil {
		err = json.Unmarshal(encoded, &value)
	}
	if err != nil || !utf8.Valid(value) {
		e.add(n.Line, "", "what has the tag !!binary is no text in base64")
	}
	n.Tag, n.Value, n.Style = "!!str", string(value), yaml.DoubleQuotedStyle
}

// merge replaces the keys "<<". A key that the object has itself wins, then the
// first that is merged.
func (e *expander) merge(object *yaml.Node) {
	var merges []*yaml.Node
	own := make([]*yaml.Node, 0, len(object.Content))
	for i := 0; i+1 < len(object.Content); i += 2 {
		key, value := object.Content[i], object.Content[i+1]
		switch {
		case key.ShortTag() != "!!merge":
			own = append(own, key, value)
		case value.Kind == yaml.SequenceNode:
			merges = append(merges, value.Content...)
		default:
			merges = append(merges, value)
		}
	}
	if len(merges) == 0 {
		return
	}
	have := map[string]bool{}
	for i := 0; i < len(own); i += 2 {
		have[own[i].Value] = true
	}
	for _, from := range merges {
		if from.Kind != yaml.MappingNode {
			e.add(from.Line, "", "a merge key (<<) needs an object, got %s", kindOf(from))
			continue
		}
		if e.merged += len(from.Content); e.merged > maxValues {
			e.add(object.Line, "", "merge keys expand to more than %d values", maxValues)
			break
		}
		for i := 0; i < len(from.Content); i += 2 {
			if key := from.Content[i]; !have[key.Value] {
				have[key.Value] = true
				own = append(own, key, from.Content[i+1])
			}
		}
	}
	object.Content = own
}
