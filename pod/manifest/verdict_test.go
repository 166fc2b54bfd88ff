package manifest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

// TestVerdicts walks the Go structs of the kinds and fails on a field without a
// verdict, and on a verdict without a field.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	seen, packages := map[string]bool{}, map[string]string{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || reflect.PointerTo(typ).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return
		}
		if other, ok := packages[typ.Name()]; ok {
			if other != typ.PkgPath() {
				t.Errorf("two structs are called %s", typ.Name())
			}
			return
		}
		packages[typ.Name()] = typ.PkgPath()
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				walk(f.Type)
				continue
			}
			key := typ.Name() + "." + name
			seen[key] = true
			rule, ok := verdicts[key]
			if !ok {
				t.Errorf("%s has no verdict", key)
			}
			switch rule.verdict {
			case Honoured, NotYet:
				walk(f.Type)
			case Meaningless, Refused:
				if rule.reason == "" {
					t.Errorf("%s is %s without a reason", key, rule.verdict)
				}
			}
		}
	}
	for _, root := range roots {
		walk(root)
	}
	for key := range verdicts {
		if !seen[key] {
			t.Errorf("%s has a verdict and is no field", key)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	got := map[string]Verdict{}
	for _, f := range Fields() {
		key := f.Structure + "." + f.Name
		if _, ok := got[key]; ok {
			t.Errorf("%s is listed twice", key)
		}
		got[key] = f.Verdict
	}
	if len(got) != len(verdicts) {
		t.Errorf("%d fields listed of %d", len(got), len(verdicts))
	}
	for key, want := range map[string]Verdict{
		"Container.image":         Honoured,
		"ContainerPort.protocol":  Honoured,
		"PodSpec.hostUsers":       NotYet,
		"PodSpec.dnsConfig":       Honoured,
		"PodSpec.securityContext": Honoured,
		"PodSpec.nodeSelector":    Meaningless,
		"VolumeSource.nfs":        Refused,
		"HTTPGetAction.protocol":  Refused,
		"Pod.status":              Overwritten,
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := Table()
	for _, want := range []string{
		"### ContainerPort\n\n| Field | Note |\n|---|---|\n| name |  |\n",
		"| protocol |  |\n",
		"| dnsPolicy | Default, None; there is no cluster DNS, the host's resolver is used |\n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	for _, not := range []string{"nodeSelector", "gitRepo", "generateName", "hostUsers"} {
		if strings.Contains(table, not) {
			t.Errorf("%q is in\n%s", not, table)
		}
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	if got := Ignored(nil); got != "" {
		t.Errorf("%q of nothing", got)
	}
	notes := []Finding{
		{Field: "spec.nodeSelector", Verdict: Meaningless}, {Field: "metadata.finalizers", Verdict: Meaningless},
		{Name: "b", Field: "spec.nodeSelector", Verdict: Meaningless}, {Field: "spec.hostNetwork", Verdict: Honoured},
		{Field: "kind", Verdict: Skipped},
	}
	if got, want := Ignored(notes), "ignored on one machine: nodeSelector, metadata.finalizers"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNearest pins which unknown names are taken for which known ones.
func TestNearest(t *testing.T) {
	t.Parallel()
	d := newLoader(Options{}).decoder(Source{})
	for name, want := range map[string]string{
		"imagee": "image", "Image": "image", "comand": "command", "volumeMount": "volumeMounts", "agrs": "args",
		"environment": "", "x": "", "": "", "portz": "ports", "livenesProbe": "livenessProbe", strings.Repeat("image", 20): "",
	} {
		if got := nearest(name, maps.Keys(d.slots(reflect.TypeFor[v1.Container]()))); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{
		"":          nil,
		"spec":      {"spec"},
		"a.b[0].c":  {"a", "b", "0", "c"},
		"l[a.b/c]":  {"l", "a.b/c"},
		"l[a":       {"l", "a"},
		"..a[][0]]": {"a", "", "0", "]"},
	} {
		if got := segments(path); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
