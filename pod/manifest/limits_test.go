package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const good = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: x}]}\n"

// problems loads a source that must be wrong.
func problems(t *testing.T, data string) string {
	t.Helper()
	_, err := Load([]Source{{Name: "f", Data: []byte(data)}}, Options{})
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("%v, want Problems", err)
	}
	return ps.Error()
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
	many := func(n int, item string) string { return "[" + strings.Repeat(item+",", n) + "]" }
	nested := "a0: &a0 {k: v}\n"
	for i := 1; i < 40; i++ {
		nested += fmt.Sprintf("a%d: &a%d {<<: [*a%d, *a%d], k%d: v}\n", i, i, i-1, i-1, i)
	}
	wide := "a: &a {" + strings.Repeat("k", 10)
	for i := range 1000 {
		wide += fmt.Sprintf(", k%d: v", i)
	}
	wide += "}\nb: " + many(200, "{<<: *a}") + "\n"
	for name, test := range map[string]struct{ data, want string }{
		"size":      {good + strings.Repeat("#", maxSource), "f:1: larger than 3 MiB"},
		"at size":   {good + strings.Repeat("#", maxSource-len(good)), ""},
		"utf-8":     {"# ok\n# \xff\n" + good, "f:2: not valid UTF-8"},
		"aliases":   {head + "spec:\n  containers:\n  - &c\n    name: a\n    image: x\n    args: " + many(1000, "x") + "\n" + strings.Repeat("  - *c\n", 1000), "more than 70000 values, aliases followed"},
		"merges":    {head + wide, "merge keys expand to more than 70000 values"},
		"nested":    {head + nested, "f:4: a0: unknown field"},
		"documents": {strings.Repeat("---\n", maxDocuments+1), "f:1: more than 10000 documents"},
		"large":     {strings.Repeat("a: b\n", 100_000) + "b: c: d\n", "f:100001: mapping values are not allowed"},
		"returns":   {strings.Repeat("# a\r", 100_000) + "b: c: d\n", "mapping values are not allowed"},
		"depth":     {"a: " + strings.Repeat("[", 20000), "f:1: exceeded max depth of 10000"},
		"json deep": {`{"a": ` + strings.Repeat("[", 20000), "f:1: exceeded max depth of 10000"},
		"quantity":  {head + "spec: {containers: [{name: a, image: x, resources: {limits: {cpu: 1e2147483647}}}]}", "expected a quantity"},
		"message":   {strings.Replace(good, "name: web", "name: "+strings.Repeat("a", 100_000), 1), " ... "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.want == "" {
				if _, err := Load([]Source{{Name: "f", Data: []byte(test.data)}}, Options{}); err != nil {
					t.Fatal(err)
				}
				return
			}
			got := problems(t, test.data)
			if !strings.Contains(got, test.want) {
				t.Errorf("%.2000s, want %q in it", got, test.want)
			}
			for line := range strings.Lines(got) {
				if len(line) > 3*maxMessage {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
		})
	}
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	named := strings.Replace(good, "{name: web}", "{name: web, namespace: a}", 1)
	for _, test := range []struct {
		data string
		opts Options
		want string // the pod's namespace, or the problem
	}{
		{good, Options{}, "default"},
		{good, Options{Namespace: "b"}, "b"},
		{good, Options{Namespace: "b", NamespaceSet: true}, "b"},
		{named, Options{Namespace: "b"}, "a"},
		{named, Options{Namespace: "a", NamespaceSet: true}, "a"},
		{named, Options{Namespace: "b", NamespaceSet: true}, `f:3: metadata.namespace: "a" is not the namespace that was asked for, "b"`},
	} {
		m, err := Load([]Source{{Name: "f", Data: []byte(test.data)}}, test.opts)
		got := fmt.Sprint(err)
		if err == nil {
			got = m.Pods[0].Namespace
		}
		if got != test.want {
			t.Errorf("%+v: %s, want %s", test.opts, got, test.want)
		}
	}
}

// TestRelativePaths shows that a manifest which is in no directory has none.
func TestRelativePaths(t *testing.T) {
	t.Parallel()
	data := strings.Replace(good, "spec: {", "spec: {volumes: [{name: a, hostPath: {path: ./data}}], ", 1)
	m, err := Load([]Source{{Name: "f", Dir: "/here", Data: []byte(data)}}, Options{})
	if err != nil || m.Pods[0].Spec.Volumes[0].HostPath.Path != "/here/data" {
		t.Errorf("%+v, %v", m, err)
	}
	want := "f:4: spec.volumes[0].hostPath.path: a relative path, but a manifest from here is in no directory"
	if got := problems(t, data); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestSkipUnsupported shows that other kinds are left out on demand, of lists
// too, and are said.
func TestSkipUnsupported(t *testing.T) {
	t.Parallel()
	const text = good + `---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: "a\e", namespace: b}}
---
apiVersion: v1
kind: List
items:
- {kind: ServiceList, apiVersion: v1, items: [{}]}
- {kind: Pot}
`
	m, err := Load([]Source{{Name: "f", Data: []byte(text)}}, Options{SkipUnsupported: true})
	if err != nil || len(m.Pods) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	var got strings.Builder
	for _, f := range m.Findings {
		fmt.Fprintf(&got, "%d %q %s %s: %s\n", f.Line, f.Object(), f.Field, f.Verdict, f.Reason)
	}
	want := `6 "Deployment b/a\x1b" kind skipped: ` + givePod + `
11 "ServiceList default/" kind skipped: ` + hostPort + `
12 "Pot default/" kind skipped: did you mean "Pod"?
`
	if got.String() != want {
		t.Errorf("%s\nwant\n%s", got.String(), want)
	}
	for _, want := range []string{
		"f:6: kind: Deployment is not supported: " + givePod,
		"f:11: items[0].kind: ServiceList is not supported: " + hostPort,
		`f:12: items[1].kind: Pot is not supported: did you mean "Pod"?`,
	} {
		if got := problems(t, text); !strings.Contains(got, want+"\n") && !strings.HasSuffix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestOneLine shows that what is refused of objects on one line, which may be
// called alike, is said of each.
func TestOneLine(t *testing.T) {
	t.Parallel()
	const item = `{"spec":{"schedulingGates":[{"name":"a"}],"containers":[{"name":"a","image":"x"}]}}`
	got := problems(t, `{"apiVersion":"v1","kind":"PodList","items":[`+item+","+item+`]}`)
	for _, want := range []string{"f:1: items[0].spec.schedulingGates: not", "f:1: items[1].spec.schedulingGates: not"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestSources shows that problems come in the order of the sources, and that a
// pod is declared once in all of them.
func TestSources(t *testing.T) {
	t.Parallel()
	bad := Source{Name: "z\x1b", Data: []byte("a: b: c")}
	_, err := Load([]Source{bad, {Name: "b", Data: []byte(good)}, {Name: "a", Data: []byte(good)}}, Options{})
	want := "z\\x1b:1: mapping values are not allowed in this context\n" +
		"a:3: metadata.name: Pod default/web is already declared at b:3"
	if fmt.Sprint(err) != want {
		t.Errorf("%v\nwant:\n%s", err, want)
	}
	m, err := Load([]Source{{Name: "b", Data: []byte(good)}, {Name: "a", Data: bytes.ReplaceAll([]byte(good), []byte("web"), []byte("db"))}}, Options{})
	if err != nil || len(m.Pods) != 2 || m.Pods[0].Name != "web" || m.Pods[1].Name != "db" {
		t.Errorf("%v %v", m, err)
	}
}
