package manifest

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	v1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

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
		_, err := Load([]Source{{Name: in.Name, Dir: "/here", Data: in.Data}}, Options{})
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v, want Problems", in.Name, err)
			continue
		}
		got := problems.Error() + "\n"
		archive.Files = append(archive.Files, in, txtar.File{Name: in.Name + ".want", Data: []byte(got)})
		if !*update && got != want[in.Name] {
			t.Errorf("%s:\n%swant:\n%s", in.Name, got, want[in.Name])
		}
	}
	if len(inputs) < 60 {
		t.Errorf("%d wrong manifests, want 60 at least", len(inputs))
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

// roundTrip checks that a pod that podrun made can be given to it again: it is
// right, is the same, and sets nothing to speak of that was not set before.
func roundTrip(t testing.TB, first *Manifest) {
	t.Helper()
	var text bytes.Buffer
	for _, pod := range first.Pods {
		text.WriteString("---\n")
		text.Write(marshal(t, pod))
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
	said := map[string]bool{"spec.serviceAccount": true} // defaulted from serviceAccountName
	for _, note := range first.Notes {
		said[note.Path] = true
	}
	for _, note := range again.Notes {
		if !said[note.Path] {
			t.Errorf("loaded again, %s is ignored", note.Path)
		}
	}
}

func render(t testing.TB, m *Manifest) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, note := range m.Notes {
		out.WriteString("# " + note.Pod + " " + note.Path + ": " + note.Reason + "\n")
	}
	out.WriteString("# " + Ignored(m.Notes) + "\n")
	for _, pod := range m.Pods {
		out.WriteString("---\n")
		out.Write(marshal(t, pod))
	}
	return out.Bytes()
}

func marshal(t testing.TB, pod *v1.Pod) []byte {
	t.Helper()
	text, err := yaml.Marshal(pod)
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
