package manifest

import (
	"cmp"
	"slices"
	"strings"
)

// Finding is what podrun does with a field that a document sets, or with a
// document of another kind, whose field is "kind".
type Finding struct {
	File      string
	Line      int // of the field's key
	Kind      string
	Namespace string
	Name      string
	Field     string  // spec.nodeSelector
	Verdict   Verdict // Honoured, Meaningless, Refused or Skipped
	Reason    string  // why, or what to know about it; may be empty

	problem Problem // that a refused field is
	path    string  // the field, as seen from the source: items[0].spec.nodeSelector
}

// Object names the object that the field is of: Pod default/web.
func (f Finding) Object() string { return objectID(f.Kind, f.Namespace, f.Name) }

// Ignored renders what is without meaning on one machine in one line, "ignored
// on one machine: nodeSelector, tolerations", each field once; "" when there is
// nothing to say.
func Ignored(findings []Finding) string {
	var fields []string
	for _, f := range findings {
		name := strings.TrimPrefix(f.Field, "spec.")
		if f.Verdict == Meaningless && !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	if len(fields) == 0 {
		return ""
	}
	return "ignored on one machine: " + strings.Join(fields, ", ")
}

// Report is what Check finds, each in the order of the documents.
type Report struct {
	Findings []Finding // what podrun does with every field that is set
	Problems Problems  // what is wrong besides what a finding refuses
	Warnings Problems  // what is right and may not be meant
}

// Check is Load for those who only ask.
func Check(sources []Source, opts Options) Report {
	l := newLoader(opts)
	l.all = true
	l.load(sources)
	return Report{l.manifest.Findings, l.problems, l.manifest.Warnings}
}

// refusals are the problems that refused fields are.
func refusals(findings []Finding) Problems {
	var out Problems
	for _, f := range findings {
		if f.Verdict == Refused {
			out = append(out, f.problem)
		}
	}
	return out
}

// inOrder sorts the findings of one source by line. Of several on one field the
// sternest stays.
func inOrder(findings []Finding) []Finding {
	rank := []Verdict{Refused, Skipped, Meaningless, Honoured}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line), strings.Compare(a.Object(), b.Object()), strings.Compare(a.path, b.path),
			cmp.Compare(slices.Index(rank, a.Verdict), slices.Index(rank, b.Verdict)),
		)
	})
	return slices.CompactFunc(findings, func(a, b Finding) bool {
		return a.Line == b.Line && a.path == b.path && a.Object() == b.Object()
	})
}
