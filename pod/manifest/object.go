package manifest

import (
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/core"
)

// apiObject is what the objects of all kinds have.
type apiObject interface {
	metav1.Object
	runtime.Object
}

// steps are what differs between kinds in create; those that do nothing are nil.
type steps[T apiObject] struct {
	judge    func(*decoder, document, T) // the verdicts that depend on more than that a field is set
	complete func(Source, T)             // what podrun fills in
	defaults func(T)                     // what an API server fills in
	validate func(T) field.ErrorList     // what an API server refuses on create
	warn     func(T) []string            // what an API server warns of, FIELD: MESSAGE
	store    func(T)                     // what an API server keeps in another place than it was given in
}

// create makes an object of a document, as an API server does on create, and adds
// it to the objects of its kind:
//
//  1. decode strictly, with a verdict for every field that is set
//  2. fill in the namespace and absolute host paths
//  3. default
//  4. validate
//
// It returns what is wrong on the way.
func create[T apiObject](l *loader, src Source, doc document, s steps[T], list *[]T) Problems {
	d, whole := l.decoder(src), l.budget
	object := reflect.New(reflect.TypeFor[T]().Elem()).Interface().(T)
	if d.decode(doc, object); l.budget < 0 {
		return doc.prefixed(d.problems)
	}
	if s.judge != nil {
		s.judge(d, doc, object)
	}
	l.namespace(d, doc, object)
	if s.complete != nil {
		s.complete(src, object)
	}
	s.defaults(object)
	d.named(doc, object)
	d.validate(doc, s.validate(object))
	if s.warn != nil && len(d.problems) == 0 && whole-l.budget <= maxWarned {
		d.warn(doc, s.warn(object)...)
	}
	if s.store != nil {
		s.store(object)
	}
	l.declare(d, doc, object)
	l.keep(d, doc, object)
	l.manifest.places[object] = origin{src.Name, doc}
	*list = append(*list, object)
	return doc.prefixed(d.problems)
}

// keep keeps the findings of a document, with what they are of, and its warnings.
// Wrong values are not called honoured.
func (l *loader) keep(d *decoder, doc document, object apiObject) {
	wrong := map[string]bool{}
	for _, p := range d.problems {
		wrong[p.Field] = true
	}
	l.warnings = append(l.warnings, doc.prefixed(d.warnings)...)
	for _, f := range d.findings {
		f.File, f.Kind, f.Namespace, f.Name = printable(d.file), kindName(object), object.GetNamespace(), object.GetName()
		f.problem.Field, f.path = doc.at(f.problem.Field), doc.at(f.Field)
		if !d.dropped[f.Field] && (f.Verdict != Honoured || !wrong[f.Field]) {
			l.findings = append(l.findings, f)
		}
	}
}

// decoder starts with a document of a source.
func (l *loader) decoder(src Source) *decoder {
	return &decoder{
		reporter: reporter{file: src.Name},
		dir:      src.Dir,
		machine:  l.opts.Machine,
		all:      l.all,
		budget:   &l.budget,
		types:    l.types,
		wrong:    map[string]bool{},
		near:     map[string]bool{},
		yields:   map[string]bool{},
		dropped:  map[string]bool{},
	}
}

// warn takes in warnings, FIELD: MESSAGE or just a message, except of what is
// refused.
func (d *decoder) warn(doc document, warnings ...string) {
	r := reporter{file: d.file}
	for _, warning := range warnings {
		path, message, _ := strings.Cut(warning, ": ")
		if !strings.HasPrefix(path, "spec.") && !strings.HasPrefix(path, "metadata.") {
			path, message = "", warning
		}
		if !d.wrong[path] {
			r.add(doc.line(path), path, "%s", message)
		}
	}
	d.warnings = append(d.warnings, r.problems...)
}

// decode reads what fits an object; the rest is reported. Of a document that is
// too large nothing is read.
func (d *decoder) decode(doc document, object apiObject) {
	value := d.value(doc.root, reflect.TypeOf(object), place{line: doc.root.Line})
	if *d.budget < 0 {
		return
	}
	if fields, ok := value.(map[string]any); ok {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, object); err != nil {
			d.add(doc.root.Line, "", "decode: %v", err)
		}
	}
	if doc.kind != "" {
		object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kindName(object)})
	}
}

// kindName is the kind of an object.
func kindName(object apiObject) string { return reflect.TypeOf(object).Elem().Name() }

// idOf names an object among all others: Pod default/web.
func idOf(object apiObject) string {
	return objectID(kindName(object), object.GetNamespace(), object.GetName())
}

func objectID(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// namespace gives an object the namespace that was asked for, if it names none.
func (l *loader) namespace(d *decoder, doc document, object apiObject) {
	if object.GetNamespace() == "" {
		object.SetNamespace(l.opts.Namespace)
	}
	if l.opts.NamespaceSet && object.GetNamespace() != l.opts.Namespace {
		d.add(doc.line("metadata.namespace"), "metadata.namespace",
			"%q is not the namespace that was asked for, %q", object.GetNamespace(), l.opts.Namespace)
	}
}

// named refuses an object whose name an API server would make up.
func (d *decoder) named(doc document, object apiObject) {
	if object.GetGenerateName() != "" && object.GetName() == "" {
		const path = "metadata.generateName"
		d.add(doc.line(path), path, "a random name would make another object each time, give metadata.name")
		d.dropped[path] = true
		d.ignore("metadata.name")
	}
}

// declare notes what an object is called, which none before it may be.
func (l *loader) declare(d *decoder, doc document, object apiObject) {
	id := idOf(object)
	line := doc.line("metadata.name")
	if first, ok := l.declared[id]; ok && object.GetName() != "" {
		d.add(line, "metadata.name", "%s is already declared at %s", id, first)
	} else {
		l.declared[id] = fmt.Sprintf("%s:%d", d.file, line)
	}
}

// corePath is where Kubernetes has the objects that it validates.
var corePath = reflect.TypeFor[core.Pod]().PkgPath()

// validate reports what an API server would refuse, except what was reported
// already.
func (d *decoder) validate(doc document, errs field.ErrorList) {
	same := map[string]int{}
	for _, err := range errs {
		if v := reflect.Indirect(reflect.ValueOf(err.BadValue)); v.Kind() == reflect.Struct && v.Type().PkgPath() == corePath {
			err.BadValue = field.OmitValueType{} // it would be in the words of Go
		}
		hidden := err.BadValue == hiddenKey{}
		if hidden {
			err.BadValue = field.OmitValueType{}
		}
		message := err.ErrorBody()
		path := misnamed.Replace(err.Field)
		nth := same[path+message]
		same[path+message]++
		var line int
		err.Field, line = doc.locate(path, err.BadValue, nth)
		if d.covers(err) {
			continue
		}
		if d.yields[err.Field] {
			d.dropped[err.Field] = true
		}
		if hidden {
			err.Field, _, _ = strings.Cut(err.Field, "[")
		}
		d.add(line, err.Field, "%s", message)
	}
}
