package manifest

import (
	"fmt"
	"reflect"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Diff returns the paths of the fields that differ between two defaulted pods,
// sorted: spec, labels and annotations, what a user says and means. Quantities
// are compared by value, nothing and an empty list are the same. Items of lists
// are compared by their place; an item that only one pod has is a path of its own.
func Diff(old, new *v1.Pod) []string {
	var out []string
	diff(reflect.ValueOf(old.Labels), reflect.ValueOf(new.Labels), field.NewPath("metadata", "labels"), &out)
	diff(reflect.ValueOf(old.Annotations), reflect.ValueOf(new.Annotations), field.NewPath("metadata", "annotations"), &out)
	diff(reflect.ValueOf(old.Spec), reflect.ValueOf(new.Spec), field.NewPath("spec"), &out)
	slices.Sort(out)
	return out
}

// diff appends the paths at and below path that differ.
func diff(a, b reflect.Value, path *field.Path, out *[]string) {
	if equality.Semantic.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	switch {
	case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		diff(a.Elem(), b.Elem(), path, out)
	case a.Kind() == reflect.Struct && structOf(a.Type()) != nil:
		diffStruct(a, b, path, out)
	case a.Kind() == reflect.Slice && structOf(a.Type()) != nil:
		diffList(a, b, path, out)
	case a.Kind() == reflect.Map:
		diffMap(a, b, path, out)
	default:
		*out = append(*out, path.String())
	}
}

func diffStruct(a, b reflect.Value, path *field.Path, out *[]string) {
	for f := range fieldsOf(a.Type()) {
		diff(a.FieldByIndex(f.index), b.FieldByIndex(f.index), path.Child(f.name), out)
	}
}

func diffList(a, b reflect.Value, path *field.Path, out *[]string) {
	for i := range max(a.Len(), b.Len()) {
		if i < a.Len() && i < b.Len() {
			diff(a.Index(i), b.Index(i), path.Index(i), out)
		} else {
			*out = append(*out, path.Index(i).String())
		}
	}
}

func diffMap(a, b reflect.Value, path *field.Path, out *[]string) {
	keys := a.MapKeys()
	for _, key := range b.MapKeys() {
		if !a.MapIndex(key).IsValid() {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		x, y := a.MapIndex(key), b.MapIndex(key)
		if !x.IsValid() || !y.IsValid() || !equality.Semantic.DeepEqual(x.Interface(), y.Interface()) {
			*out = append(*out, path.Key(fmt.Sprint(key.Interface())).String())
		}
	}
}
