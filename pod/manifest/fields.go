package manifest

import (
	"iter"
	"reflect"
	"slices"
	"strings"
)

// namedSlot is a field of a struct and its JSON name.
type namedSlot struct {
	slot
	name  string
	index []int // for reflect's FieldByIndex
}

// fieldsOf yields the fields of a struct as JSON knows them, in order, the
// fields of inline structs in their place.
func fieldsOf(t reflect.Type) iter.Seq[namedSlot] {
	return func(yield func(namedSlot) bool) { visitFields(t, nil, yield) }
}

// visitFields does so below index; it returns false when the visitor had enough.
func visitFields(t reflect.Type, index []int, yield func(namedSlot) bool) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clip(index), i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous:
			if !visitFields(f.Type, at, yield) {
				return false
			}
		default:
			if !yield(namedSlot{slot{t.Name(), f.Type}, name, at}) {
				return false
			}
		}
	}
	return true
}

// structOf returns the struct that a field holds, one, many or a pointer to it;
// nil when it holds none, or one that reads itself from a scalar.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(jsonUnmarshaler) {
		return nil
	}
	return t
}

// nearest returns the known name that a wrong one was probably meant to be: at
// most every third letter differs, or it is the end of that one name, as name is
// of secretName. It is "" if none is near.
func nearest(name string, known iter.Seq[string]) string {
	if len(name) > 64 {
		return ""
	}
	lower := strings.ToLower(name)
	best, least := "", len(name)/3+1
	var ends []string
	for candidate := range known {
		d := distance(lower, strings.ToLower(candidate))
		if d < least || d == least && (best == "" || candidate < best) {
			best, least = candidate, d
		}
		if strings.HasSuffix(strings.ToLower(candidate), lower) {
			ends = append(ends, candidate)
		}
	}
	if best == "" && len(ends) == 1 && len(name) > 2 {
		return ends[0]
	}
	return best
}

// distance is the number of letters to insert, drop, change or swap (the optimal
// string alignment distance).
func distance(a, b string) int {
	var before, last, row = []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
