package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodPod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {nodeName: a, containers: [{name: web, image: x}]}\n"

// result is what a call of podrun did.
type result struct {
	code        int
	out, errors string
}

// run calls podrun with a standard input.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := Main(t.Context(), Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs}, args)
	return result{code, out.String(), errs.String()}
}

func (r result) want(t *testing.T, code int, out, errs string) {
	t.Helper()
	if r.code != code || r.out != out || r.errors != errs {
		t.Errorf("exit %d, want %d\n%s\nwant\n%s\nand\n%s\nwant\n%s", r.code, code, r.out, out, r.errors, errs)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const honoured = `PLACE   OBJECT            FIELD                      VERDICT    REASON
-:3     Pod default/web   metadata.name              honoured   
-:4     Pod default/web   spec.containers[0].image   honoured   
-:4     Pod default/web   spec.containers[0].name    honoured   
-:4     Pod default/web   spec.nodeName              ignored    there is one node
`
	run(t, goodPod, "check", "-").want(t, 0, honoured, "")
	service := goodPod + "---\n{apiVersion: v1, kind: Service, metadata: {name: \"a\\e\"}}\n"
	const reason = "a container's hostPort is reached from outside, and pods reach each other by their addresses"
	got := run(t, service, "check", "-")
	if !strings.Contains(got.out, `-:6     "Service default/a\x1b"   kind                       refused    `+reason+"\n") {
		t.Errorf("%s", got.out)
	}
	run(t, service, "check", "-").want(t, 2, got.out, "podrun: check: up would refuse this, see the 1 lines that say so\n")
	got = run(t, service, "check", "--skip-unsupported", "-")
	if got.code != 0 || !strings.Contains(got.out, "skipped    "+reason) || got.errors != "" {
		t.Errorf("%+v", got)
	}
	run(t, "a: b: c", "check", "-").want(t, 2, "", "-:1: mapping values are not allowed in this context\n")
	run(t, goodPod, "check", "-o", "xml", "-").want(t, 2, "", "podrun: output format \"xml\": want one of json\n")
	run(t, goodPod, "check").want(t, 2, "", "podrun: requires at least 1 arg(s), only received 0\n")
	run(t, goodPod, "check", "-", "-n", "b").want(t, 0, strings.ReplaceAll(strings.ReplaceAll(honoured, "default", "b"), "OBJECT      ", "OBJECT"), "")
}

// TestCheckJSON shows that what is refused and what is wrong can be told apart,
// and that no control character gets out raw.
func TestCheckJSON(t *testing.T) {
	t.Parallel()
	text := strings.Replace(goodPod, "nodeName: a", "schedulingGates: [{name: a}], \"no\\x9bthing\": 1", 1)
	got := run(t, text, "check", "-o", "json", "-")
	var r report
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := reportFinding{"-", 4, "Pod", "default", "web", "spec.schedulingGates", "refused",
		"the pod must not start while gated, and nothing can lift the gate"}
	if len(r.Findings) != 4 || r.Findings[3] != want {
		t.Errorf("%+v, want %+v", r.Findings, want)
	}
	problem := reportProblem{"-", 4, `spec.no\u009bthing`, "unknown field"}
	if len(r.Problems) != 1 || r.Problems[0] != problem {
		t.Errorf("%+v, want %+v", r.Problems, problem)
	}
	if strings.ContainsFunc(got.out+got.errors, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x9b }) {
		t.Errorf("%q", got.out+got.errors)
	}
	if got := run(t, goodPod, "check", "-o", "json", "-"); got.code != 0 || !strings.Contains(got.out, `"problems": []`) {
		t.Errorf("%+v", got)
	}
}

// TestWarnings shows that what may not be meant is said, and is no error.
func TestWarnings(t *testing.T) {
	t.Parallel()
	text := strings.Replace(goodPod, "image: x", "image: x, env: [{name: A, value: a}, {name: A, value: b}]", 1)
	const warning = `spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`
	if got := run(t, text, "check", "-"); got.code != 0 || got.errors != "podrun: warning: -:4: "+warning+"\n" {
		t.Errorf("%+v", got)
	}
	var r report
	got := run(t, text, "check", "-o", "json", "-")
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || len(r.Warnings) != 1 || r.Warnings[0].Field != "spec.containers[0].env[1]" {
		t.Errorf("%+v, %v", r.Warnings, err)
	}
}

// TestRawError shows that what an error quotes does not reach a terminal raw.
func TestRawError(t *testing.T) {
	t.Parallel()
	run(t, "", "check", "no\x1b[2Jne").want(t, 2, "", "podrun: stat no\\x1b[2Jne: no such file or directory\n")
}

// TestInputs shows what a MANIFEST may be.
func TestInputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}",
		"a.json": `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}`,
		"c.yml":  "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}",
		"d.txt":  "not a manifest",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := run(t, goodPod, "check", dir, "-")
	var places []string
	for line := range strings.Lines(got.out) {
		place, _, _ := strings.Cut(strings.TrimPrefix(line, dir+"/"), " ")
		places = append(places, place)
	}
	if got.code != 0 || strings.Join(places, " ") != "PLACE a.json:1 b.yaml:1 c.yml:1 -:3 -:4 -:4 -:4" {
		t.Errorf("%v of %+v", places, got)
	}
	run(t, "", "check", dir+"/none.yaml").want(t, 2, "", "podrun: stat "+dir+"/none.yaml: no such file or directory\n")
}
