package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"
	v1 "k8s.io/api/core/v1"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"sigs.k8s.io/yaml"
)

// FuzzLoad checks that no input makes Load panic, that what is said about a
// wrong one is printable, that a right one's pods can be loaded again, and that
// the first of them is what kubectl would have sent. What Check says is printable
// too, and it refuses what Load refuses. The estimate of the size holds.
func FuzzLoad(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/wrong.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	right, _ := filepath.Glob("testdata/right/*")
	for _, file := range right {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if counted, nodes := tokens(data), countNodes(data); nodes > 3*counted {
			t.Errorf("%d nodes, %d counted", nodes, counted)
		}
		m, err := Load([]Source{{Name: "f", Dir: "/here", Data: data}}, Options{})
		checked(t, data, err)
		if err == nil {
			roundTrip(t, m)
			if sent, ok := sentByKubectl(data); ok && Diff(sent, m.Pods[0]) != nil {
				t.Errorf("%q differ from what kubectl sends", Diff(sent, m.Pods[0]))
			}
			return
		}
		for _, p := range err.(Problems) {
			allPrintable(t, p.Error())
		}
	})
}

// checked compares what Check says with what Load did.
func checked(t *testing.T, data []byte, loaded error) {
	t.Helper()
	report := Check([]Source{{Name: "f", Dir: "/here", Data: data}}, Options{})
	refused := len(report.Problems) > 0
	for _, w := range report.Warnings {
		allPrintable(t, w.Error())
	}
	for _, f := range report.Findings {
		allPrintable(t, f.File+f.Field+f.Reason)
		refused = refused || f.Verdict == Refused
	}
	if refused != (loaded != nil) {
		t.Errorf("refused: %v, but %v", refused, loaded)
	}
}

func allPrintable(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q is not printable", text)
	}
}

// sentByKubectl reads the first document as kubectl does, with YAML 1.1 and no
// knowledge of types, and defaults it as an API server does. It is not ok when
// that reading finds less than a pod.
func sentByKubectl(data []byte) (*v1.Pod, bool) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	pod := &v1.Pod{}
	if json.NewDecoder(bytes.NewReader(data)).Decode(pod) != nil {
		*pod = v1.Pod{}
		text, err := yaml.YAMLToJSON(data)
		if err != nil || json.Unmarshal(text, pod) != nil {
			return nil, false
		}
	}
	if pod.Kind != "Pod" {
		return nil, false
	}
	absoluteHostPaths(Source{Dir: "/here"}, pod)
	corev1.SetObjectDefaults_Pod(pod)
	return pod, true
}

// FuzzSecret puts a text where a Secret has its values, and checks that nothing
// that is said of it has a word of the text.
func FuzzSecret(f *testing.F) {
	for _, seed := range []string{
		"hunter2hunter2", "aHVudGVyMmh1bnRlcjI=", "31337313373133731337", "'hunter2hunter2", `"hunter2hunter2`, "*hunter2hunter2", "&hunter2hunter2",
		"!hunter2hunter2 x", "{hunter2: hunter2hunter2}", "[hunter2hunter2]", "hunter2: hunter2hunter2", "hunter2hunter2 # x", "@hunter2hunter2", `{"auths": hunter2}`,
		"%hunter2hunter2", "? hunter2hunter2", "- hunter2hunter2", "| hunter2hunter2", "true", "2024-01-01T00:00:00Z", `\hunter2hunter2`, "<<: hunter2hunter2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if len(value) < 8 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // too short to be told from other words, or more than a value
		}
		for _, text := range []string{
			"data:\n  key: " + value + "\n",
			"stringData:\n  key: " + value + "\n",
			"stringData: {key: " + value + "}\n",
			"stringData: " + value + "\n",
			"data: [" + value + "]\n",
			"type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: |\n    " + value + "\n",
			"stringData:\n  key: \"" + value + "\"\n",
		} {
			_, err := Load([]Source{{Name: "f", Data: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n" + text)}}, Options{})
			if strings.Contains(value, ",") && strings.Contains(text, "{") {
				continue // what follows a comma may be a good key
			}
			for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" {}[]:,\"'#&*!|>%@?", r) }) {
				if err != nil && len(word) >= 8 && strings.Contains(err.Error(), word) && !strings.Contains(said, word) {
					t.Errorf("%q in %s", word, err)
				}
			}
		}
	})
}

// said are words that problems of a Secret may have by themselves.
const said = "apiVersion metadata stringData dockerconfigjson expected illegal base64 character Invalid Required unknown field duplicate"
