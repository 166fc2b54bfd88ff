package manifest

import (
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// decoder checks a tree of nodes against a Go type, and reduces it to what fits:
// a value that encoding/json turns into that type without a complaint. A value
// that does not fit is reported and becomes null.
type decoder struct {
	reporter
	dir      string   // of the manifest; "" for none
	machine  *Machine // where pods are to run; nil when that does not matter
	findings []Finding
	warnings Problems
	all      bool                             // findings are kept of honoured fields, too
	budget   *int                             // values that may still be visited
	types    map[reflect.Type]map[string]slot // the structs that were met
	wrong    map[string]bool                  // paths that were reported: validation need not do so again
	near     map[string]bool                  // the parents of such paths
	yields   map[string]bool                  // paths that were refused, but validation may know better
	dropped  map[string]bool                  // paths of findings that do not count: something else is wrong there
}

// slot is a field of a struct as JSON knows it.
type slot struct {
	owner string // the struct that declares it, for its verdict: VolumeSource
	typ   reflect.Type
}

// place is where a value stands.
type place struct {
	path  *field.Path
	line  int  // of its key
	quiet bool // the verdict on a parent covers it

	secret bool // a message must not quote it
	item   bool // of a list, or under a key of the user's
}

// field renders the path; the document itself has none.
func (at place) field() string {
	if at.path == nil {
		return ""
	}
	return at.path.String()
}

// child is where something below stands.
func (at place) child(path *field.Path, line int) place {
	return place{path: path, line: line, quiet: at.quiet, secret: at.secret}
}

// key is the path of a key of the user's. What cannot be the key of a Secret is
// not said, see hiddenKey.
func (at place) key(name string, _ ...string) *field.Path {
	if at.secret && len(validation.IsConfigMapKey(name)) > 0 {
		return at.path
	}
	return at.path.Key(name)
}

// describe names a node in a message, with its value unless that is a secret.
func (at place) describe(n *yaml.Node) string {
	if at.secret {
		return kindOf(n).String()
	}
	return describe(n)
}

var (
	// jsonUnmarshaler is implemented by types that are not what their fields are.
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	bytesType       = reflect.TypeFor[[]byte]()

	// secrets are the fields that no message quotes.
	secrets = map[string]bool{"Secret.data": true, "Secret.stringData": true}
)

// value reduces one node. It returns nil for null and for what does not fit.
func (d *decoder) value(n *yaml.Node, t reflect.Type, at place) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !d.spend(weight(t, at), at) {
		return nil
	}
	if kindOf(n) == null {
		return nil
	}
	switch {
	case reflect.PointerTo(t).Implements(jsonUnmarshaler):
		return d.custom(n, t, at)
	case t.Kind() == reflect.Struct:
		return d.object(n, t, at)
	case t.Kind() == reflect.Map:
		return d.dictionary(n, t, at)
	case t == rawItems && kindOf(n) == list:
		return nil // documents of their own
	case t == bytesType:
		return d.base64(n, at)
	case t.Kind() == reflect.Slice:
		return d.list(n, t, at)
	}
	return d.scalar(n, t, at)
}

// weight is what it costs to look at a value of a type.
func weight(t reflect.Type, at place) int {
	switch {
	case t.Kind() == reflect.Struct && structOf(t) != nil:
		return structWeight
	case t.Kind() == reflect.Struct:
		return customWeight
	case at.item:
		return itemWeight
	}
	return 1
}

// spend takes n off what the source may hold, and reports once when that is not
// enough.
func (d *decoder) spend(n int, at place) bool {
	enough := *d.budget >= 0
	if *d.budget -= n; enough && *d.budget < 0 {
		d.add(at.line, at.field(), "more than %d values, aliases followed", maxValues)
	}
	return *d.budget >= 0
}

// object reduces an object whose keys are the fields of a struct.
func (d *decoder) object(n *yaml.Node, t reflect.Type, at place) any {
	if kindOf(n) != object {
		return d.mismatch(n, at, "an object", "")
	}
	slots := d.slots(t)
	out := map[string]any{}
	d.keys(n, at, at.path.Child, func(key, value *yaml.Node) {
		in := at.child(at.path.Child(key.Value), key.Line)
		s, known := slots[key.Value]
		if !known {
			if d.spend(unknownWeight, in) {
				d.unknownField(slots, key.Value, at, in)
			}
			return
		}
		name := s.owner + "." + key.Value
		in.secret = in.secret || secrets[name]
		if !in.quiet {
			in.quiet = d.judge(verdicts[name], s, value, in)
		}
		if verdicts[name].verdict != Overwritten {
			out[key.Value] = d.value(value, s.typ, in)
		}
	})
	return out
}

// dictionary reduces an object whose keys are the user's.
func (d *decoder) dictionary(n *yaml.Node, t reflect.Type, at place) any {
	if kindOf(n) != object {
		return d.mismatch(n, at, "an object", "")
	}
	out := map[string]any{}
	d.keys(n, at, at.key, func(key, value *yaml.Node) {
		in := at.child(at.key(key.Value), key.Line)
		in.item = true
		out[key.Value] = d.value(value, t.Elem(), in)
	})
	return out
}

// keys visits the keys of an object, each once, and reports those that are
// given twice, at the path that they have, or are no strings.
func (d *decoder) keys(n *yaml.Node, at place, path func(string, ...string) *field.Path, visit func(key, value *yaml.Node)) {
	seen := make(map[string]int, min(len(n.Content)/2, maxValues))
	for i := 0; i+1 < len(n.Content) && *d.budget >= 0; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if literal(key) != key.Value || kindOf(key) >= list || kindOf(key) <= null {
			d.spend(1, at)
			d.add(key.Line, at.field(), "expected a string as a key, got %s%s", at.describe(key), keyHint(key))
			continue
		}
		if first, ok := seen[key.Value]; ok {
			d.spend(1, at)
			d.add(key.Line, path(key.Value).String(), "duplicate key: first given on line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		visit(key, value)
	}
}

// list reduces a list. What does not fit leaves a null, so that indices stay.
func (d *decoder) list(n *yaml.Node, t reflect.Type, at place) any {
	if kindOf(n) != list {
		return d.mismatch(n, at, "a list", "")
	}
	out := make([]any, len(n.Content))
	for i, item := range n.Content {
		if *d.budget < 0 {
			break
		}
		in := at.child(at.path.Index(i), item.Line)
		in.item = true
		out[i] = d.value(item, t.Elem(), in)
	}
	return out
}

// scalar reduces a string, an integer or a boolean.
func (d *decoder) scalar(n *yaml.Node, t reflect.Type, at place) any {
	switch t.Kind() {
	case reflect.String:
		if kindOf(n) == text {
			return n.Value
		}
		return d.mismatch(n, at, "a string", at.quoted(n))
	case reflect.Bool:
		if kindOf(n) == boolean {
			return boolOf(n)
		}
		return d.mismatch(n, at, "a boolean", unquoted(n, boolean))
	case reflect.Int32, reflect.Int64:
		value, ok := intOf(n)
		if !ok && kindOf(n) != integer {
			return d.mismatch(n, at, "an integer", unquoted(n, integer))
		}
		if !ok || t.Kind() == reflect.Int32 && int64(int32(value)) != value {
			return d.mismatch(n, at, "an integer of "+strconv.Itoa(t.Bits())+" bits", "")
		}
		return value
	}
	return d.mismatch(n, at, "a "+t.String(), "")
}

// base64 reduces bytes.
func (d *decoder) base64(n *yaml.Node, at place) any {
	if kindOf(n) != text {
		return d.mismatch(n, at, "base64", "")
	}
	encoded, err := json.Marshal(n.Value)
	if err == nil {
		err = json.Unmarshal(encoded, new([]byte))
	}
	if err != nil {
		hint := ""
		if at.secret {
			hint = " (plain text goes into stringData)"
		}
		d.add(at.line, at.field(), "expected base64: %v%s", err, hint)
		d.ignore(at.field())
		d.dropped[at.field()] = true
		return nil
	}
	return n.Value
}

// custom reduces what its type reads by itself from a string or a number.
func (d *decoder) custom(n *yaml.Node, t reflect.Type, at place) any {
	value, isInt := intOf(n)
	var out any = n.Value
	if isInt {
		out = value
	}
	switch t {
	case reflect.TypeFor[resource.Quantity]():
		if k := kindOf(n); k != text && k != integer && k != float {
			return d.mismatch(n, at, "a quantity", "")
		}
		if _, err := quantity(literal(n)); err != nil {
			return d.mismatch(n, at, "a quantity such as 500m, 2 or 64Mi", "")
		}
		return literal(n)
	case reflect.TypeFor[intstr.IntOrString]():
		if isInt && int64(int32(value)) == value || kindOf(n) == text {
			return out
		}
		return d.mismatch(n, at, "an integer or a string", "")
	}
	encoded, err := json.Marshal(out)
	if err == nil {
		err = json.Unmarshal(encoded, reflect.New(t).Interface())
	}
	if err != nil || kindOf(n) >= list {
		return d.mismatch(n, at, "a "+t.Name(), "")
	}
	return out
}

// quoted hints at the quotes that a string lacks to be one.
func (at place) quoted(n *yaml.Node) string {
	switch k := kindOf(n); {
	case k != boolean && k != integer && k != float:
		return ""
	case at.secret:
		return "quote it"
	}
	return "quote it: " + strconv.Quote(n.Value)
}

// unquoted hints at quotes that make a string of another kind of value.
func unquoted(n *yaml.Node, want kind) string {
	if kindOf(n) == text && kindOf(&yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}) == want {
		return "remove the quotes"
	}
	return ""
}

// mismatch reports a value of the wrong type.
func (d *decoder) mismatch(n *yaml.Node, at place, want, hint string) any {
	if hint != "" {
		hint = " (" + hint + ")"
	}
	if hint == "" && isTemplate(n) {
		hint = " (a template? podrun reads what it renders)"
	}
	d.add(at.line, at.field(), "expected %s, got %s%s", want, at.describe(n), hint)
	d.ignore(at.field())
	d.dropped[at.field()] = true
	return nil
}

// isTemplate tells whether a node is {{ something }}, as YAML understands it.
func isTemplate(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && n.Style == yaml.FlowStyle && len(n.Content) == 2 && n.Content[0].Kind == yaml.MappingNode
}

// keyHint says what to do about a key that is no string.
func keyHint(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	return " (quote it)"
}

// ignore keeps validation from talking about a path and what is below.
func (d *decoder) ignore(path string) {
	d.wrong[path] = true
	if end := strings.LastIndexAny(path, ".["); end > 0 {
		d.near[path[:end]] = true
	}
}

// covers tells whether an error of validation only repeats what was reported:
// at or below a wrong path, or that a parent lacks it.
func (d *decoder) covers(err *field.Error) bool {
	if err.Type == field.ErrorTypeRequired && d.near[err.Field] {
		return true
	}
	for i, c := range err.Field {
		if (c == '.' || c == '[') && d.wrong[err.Field[:i]] {
			return true
		}
	}
	return d.wrong[err.Field]
}

// slots returns the fields of a struct by their JSON names, inline structs' too.
func (d *decoder) slots(t reflect.Type) map[string]slot {
	if slots, ok := d.types[t]; ok {
		return slots
	}
	slots := map[string]slot{}
	for f := range fieldsOf(t) {
		slots[f.name] = f.slot
	}
	d.types[t] = slots
	return slots
}

// unknownField reports a field that the API does not know, and that the nearest
// known one may be missing for it.
func (d *decoder) unknownField(slots map[string]slot, name string, parent, at place) {
	d.ignore(at.field())
	known := nearest(name, maps.Keys(slots))
	if known == "" {
		d.add(at.line, at.field(), "unknown field")
		return
	}
	d.ignore(parent.path.Child(known).String())
	d.add(at.line, at.field(), "unknown field, did you mean %q?", known)
}

// isSet tells whether a value differs from leaving the field out.
func isSet(n *yaml.Node, t reflect.Type) bool {
	if kindOf(n) == null {
		return false
	}
	switch t.Kind() {
	case reflect.String:
		return n.Value != ""
	case reflect.Bool:
		return literal(n) != "false"
	case reflect.Int32, reflect.Int64:
		return literal(n) != "0"
	case reflect.Slice, reflect.Map:
		return n.Kind == yaml.ScalarNode || len(n.Content) > 0
	}
	return true
}
