package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml/goyaml.v3"
)

// maxDepth bounds how deep values nest, as the YAML parser does by itself.
const maxDepth = 10000

// syntaxError is where and why a text is neither JSON nor YAML.
type syntaxError struct {
	line    int
	message string
}

// jsonReader builds the nodes that the YAML parser would, from JSON. JSON is
// read by a JSON parser because YAML knows no surrogate pairs ("\ud83d\ude00").
type jsonReader struct {
	data  []byte
	dec   *json.Decoder
	line  int // of the last token
	read  int // bytes up to the end of the last token
	nodes int // so far
}

// parseJSON reads one or several JSON values, one after the other.
func parseJSON(data []byte) ([]document, *syntaxError) {
	r := jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	r.dec.UseNumber()
	var docs []document
	for {
		root, err := r.value(0)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, r.failed(err)
		}
		if docs = append(docs, document{root: root}); len(docs) > maxDocuments {
			return nil, &syntaxError{1, fmt.Sprintf("more than %d documents", maxDocuments)}
		}
	}
}

// token reads the next token and moves the line to it.
func (r *jsonReader) token() (json.Token, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	end := int(r.dec.InputOffset())
	r.line += bytes.Count(r.data[r.read:end], []byte("\n"))
	r.read = end
	return tok, nil
}

// value reads one value. At the end of the text it returns io.EOF.
func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	tok, err := r.token()
	if err != nil {
		return nil, err
	}
	if r.nodes++; r.nodes > maxTokens {
		return nil, fmt.Errorf("more than %d keys and values", maxTokens)
	}
	switch tok := tok.(type) {
	case json.Delim:
		return r.collection(tok, depth)
	case string:
		return r.scalar("!!str", tok), nil
	case bool:
		if tok {
			return r.scalar("!!bool", "true"), nil
		}
		return r.scalar("!!bool", "false"), nil
	case json.Number:
		if strings.ContainsAny(tok.String(), ".eE") {
			return r.scalar("!!float", tok.String()), nil
		}
		return r.scalar("!!int", tok.String()), nil
	default:
		return r.scalar("!!null", "null"), nil
	}
}

// scalar returns a leaf. Strings are marked as quoted, which they are.
func (r *jsonReader) scalar(tag, value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Line: r.line}
	if tag == "!!str" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// collection reads what follows an opening bracket, the closing one included.
func (r *jsonReader) collection(open json.Delim, depth int) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: r.line}
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	if depth >= maxDepth {
		return nil, errors.New("exceeded max depth of 10000")
	}
	for r.dec.More() {
		child, err := r.value(depth + 1)
		if err != nil {
			return nil, noEOF(err)
		}
		n.Content = append(n.Content, child)
	}
	_, err := r.token()
	return n, noEOF(err)
}

// noEOF says that the text must not end here.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// failed tells the line of what follows the last good token.
func (r *jsonReader) failed(err error) *syntaxError {
	rest := bytes.TrimRight(r.data[r.read:], " \t\r\n")
	blank := len(rest) - len(bytes.TrimLeft(rest, " \t\r\n,:"))
	return &syntaxError{line: r.line + bytes.Count(rest[:blank], []byte("\n")), message: err.Error()}
}
