package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/jsonpath"

	"podrun/test/images"
)

// The scripts of testdata are sessions at the command line, each with an
// instance of its own. BUSYBOX, PROBE, REGISTRY and PORT in their files stand
// for the test images, the registry's address and a free port; the variables
// of these names hold the same.
//
//	code N COMMAND...         runs it, and wants this exit code
//	field FILE PATH WANT      compares a value of a JSON object: PATH as in kubectl -o jsonpath
//	same FILE FILE PATH           compares the values of two JSON objects at PATH
//	object Pod|PodList FILE   reads a JSON object strictly
//	phase POD PHASE           waits until a pod is in a phase
//	reason POD REASON         waits until its first container waits for this reason
//	answers ADDRESS WORD      waits until an HTTP server's answer has the word
//	may-leave CLASS...        what is allowed to stay behind, such as image
//	archive oci|docker FILE REFERENCE
//	                          writes an archive of the busybox image
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setup(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "field": field, "same": same, "object": object, "phase": awaitPhase, "reason": awaitReason,
			"answers": answers, "may-leave": mayLeave, "archive": archive,
		},
	})
}

// key finds the instance of a script.
type key struct{}

// setup gives the script its instance. The instance outlives the script, since
// it is compared when the script has ended.
func setup(t *testing.T, env *testscript.Env) error {
	tb, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("a script does not run below a test")
	}
	in := start(tb)
	env.Values[key{}] = in
	for _, v := range in.env {
		name, value, _ := strings.Cut(v, "=")
		env.Setenv(name, value)
	}
	env.Setenv("PATH", lab.dir+":"+os.Getenv("PATH"))
	words := map[string]string{
		"BUSYBOX": lab.busybox, "PROBE": lab.probe, "REGISTRY": lab.registry.Addr, "PORT": fmt.Sprint(port(tb)),
	}
	for name, value := range words {
		env.Setenv(name, value)
	}
	return filepath.WalkDir(env.WorkDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		return replace(path, words)
	})
}

func replace(path string, words map[string]string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(data)
	for name, value := range words {
		text = strings.ReplaceAll(text, name, value)
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func field(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: field file path want")
	}
	if got := value(ts, args[0], args[1]); (got == args[2]) == neg {
		ts.Fatalf("%s is %q", args[1], got)
	}
}

func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: same file file path")
	}
	one, other := value(ts, args[0], args[2]), value(ts, args[1], args[2])
	if (one == other) == neg {
		ts.Fatalf("%s is %q and %q", args[2], one, other)
	}
}

// value is what stands at a path of a JSON object in a file.
func value(ts *testscript.TestScript, file, expression string) string {
	var object any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &object))
	path := jsonpath.New("field")
	ts.Check(path.Parse("{" + expression + "}"))
	var got strings.Builder
	ts.Check(path.Execute(&got, object))
	return got.String()
}

func object(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: object Pod|PodList file")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[1])))
	d.DisallowUnknownFields()
	ts.Check(d.Decode(map[string]any{"Pod": &corev1.Pod{}, "PodList": &corev1.PodList{}}[args[0]]))
}

func awaitPhase(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: phase pod phase")
	}
	await(ts, args, func(pod corev1.Pod) string { return string(pod.Status.Phase) })
}

func awaitReason(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: reason pod reason")
	}
	await(ts, args, func(pod corev1.Pod) string {
		if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Waiting == nil {
			return ""
		}
		return pod.Status.ContainerStatuses[0].State.Waiting.Reason
	})
}

// await waits until a pod, the first argument, has what the second one says.
func await(ts *testscript.TestScript, args []string, of func(corev1.Pod) string) {
	for deadline := time.Now().Add(settle * lab.slowness); ; time.Sleep(look) {
		ts.Check(ts.Exec("podrun", "inspect", "-o", "json", args[0]))
		var pod corev1.Pod
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &pod))
		got := of(pod)
		if got == args[1] {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s is %q", args[0], got)
		}
	}
}

func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers address word")
	}
	for deadline := time.Now().Add(settle * lab.slowness); ; time.Sleep(look) {
		text, err := page(args[0])
		if strings.Contains(text, args[1]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s answers %q: %v", args[0], text, err)
		}
	}
}

func mayLeave(ts *testscript.TestScript, _ bool, args []string) {
	in := ts.Value(key{}).(*instance)
	in.kept = append(in.kept, args...)
}

func archive(ts *testscript.TestScript, neg bool, args []string) {
	write := map[string]func(string, string, v1.Image) error{"oci": images.WriteOCI, "docker": images.WriteDocker}
	if neg || len(args) != 3 || write[args[0]] == nil {
		ts.Fatalf("usage: archive oci|docker file reference")
	}
	ts.Check(write[args[0]](ts.MkAbs(args[1]), args[2], lab.images["busybox:1"]))
}
