package architecture

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// row is a package and those of this module that it may import.
type row struct {
	dir     string
	imports []string
}

// order is the module from top to bottom: a package imports only what stands
// below it, and of that only what its row lists. Below test/ anything goes, as
// long as it stays there; see tests.
var order = []row{
	{".", []string{"cmd", "cmd/heap", "container/stack"}}, // stack: it closes what a caller left open
	{"cmd", []string{
		"cmd/output", "pod", "pod/supervise", "pod/plan", "pod/status", "pod/manifest",
		"container", "container/stack", "container/logs", "container/image", "bundle",
	}},
	{"cmd/heap", nil},
	{"cmd/output", []string{"pod/status"}},
	{"pod", []string{
		"pod/supervise", "pod/event", "pod/plan", "pod/status", "pod/manifest", "pod/objects", "sandbox", "sandbox/network", "sandbox/cgroup",
		"container", "container/stack", "container/logs", "container/image", "container/oci", "container/tree",
	}},
	{"pod/supervise", []string{
		"pod/plan", "pod/status", "pod/handler", "pod/event", "pod/manifest", "pod/objects", "sandbox", "sandbox/volume",
		"container", "container/logs", "container/image", "container/oci", "container/env",
	}},
	{"pod/handler", nil},
	{"pod/event", []string{"pod/status"}},
	{"pod/plan", []string{"pod/status", "container/env"}},
	{"pod/status", nil},
	{"pod/manifest", []string{"container/oci"}}, // the names that the kernel has
	{"pod/objects", nil},
	{"sandbox", []string{
		"sandbox/network", "sandbox/volume", "sandbox/cgroup", "sandbox/files",
		"container", "container/image", "container/oci", "container/env",
	}},
	{"sandbox/network", nil},
	{"sandbox/volume", []string{"container/oci", "container/env"}}, // oci.Mount is what a volume becomes
	{"sandbox/cgroup", []string{"container/oci"}},                  // the pod's limits are computed as a container's are
	{"sandbox/files", nil},
	{"container", []string{"container/image", "container/oci"}},
	{"container/stack", []string{"bundle"}},
	{"container/logs", nil},
	{"container/image", nil},
	{"container/oci", nil},
	{"container/env", nil},
	{"container/tree", nil},
	{"bundle/pack", []string{"bundle"}},
	{"bundle", nil},
}

// tests lists what packages below test/ import from outside of it. They look at
// the world that podrun makes, not at its code.
var tests = []row{
	{"test/architecture", []string{"cmd", "pod/manifest"}},            // their help and their table are compared with the README
	{"test/fuzz", []string{"pod/manifest", "pod/plan", "pod/status"}}, // the pure ones, one after the other
}

// pure are the packages that only compute: input in, value out.
var pure = []string{"pod/manifest", "pod/plan", "pod/status", "container/oci", "container/env"}

// pureImports is all that they may import of others. What is not in it may do
// input or output.
var pureImports = []string{
	"bytes", "cmp", "encoding/json", "errors", "fmt", "iter", "maps", "math", "path", "reflect",
	"regexp", "slices", "sort", "strconv", "strings", "unicode", "unicode/utf8",
	"context",       // Kubernetes' warnings take one
	"io",            // the caller opens what they read
	"net/netip",     // parses addresses; package net looks them up
	"path/filepath", // but impureUses
	"time",          // but impureUses

	// Kubernetes' objects, its own defaults, validation and computations.
	"k8s.io/api/...", "k8s.io/apimachinery/...", "k8s.io/component-helpers/resource",
	"k8s.io/kubernetes/pkg/api/...", "k8s.io/kubernetes/pkg/apis/core/...", "k8s.io/kubernetes/pkg/capabilities", "k8s.io/kubernetes/pkg/fieldpath",
	"k8s.io/kubernetes/third_party/forked/golang/expansion", "sigs.k8s.io/yaml/...",

	// OCI's objects.
	"github.com/opencontainers/image-spec/specs-go/...", "github.com/opencontainers/runtime-spec/specs-go/...",

	// Asks for the kernel's version, once, and is the one place that has the profile.
	"github.com/containerd/containerd/v2/contrib/seccomp",
}

// impureUses is what they leave alone in what they import: files, and the clock.
var impureUses = []string{
	"path/filepath.Abs", "path/filepath.EvalSymlinks", "path/filepath.Glob", "path/filepath.Walk", "path/filepath.WalkDir",
	"time.After", "time.AfterFunc", "time.NewTicker", "time.NewTimer", "time.Now", "time.Since", "time.Sleep", "time.Tick", "time.Until",
}

// home says where alone something is known.
type home struct {
	imports []string // packages, or PACKAGE/...
	uses    []string // not counting tests
	in      []string // packages, PACKAGE/..., files, or "main" for every program
	why     string
}

var homes = []home{
	{
		imports: []string{"github.com/spf13/cobra/..."},
		in:      []string{"cmd"},
		why:     "only cmd knows the library of the command line",
	},
	{
		imports: []string{"github.com/containernetworking/..."},
		in:      []string{"sandbox/network"},
		why:     "only sandbox/network knows CNI",
	},
	{
		imports: []string{"github.com/containerd/containerd/..."},
		in:      []string{"sandbox/...", "container/...", "pod/engine.go", "test/..."},
		why:     "only sandbox, container and what is below them know containerd; package pod opens the client and hands it down",
	},
	{
		uses: []string{"os.Stdout", "os.Stderr", "fmt.Print", "fmt.Printf", "fmt.Println", "log.Print", "log.Printf", "log.Println"},
		in:   []string{"cmd/...", "main"},
		why:  "only cmd writes to standard output and error",
	},
	{
		uses: []string{"os.Exit", "syscall.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln"},
		in:   []string{"main"},
		why:  "only programs exit: deferred steps would not run",
	},
}

func TestImportsRunDownTheOrder(t *testing.T) {
	t.Parallel()
	report(t, checkOrder(source(t), order, tests))
}

func TestPurePackagesOnlyCompute(t *testing.T) {
	t.Parallel()
	report(t, checkPure(source(t)))
}

func TestEverythingIsKnownInOnePlace(t *testing.T) {
	t.Parallel()
	report(t, checkHomes(source(t), homes))
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	report(t, checkComments(source(t)))
}

func report(t *testing.T, broken []string) {
	t.Helper()
	for _, line := range broken {
		t.Error(line)
	}
}

// edge is an import of one of this module's packages by another.
type edge struct{ from, to string }

// checkOrder reports, a line each, imports that are not in the tables, and what
// is in the tables but not so: rows that point up, packages and imports that do
// not exist.
func checkOrder(files []file, order, tests []row) []string {
	broken := checkRows(order)
	packages := map[string]bool{}
	used := map[edge]bool{}
	allowed := edges(slices.Concat(order, tests))
	for _, f := range files {
		from := f.dir()
		packages[from] = true
		if !below(from, "test") && !slices.ContainsFunc(order, func(r row) bool { return r.dir == from }) {
			broken = append(broken, from+" has no place in the order of packages")
		}
		for _, to := range f.own {
			used[edge{from, to}] = true
			within := to == from || below(from, "test") && below(to, "test")
			if !within && !slices.Contains(allowed, edge{from, to}) {
				broken = append(broken, fmt.Sprintf("%s: %s may not import %s", f.path, from, to))
			}
		}
	}
	for _, r := range slices.Concat(order, tests) {
		if !packages[r.dir] {
			broken = append(broken, fmt.Sprintf("the table has %s, which does not exist", r.dir))
		}
	}
	for _, e := range allowed {
		if !used[e] {
			broken = append(broken, fmt.Sprintf("the table lets %s import %s, which it does not", e.from, e.to))
		}
	}
	return sorted(broken)
}

// checkRows reports rows with something that does not stand below them.
func checkRows(order []row) []string {
	var broken []string
	for i, r := range order {
		for _, to := range r.imports {
			if !slices.ContainsFunc(order[i+1:], func(lower row) bool { return lower.dir == to }) {
				broken = append(broken, fmt.Sprintf("the table lets %s import %s, which is not below it", r.dir, to))
			}
		}
	}
	return broken
}

func edges(rows []row) []edge {
	var out []edge
	for _, r := range rows {
		for _, to := range r.imports {
			out = append(out, edge{r.dir, to})
		}
	}
	return out
}

// checkPure reports what in the pure packages, their tests aside, may do more
// than compute.
func checkPure(files []file) []string {
	var broken []string
	for _, f := range files {
		if f.test() || !slices.Contains(pure, f.dir()) {
			continue
		}
		for _, imported := range f.own {
			if !slices.Contains(pure, imported) {
				broken = append(broken, fmt.Sprintf("%s: %s is pure, which %s is not", f.path, f.dir(), imported))
			}
		}
		for _, imported := range f.others {
			if !matches(imported, pureImports) {
				broken = append(broken, fmt.Sprintf("%s: %s is pure and may not import %s", f.path, f.dir(), imported))
			}
		}
		for _, used := range f.uses {
			if slices.Contains(impureUses, used) {
				broken = append(broken, fmt.Sprintf("%s: %s is pure and may not use %s", f.path, f.dir(), used))
			}
		}
	}
	return broken
}

// checkHomes reports what is imported or used outside its home.
func checkHomes(files []file, homes []home) []string {
	var broken []string
	for _, f := range files {
		for _, h := range homes {
			if f.program && slices.Contains(h.in, "main") || slices.Contains(h.in, f.path) || matches(f.dir(), h.in) {
				continue
			}
			for _, imported := range f.others {
				if matches(imported, h.imports) {
					broken = append(broken, fmt.Sprintf("%s: %s may not import %s: %s", f.path, f.dir(), imported, h.why))
				}
			}
			for _, used := range f.uses {
				if !f.test() && slices.Contains(h.uses, used) {
					broken = append(broken, fmt.Sprintf("%s: %s may not use %s: %s", f.path, f.dir(), used, h.why))
				}
			}
		}
	}
	return broken
}

// checkComments reports packages without a package comment in doc.go, or in
// main.go if they are programs.
func checkComments(files []file) []string {
	comments := map[string]string{} // by file
	for _, f := range files {
		comments[f.path] = f.comment
	}
	var broken []string
	for _, f := range files {
		name, begin := path.Join(f.dir(), "doc.go"), "Package "+path.Base(f.dir())+" "
		if f.program {
			name, begin = path.Join(f.dir(), "main.go"), ""
		}
		if comments[name] == "" || !strings.HasPrefix(comments[name], begin) {
			broken = append(broken, fmt.Sprintf("%s is missing or has no package comment", name))
		}
	}
	return sorted(broken)
}

// matches tells whether a package is among the patterns, PACKAGE or PACKAGE/...
func matches(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		dir, all := strings.CutSuffix(pattern, "/...")
		return name == dir || all && below(name, dir)
	})
}

// below tells whether a package is dir or below it.
func below(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}
