package manifest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

// machine has no more than each one does.
var machine = &Machine{
	SELinux:       func() bool { return false },
	Runtimes:      func() []string { return []string{"crun", "runc"} },
	HugePages:     func() []string { return []string{"hugepages-2Mi"} },
	UnsafeSysctls: []string{"net.*", "vm.*"},
}

// TestWrong pins what is said about wrong manifests: line, path and message.
func TestWrong(t *testing.T) {
	const file = "testdata/wrong.txtar"
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	var inputs []txtar.File
	for _, f := range archive.Files {
		if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
			want[name] = string(f.Data)
		} else {
			inputs = append(inputs, f)
		}
	}
	archive.Files = nil
	for _, in := range inputs {
		_, err := Load([]Source{{Name: in.Name, Dir: "/here", Data: in.Data}}, Options{Machine: machine})
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v, want Problems", in.Name, err)
			continue
		}
		got := problems.Error() + "\n"
		archive.Files = append(archive.Files, in, txtar.File{Name: in.Name + ".want", Data: []byte(got)})
		if strings.Contains(got, "hunter") || strings.Contains(got, "31337") {
			t.Errorf("%s: the values of Secrets are said:\n%s", in.Name, got)
		}
		if !*update && got != want[in.Name] {
			t.Errorf("%s:\n%swant:\n%s", in.Name, got, want[in.Name])
		}
	}
	if len(inputs) < 150 {
		t.Errorf("%d wrong manifests, want 150 at least", len(inputs))
	}
	if *update {
		writeFile(t, file, txtar.Format(archive))
	}
}

// TestRight pins what is made of right manifests: the defaulted pods and what is
// ignored.
func TestRight(t *testing.T) {
	files, err := filepath.Glob("testdata/right/*.*ml")
	more, _ := filepath.Glob("testdata/right/*.json")
	if files = append(files, more...); err != nil || len(files) == 0 {
		t.Fatal("no manifests", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			loaded, err := Load([]Source{{Name: file, Dir: "/here", Data: readFile(t, file)}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := render(t, loaded)
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
			if *update {
				writeFile(t, golden, got)
			}
			if want := readFile(t, golden); !bytes.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			roundTrip(t, loaded)
		})
	}
}

// TestPeople pins what is said of manifests as people write them: what would be
// done with every field, and what is wrong besides.
func TestPeople(t *testing.T) {
	files, err := filepath.Glob("testdata/people/*.yaml")
	more, _ := filepath.Glob("testdata/people/*.json")
	if files = append(files, more...); err != nil || len(files) < 30 {
		t.Fatalf("%d manifests, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			report := Check([]Source{{Name: filepath.Base(file), Dir: "/here", Data: readFile(t, file)}}, Options{})
			var got strings.Builder
			for _, f := range report.Findings {
				line := fmt.Sprintf("%s:%d: %s %s: %s", f.File, f.Line, f.Object(), f.Field, f.Verdict)
				if f.Reason != "" && f.Verdict != Honoured {
					line += ": " + f.Reason
				}
				got.WriteString(line + "\n")
			}
			if len(report.Problems) > 0 {
				got.WriteString(report.Problems.Error() + "\n")
			}
			for _, w := range report.Warnings {
				got.WriteString("warning: " + w.Error() + "\n")
			}
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
			if *update {
				writeFile(t, golden, []byte(got.String()))
			}
			if want := string(readFile(t, golden)); got.String() != want {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

// roundTrip checks that a pod that podrun made can be given to it again: it is
// right, is the same, and sets nothing to speak of that was not set before.
func roundTrip(t testing.TB, first *Manifest) {
	t.Helper()
	var text bytes.Buffer
	if len(objects(first)) == 0 { // an empty list
		return
	}
	for _, object := range objects(first) {
		text.WriteString("---\n")
		text.Write(marshal(t, object))
	}
	again, err := Load([]Source{{Name: "again", Data: text.Bytes()}}, Options{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text.Bytes())
	}
	for i, pod := range first.Pods {
		if diff := Diff(pod, again.Pods[i]); diff != nil {
			t.Errorf("loaded again, %s differs in %v", pod.Name, diff)
		}
	}
	for i, object := range objects(first)[len(first.Pods):] {
		if got := objects(again)[len(first.Pods)+i]; !equality.Semantic.DeepEqual(object, got) {
			t.Errorf("loaded again, %s is %v", object.GetName(), got)
		}
	}
	said := map[string]bool{
		"spec.serviceAccount": true, // defaulted from serviceAccountName
		"spec.dnsPolicy":      true, // the default asks for a cluster's DNS when it is said
	}
	for _, note := range first.Findings {
		said[note.Field] = true
	}
	for _, note := range again.Findings {
		if !said[note.Field] {
			t.Errorf("loaded again, %s is %s", note.Field, note.Verdict)
		}
	}
}

func render(t testing.TB, m *Manifest) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, note := range m.Findings {
		out.WriteString("# " + note.Object() + " " + note.Field + ": " + note.Reason + "\n")
	}
	out.WriteString("# " + Ignored(m.Findings) + "\n")
	for _, object := range objects(m) {
		out.WriteString("---\n")
		out.Write(marshal(t, object))
	}
	return out.Bytes()
}

// objects are the objects of all kinds, pods first.
func objects(m *Manifest) []apiObject {
	var out []apiObject
	for _, o := range m.Pods {
		out = append(out, o)
	}
	return append(out, m.others()...)
}

func marshal(t testing.TB, object apiObject) []byte {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
