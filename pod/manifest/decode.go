package manifest

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// decoder checks a tree of nodes against a Go type, and reduces it to what fits:
// a value that encoding/json turns into that type without a complaint. A value
// that does not fit is reported and becomes null.
type decoder struct {
	reporter
	notes  []Note
	budget *int                             // values that may still be visited
	types  map[reflect.Type]map[string]slot // the structs that were met
	wrong  map[string]bool                  // paths that were reported: validation need not do so again
	near   map[string]bool                  // the parents of such paths
	yields map[string]int                   // path -> index of a problem that validation may know better
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
}

// field renders the path; the document itself has none.
func (at place) field() string {
	if at.path == nil {
		return ""
	}
	return at.path.String()
}

// jsonUnmarshaler is implemented by types that are not what their fields are.
var jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()

// value reduces one node. It returns nil for null and for what does not fit.
func (d *decoder) value(n *yaml.Node, t reflect.Type, at place) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if *d.budget--; *d.budget < 0 {
		if *d.budget == -1 {
			d.add(at.line, at.field(), "aliases expand to more than %d values", maxExpansion)
		}
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
	case t.Kind() == reflect.Slice:
		return d.list(n, t, at)
	}
	return d.scalar(n, t, at)
}

// object reduces an object whose keys are the fields of a struct.
func (d *decoder) object(n *yaml.Node, t reflect.Type, at place) any {
	if kindOf(n) != object {
		return d.mismatch(n, at, "an object", "")
	}
	slots := d.slots(t)
	out := map[string]any{}
	d.keys(n, at, func(key, value *yaml.Node) {
		in := place{at.path.Child(key.Value), key.Line, at.quiet}
		s, known := slots[key.Value]
		if !known {
			d.unknownField(slots, key.Value, at, in)
			return
		}
		if verdicts[s.owner+"."+key.Value].verdict == Overwritten {
			return
		}
		if !in.quiet && isSet(value, s.typ) {
			in.quiet = d.judge(verdicts[s.owner+"."+key.Value], value, in)
		}
		out[key.Value] = d.value(value, s.typ, in)
	})
	return out
}

// dictionary reduces an object whose keys are the user's.
func (d *decoder) dictionary(n *yaml.Node, t reflect.Type, at place) any {
	if kindOf(n) != object {
		return d.mismatch(n, at, "an object", "")
	}
	out := map[string]any{}
	d.keys(n, at, func(key, value *yaml.Node) {
		in := place{at.path.Key(key.Value), key.Line, at.quiet}
		out[key.Value] = d.value(value, t.Elem(), in)
	})
	return out
}

// keys visits the keys of an object, each once, and reports those that are
// given twice or are no strings.
func (d *decoder) keys(n *yaml.Node, at place, visit func(key, value *yaml.Node)) {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if literal(key) != key.Value || kindOf(key) >= list || kindOf(key) <= null {
			d.add(key.Line, at.field(), "expected a string as a key, got %s (quote it)", describe(key))
			continue
		}
		if first, ok := seen[key.Value]; ok {
			d.add(key.Line, at.path.Child(key.Value).String(), "duplicate key: first given on line %d", first)
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
		out[i] = d.value(item, t.Elem(), place{at.path.Index(i), item.Line, at.quiet})
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
		return d.mismatch(n, at, "a string", quoted(n))
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
func quoted(n *yaml.Node) string {
	if k := kindOf(n); k == boolean || k == integer || k == float {
		return "quote it: " + strconv.Quote(n.Value)
	}
	return ""
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
	d.add(at.line, at.field(), "expected %s, got %s%s", want, describe(n), hint)
	d.ignore(at.field())
	return nil
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
	known := nearest(name, slots)
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
