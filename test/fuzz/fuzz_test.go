package fuzz

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	v1 "k8s.io/api/core/v1"

	"podrun/pod/manifest"
	"podrun/pod/plan"
	"podrun/pod/status"
)

// FuzzManifest takes what a manifest says all the way that needs no machine: the
// first plan for each pod, and what is said of it before anything was done.
func FuzzManifest(f *testing.F) {
	seeds, err := filepath.Glob("../../pod/manifest/testdata/*/*.*")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no manifests", err)
	}
	for _, seed := range seeds {
		data, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Load([]manifest.Source{{Name: "f", Dir: "/here", Data: data}}, manifest.Options{})
		if err != nil {
			return
		}
		m.Missing(func(manifest.Reference) bool { return false })
		for _, pod := range m.Pods {
			planFirst(t, pod)
		}
	})
}

// planFirst plans a pod of which nothing is there yet.
func planFirst(t *testing.T, pod *v1.Pod) {
	t.Helper()
	now := time.Unix(1_700_000_000, 0)
	obs := status.Observed{Created: now}
	next := plan.Next(pod, obs, plan.Work{}, now)
	made := false
	for _, action := range next.Actions {
		made = made || action.Kind == plan.CreateSandbox
		if text := action.String(); strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is not printable", text)
		}
	}
	if !made || next.End != plan.Going {
		t.Errorf("no sandbox is made: %+v", next)
	}
	pod.Status = status.Of(pod, obs, now)
	if line := status.Line(pod, now); pod.Status.Phase != v1.PodPending || line.Status == "Running" {
		t.Errorf("phase %s, %+v", pod.Status.Phase, line)
	}
	if diff := manifest.Diff(pod, pod.DeepCopy()); diff != nil {
		t.Errorf("it differs from itself in %v", diff)
	}
	if plan.Delete(pod, nil, now); pod.DeletionTimestamp == nil {
		t.Error("it is not deleted")
	}
	for _, action := range plan.Next(pod, obs, plan.Work{}, now).Actions {
		if action.Kind == plan.CreateContainer || action.Kind == plan.CreateSandbox {
			t.Errorf("%s for a deleted pod", action)
		}
	}
}
