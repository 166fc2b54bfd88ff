package manifest

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
)

// codec decodes as an API server does.
var codec = sync.OnceValue(func() runtime.Decoder {
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		panic(err)
	}
	options := serializer.SerializerOptions{Yaml: true, Strict: true}
	return serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, scheme, scheme, options)
})

// serverAnswer is what an API server does with one document on create, with
// strict field validation: err is nil when it accepts it.
func serverAnswer(data []byte) (object runtime.Object, err error) {
	object, _, err = codec().Decode(data, nil, nil)
	if err != nil {
		return object, err
	}
	var errs field.ErrorList
	switch o := object.(type) {
	case *v1.Pod:
		corev1.SetObjectDefaults_Pod(o)
		absoluteHostPaths(Source{Dir: "/here"}, o)
		o.Namespace = namespaceOr(o.Namespace)
		errs = validatePod(o)
	case *v1.ConfigMap:
		corev1.SetObjectDefaults_ConfigMap(o)
		o.Namespace = namespaceOr(o.Namespace)
		errs = validateConfigMap(o)
	case *v1.Secret:
		corev1.SetObjectDefaults_Secret(o)
		o.Namespace = namespaceOr(o.Namespace)
		errs = validateSecret(o)
	case *v1.PersistentVolumeClaim:
		corev1.SetObjectDefaults_PersistentVolumeClaim(o)
		o.Namespace = namespaceOr(o.Namespace)
		errs = validateClaim(o)
	default:
		return nil, nil
	}
	return object, errs.ToAggregate()
}

func namespaceOr(namespace string) string {
	if namespace == "" {
		return v1.NamespaceDefault
	}
	return namespace
}

// ownProblems are what podrun finds wrong that an API server does not, verdicts
// aside.
var ownProblems = regexp.MustCompile(`: (".*" is not an IP address|more than \d+ .*|a random name would .*|not supported, give .* instead)$`)

// overwrites matches what may name a field that an API server overwrites, at
// which podrun does not look.
var overwrites = regexp.MustCompile(`status|uid|Timestamp|managedFields|resourceVersion|selfLink|generation|deletion`)

// sameAnswer compares what is wrong with a text with what an API server says of
// it. It is for texts of one document.
func sameAnswer(t testing.TB, data []byte) {
	t.Helper()
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	first := json.NewDecoder(bytes.NewReader(data))
	several := first.Decode(new(any)) == nil && len(bytes.TrimSpace(data[first.InputOffset():])) > 0
	if several || len(chunks(data)) != 1 || bytes.Contains(data, []byte("...")) || bytes.Contains(data, []byte("<<")) {
		return // more than one document, or what kubectl merges before an API server sees it
	}
	object, refused := serverAnswer(data)
	sources := []Source{{Name: "f", Dir: "/here", Data: data}}
	if refused != nil {
		if _, err := Load(sources, Options{}); err == nil && !overwrites.Match(data) {
			t.Errorf("an API server refuses this: %v", refused)
		}
		return
	}
	problems := Check(sources, Options{}).Problems
	if object == nil {
		return
	}
	for line := range strings.Lines(problems.Error()) {
		if line = strings.TrimSpace(line); line != "" && !ownProblems.MatchString(line) {
			t.Errorf("an API server accepts this: %s", line)
		}
	}
}

// TestServer compares podrun's answers with an API server's: what one accepts is
// right but for the verdicts, and what one refuses is wrong.
func TestServer(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/wrong.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range archive.Files {
		if !strings.HasSuffix(in.Name, ".want") {
			t.Run(in.Name, func(t *testing.T) { sameAnswer(t, in.Data) })
		}
	}
	for _, dir := range []string{"right", "people"} {
		files, err := filepath.Glob("testdata/" + dir + "/*.*")
		if err != nil || len(files) == 0 {
			t.Fatal("no manifests", err)
		}
		for _, file := range files {
			t.Run(file, func(t *testing.T) { sameAnswer(t, readFile(t, file)) })
		}
	}
}

// FuzzServer does so with whatever comes.
func FuzzServer(f *testing.F) {
	for _, dir := range []string{"right", "people"} {
		files, _ := filepath.Glob("testdata/" + dir + "/*.*")
		for _, file := range files {
			f.Add(readFile(f, file))
		}
	}
	archive, err := txtar.ParseFile("testdata/wrong.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if utf8.Valid(data) {
			sameAnswer(t, data)
		}
	})
}
