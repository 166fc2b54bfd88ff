package architecture

import (
	"slices"
	"testing"
)

// The rules hold only as far as their checks can fail: each case is a module
// that breaks one of them.

// parsed reads made-up files.
func parsed(t *testing.T, sources map[string]string) []file {
	t.Helper()
	var files []file
	for name, source := range sources {
		f, err := parse(name, []byte(source))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckOrder(t *testing.T) {
	t.Parallel()
	table := []row{{"pod", []string{"container"}}, {"container", nil}}
	down := `package pod; import _ "podrun/container"`
	for name, c := range map[string]struct {
		sources map[string]string
		order   []row
		want    []string
	}{
		"down": {
			map[string]string{"pod/a.go": down, "container/a.go": "package container"}, table, nil,
		},
		"up": {
			map[string]string{"pod/a.go": down, "container/a.go": `package container; import _ "podrun/pod"`}, table,
			[]string{"container/a.go: container may not import pod"},
		},
		"up, in a test": {
			map[string]string{"pod/a.go": down, "container/a.go": "package container", "container/a_test.go": `package container_test; import _ "podrun/pod"`}, table,
			[]string{"container/a_test.go: container may not import pod"},
		},
		"up, in the table": {
			map[string]string{"container/a.go": "package container", "pod/a.go": down}, []row{table[1], table[0]},
			[]string{"the table lets pod import container, which is not below it"},
		},
		"of a test's package": {
			map[string]string{"pod/a.go": down, "container/a.go": `package container; import _ "podrun/test/leakcheck"`, "test/leakcheck/a.go": "package leakcheck"}, table,
			[]string{"container/a.go: container may not import test/leakcheck"},
		},
		"in a test's package": {
			map[string]string{"pod/a.go": down, "container/a.go": "package container", "test/a_test.go": `package test; import (_ "podrun/pod"; _ "podrun/test/leakcheck")`}, table,
			[]string{"test/a_test.go: test may not import pod"},
		},
		"new package": {
			map[string]string{"pod/a.go": down, "container/a.go": "package container", "util/a.go": "package util"}, table,
			[]string{"util has no place in the order of packages"},
		},
		"import has gone": {
			map[string]string{"pod/a.go": "package pod", "container/a.go": "package container"}, table,
			[]string{"the table lets pod import container, which it does not"},
		},
		"package has gone": {
			map[string]string{"pod/a.go": down}, table,
			[]string{"the table has container, which does not exist"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, checkOrder(parsed(t, c.sources), c.order, nil), c.want...)
		})
	}
}

func TestCheckPure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"value":   {`package plan; import "time"; var _ = time.Second`, nil},
		"objects": {`package plan; import _ "k8s.io/api/core/v1"`, nil},
		"pure":    {`package plan; import _ "podrun/pod/status"`, nil},
		"files":   {`package plan; import _ "os"`, []string{"pod/plan/a.go: pod/plan is pure and may not import os"}},
		"below":   {`package plan; import _ "io/fs"`, []string{"pod/plan/a.go: pod/plan is pure and may not import io/fs"}},
		"client": {
			`package plan; import _ "github.com/containerd/containerd/v2/client"`,
			[]string{"pod/plan/a.go: pod/plan is pure and may not import github.com/containerd/containerd/v2/client"},
		},
		"impure":  {`package plan; import _ "podrun/sandbox"`, []string{"pod/plan/a.go: pod/plan is pure, which sandbox is not"}},
		"clock":   {`package plan; import "time"; var _ = time.Now()`, []string{"pod/plan/a.go: pod/plan is pure and may not use time.Now"}},
		"renamed": {`package plan; import clock "time"; var _ = clock.Now()`, []string{"pod/plan/a.go: pod/plan is pure and may not use time.Now"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, checkPure(parsed(t, map[string]string{"pod/plan/a.go": c.source})), c.want...)
		})
	}
	t.Run("tests and others may", func(t *testing.T) {
		t.Parallel()
		expect(t, checkPure(parsed(t, map[string]string{
			"pod/plan/a_test.go": `package plan; import _ "os"`,
			"pod/a.go":           `package pod; import _ "os"`,
		})))
	})
}

func TestCheckHomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, source string
		broken       bool
	}{
		"cobra in cmd":             {"cmd/a.go", `package cmd; import _ "github.com/spf13/cobra"`, false},
		"cobra below cmd":          {"cmd/output/a.go", `package output; import _ "github.com/spf13/cobra"`, true},
		"CNI in network":           {"sandbox/network/a.go", `package network; import _ "github.com/containernetworking/cni/libcni"`, false},
		"CNI in sandbox":           {"sandbox/a.go", `package sandbox; import _ "github.com/containernetworking/cni/libcni"`, true},
		"containerd in container":  {"container/a.go", `package container; import _ "github.com/containerd/containerd/v2/client"`, false},
		"containerd in image":      {"container/image/a.go", `package image; import _ "github.com/containerd/containerd/v2/client"`, false},
		"containerd in the engine": {"pod/engine.go", `package pod; import _ "github.com/containerd/containerd/v2/client"`, false},
		"containerd in pod":        {"pod/up.go", `package pod; import _ "github.com/containerd/containerd/v2/client"`, true},
		"containerd in cmd":        {"cmd/a.go", `package cmd; import _ "github.com/containerd/containerd/v2/core/images"`, true},
		"output of a library":      {"pod/a.go", `package pod; import "os"; var _ = os.Stdout`, true},
		"print in a library":       {"pod/a.go", `package pod; import "fmt"; func f() { fmt.Println() }`, true},
		"output of a test":         {"pod/a_test.go", `package pod; import "os"; var _ = os.Stdout`, false},
		"output of cmd":            {"cmd/a.go", `package cmd; import "os"; var _ = os.Stdout`, false},
		"output of a program":      {"bundle/pack/main.go", `package main; import "os"; var _ = os.Stderr`, false},
		"exit of cmd":              {"cmd/a.go", `package cmd; import "os"; func f() { os.Exit(1) }`, true},
		"exit of main":             {"main.go", `package main; import "os"; func f() { os.Exit(1) }`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := checkHomes(parsed(t, map[string]string{c.path: c.source}), homes)
			if (len(broken) > 0) != c.broken {
				t.Errorf("got %q", broken)
			}
		})
	}
}

func TestCheckComments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, source string
		want         []string
	}{
		"in doc.go":      {"pod/doc.go", "// Package pod is one.\npackage pod", nil},
		"elsewhere":      {"pod/a.go", "// Package pod is one.\npackage pod", []string{"pod/doc.go is missing or has no package comment"}},
		"of another":     {"pod/doc.go", "// Package plan is one.\npackage pod", []string{"pod/doc.go is missing or has no package comment"}},
		"none":           {"pod/doc.go", "package pod", []string{"pod/doc.go is missing or has no package comment"}},
		"in main.go":     {"main.go", "// Podrun is a program.\npackage main", nil},
		"none, in a cmd": {"pack/main.go", "package main", []string{"pack/main.go is missing or has no package comment"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, checkComments(parsed(t, map[string]string{c.path: c.source})), c.want...)
		})
	}
}
