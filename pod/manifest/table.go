package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// Field is a row of the table of verdicts.
type Field struct {
	Structure string   // Go name of the struct that declares it: PodSpec
	Name      string   // as in a manifest: nodeSelector
	Verdict   Verdict  // of this version
	Reason    string   // why, or what to know about it
	Values    []string // the values that Honoured is restricted to, or that are accepted although it is not
}

// roots are the structures that documents hold, a list of them included.
var roots = []reflect.Type{
	reflect.TypeFor[v1.Pod](), reflect.TypeFor[v1.ConfigMap](), reflect.TypeFor[v1.Secret](),
	reflect.TypeFor[v1.PersistentVolumeClaim](), reflect.TypeFor[v1.List](),
}

// Fields lists the verdict on every field that an object can have, structure by
// structure as they are met from Pod and the other kinds. What is below an ignored, refused or
// overwritten field shares its verdict and is not listed.
func Fields() []Field {
	live := reachable(Honoured)
	var out []Field
	for _, t := range reachable(Honoured, NotYet) {
		for f := range fieldsOf(t) {
			r := verdicts[f.owner+"."+f.name]
			row := Field{f.owner, f.name, r.verdict, r.reason, r.values}
			if r.verdict == Honoured && !(slices.Contains(live, t) && honoursAny(f.typ)) {
				row.Verdict = NotYet
			}
			if !slices.ContainsFunc(out, func(o Field) bool { return o.Structure == row.Structure && o.Name == row.Name }) {
				out = append(out, row)
			}
		}
	}
	return out
}

// reachable lists the structs that fields with one of the verdicts lead to.
func reachable(through ...Verdict) []reflect.Type {
	var out []reflect.Type
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if t == nil || slices.Contains(out, t) {
			return
		}
		out = append(out, t)
		for f := range fieldsOf(t) {
			if slices.Contains(through, verdicts[f.owner+"."+f.name].verdict) {
				visit(structOf(f.typ))
			}
		}
	}
	for _, root := range roots {
		visit(root)
	}
	return out
}

// honoursAny tells whether a field's type is a plain value, or a struct of which
// at least one field is honoured.
func honoursAny(t reflect.Type) bool {
	s := structOf(t)
	if s == nil {
		return true
	}
	for f := range fieldsOf(s) {
		if verdicts[f.owner+"."+f.name].verdict == Honoured && honoursAny(f.typ) {
			return true
		}
	}
	return false
}

// Table renders the honoured fields as Markdown, a table per structure.
func Table() string {
	var b strings.Builder
	structure := ""
	for _, f := range Fields() {
		if f.Verdict != Honoured {
			continue
		}
		if f.Structure != structure {
			structure = f.Structure
			fmt.Fprintf(&b, "\n### %s\n\n| Field | Note |\n|---|---|\n", structure)
		}
		note := f.Reason
		if len(f.Values) > 0 {
			note = strings.TrimSuffix(strings.Join(f.Values, ", ")+"; "+note, "; ")
		}
		fmt.Fprintf(&b, "| %s | %s |\n", f.Name, note)
	}
	return strings.TrimPrefix(b.String(), "\n")
}
