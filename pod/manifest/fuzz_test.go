package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"
	v1 "k8s.io/api/core/v1"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"sigs.k8s.io/yaml"
)

// FuzzLoad checks that no input makes Load panic, that what is said about a
// wrong one is printable, that a right one's pods can be loaded again, and that
// the first of them is what kubectl would have sent.
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
		m, err := Load([]Source{{Name: "f", Dir: "/here", Data: data}}, Options{})
		if err == nil {
			roundTrip(t, m)
			if sent, ok := sentByKubectl(data); ok && Diff(sent, m.Pods[0]) != nil {
				t.Errorf("%q differ from what kubectl sends", Diff(sent, m.Pods[0]))
			}
			return
		}
		for _, p := range err.(Problems) {
			for _, r := range p.Error() {
				if !unicode.IsPrint(r) {
					t.Errorf("%q is not printable", p.Error())
				}
			}
		}
	})
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
		if err != nil || json.Unmarshal(text, pod) != nil || pod.Kind != "Pod" {
			return nil, false
		}
	}
	absoluteHostPaths("/here", pod)
	corev1.SetObjectDefaults_Pod(pod)
	return pod, true
}
