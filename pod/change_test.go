package pod

import (
	"errors"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"podrun/pod/manifest"
	"podrun/pod/objects"
	"podrun/sandbox"
)

func load(t *testing.T, text string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Load([]manifest.Source{{Name: "m.yaml", Dir: "/", Data: []byte(text)}}, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// record is a pod that exists.
func record(t *testing.T, text string, uid string) *sandbox.Sandbox {
	t.Helper()
	pod := load(t, text).Pods[0]
	pod.UID, pod.Generation = types.UID(uid), 1
	return &sandbox.Sandbox{Pod: pod}
}

const (
	web     = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {tier: %s}}\nspec: {containers: [{name: a, image: %s, command: [%s]%s}]}\n"
	env     = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: env}\nimmutable: %s\ndata: {A: \"%s\"}\n"
	usesEnv = ", envFrom: [{configMapRef: {name: env}}]"
)

func text(template string, values ...string) string {
	for _, value := range values {
		template = strings.Replace(template, "%s", value, 1)
	}
	return template
}

// TestForesee is the decision table of up.
func TestForesee(t *testing.T) {
	t.Parallel()
	there := text(web, "front", "i:1", "run", "")
	for name, test := range map[string]struct {
		kept, wish string
		options    UpOptions
		want       string // NAME CHANGE, separated by commas
		err        string
	}{
		"nothing is there":              {"", text(web, "front", "i:1", "run", ""), UpOptions{}, "pod/web created", ""},
		"the same":                      {"", there, UpOptions{}, "pod/web unchanged", ""},
		"another label":                 {"", text(web, "back", "i:1", "run", ""), UpOptions{}, "pod/web configured", ""},
		"another image":                 {"", text(web, "front", "i:2", "run", ""), UpOptions{}, "pod/web configured", ""},
		"another command":               {"", text(web, "front", "i:1", "walk", ""), UpOptions{}, "", "pod/web exists, and these fields cannot be changed: spec.containers[0].command"},
		"another command, to replace":   {"", text(web, "front", "i:1", "walk", ""), UpOptions{Replace: true}, "pod/web replaced", ""},
		"the same, to replace":          {"", there, UpOptions{Replace: true}, "pod/web unchanged", ""},
		"a new object":                  {"", text(env, "false", "1"), UpOptions{}, "configmap/env created", ""},
		"the same object":               {text(env, "false", "1"), text(env, "false", "1"), UpOptions{}, "configmap/env unchanged", ""},
		"another object":                {text(env, "false", "1"), text(env, "false", "2"), UpOptions{}, "configmap/env configured", ""},
		"an immutable object":           {text(env, "true", "1"), text(env, "true", "2"), UpOptions{Replace: true}, "", "configmap/env exists, and these fields cannot be changed: data"},
		"an object in the same input":   {"", text(web, "front", "i:1", "run", "") + "---\n" + text(env, "false", "1"), UpOptions{}, "configmap/env created,pod/web created", ""},
		"needs what is kept":            {text(env, "false", "1"), text(web, "front", "i:1", "run", usesEnv), UpOptions{Replace: true}, "pod/web replaced", ""},
		"needs what is nowhere":         {"", strings.Replace(text(web, "front", "i:1", "run", usesEnv), "web", "new", 1), UpOptions{}, "", "m.yaml:4: spec.containers[0].envFrom[0].configMapRef.name: there is no ConfigMap default/env, here or from an earlier call"},
		"needs what may come, detached": {"", strings.Replace(text(web, "front", "i:1", "run", usesEnv), "web", "new", 1), UpOptions{Detach: true}, "pod/new created", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := objects.New(t.TempDir())
			if test.kept != "" {
				if _, err := store.Put(load(t, test.kept).ConfigMaps[0]); err != nil {
					t.Fatal(err)
				}
			}
			var records []*sandbox.Sandbox
			if name != "nothing is there" && name != "an object in the same input" {
				records = append(records, record(t, there, "u1"))
			}
			list, err := foresee(records, store, load(t, test.wish), test.options)
			var got []string
			for _, f := range list {
				got = append(got, f.Name+" "+string(f.Change))
			}
			if text := strings.Join(got, ","); err == nil && text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("error %v, want %s", err, test.err)
			}
		})
	}
}

// TestAllThatIsWrong: one thing does not hide another.
func TestAllThatIsWrong(t *testing.T) {
	t.Parallel()
	wish := load(t, text(web, "front", "i:1", "walk", "")+"---\n"+strings.Replace(text(web, "front", "i:1", "run", usesEnv), "web", "new", 1))
	_, err := foresee([]*sandbox.Sandbox{record(t, text(web, "front", "i:1", "run", ""), "u1")}, objects.New(t.TempDir()), wish, UpOptions{})
	var differs *DiffersError
	var problems manifest.Problems
	if !errors.As(err, &differs) || !errors.As(err, &problems) {
		t.Errorf("error %v", err)
	}
}

func TestEphemeralContainersStay(t *testing.T) {
	t.Parallel()
	existing := record(t, text(web, "front", "i:1", "run", ""), "u1").Pod
	existing.Spec.EphemeralContainers = []v1.EphemeralContainer{{EphemeralContainerCommon: v1.EphemeralContainerCommon{Name: "debug", Image: "d:1"}}}
	same := load(t, text(web, "front", "i:1", "run", "")).Pods[0]
	if change, err := changeOfPod(existing, same); change != Unchanged || err != nil {
		t.Errorf("%s, %v", change, err)
	}
	if len(same.Spec.EphemeralContainers) != 0 || len(succeeding(existing, same).Spec.EphemeralContainers) != 1 {
		t.Error("the wish was changed, or its successor is without them")
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	uses := text(web, "front", "i:1", "run", usesEnv)
	ended, going := record(t, uses, "u1"), record(t, uses, "u2")
	ended.Memory.Stopped = true
	now := now()
	going.Pod.DeletionTimestamp = &now
	living, other := record(t, uses, "u3"), record(t, text(web, "front", "i:1", "run", ""), "u4")
	living.Pod.Name = "living"
	ref := objects.Ref{Kind: objects.ConfigMap, Namespace: "default", Name: "env"}
	if got := users([]*sandbox.Sandbox{ended, going, living, other}, ref); !slices.Equal(got, []string{"living"}) {
		t.Errorf("used by %q", got)
	}
	ref.Namespace = "elsewhere"
	if got := users([]*sandbox.Sandbox{living}, ref); len(got) != 0 {
		t.Errorf("of another namespace it is used by %q", got)
	}
}
