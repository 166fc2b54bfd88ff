package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the prefix of what this module's own packages are imported as.
const module = "podrun/"

// root is the module's directory, as seen from a test's.
const root = "../.."

// file is what the rules want to know of a Go file.
type file struct {
	path    string   // from the module's root: pod/plan/plan.go
	program bool     // of package main
	comment string   // the package comment
	own     []string // the packages of this module that it imports: pod/plan
	others  []string // the others
	uses    []string // names of other packages that it mentions: os.Exit
}

// dir is the package that the file belongs to; "." is the root.
func (f file) dir() string { return path.Dir(f.path) }

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// parse reads a file. Build tags don't matter: the rules hold for all of them.
func parse(name string, source []byte) (file, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	f := file{path: name, program: parsed.Name.Name == "main", comment: parsed.Doc.Text()}
	packages := map[string]string{} // by the name they go by in this file
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		if own, ok := strings.CutPrefix(imported, module); ok {
			f.own = append(f.own, own)
		} else {
			f.others = append(f.others, imported)
		}
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		packages[local] = imported
	}
	for node := range ast.Preorder(parsed) {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		if name, ok := selector.X.(*ast.Ident); ok && packages[name.Name] != "" {
			f.uses = append(f.uses, packages[name.Name]+"."+selector.Sel.Name)
		}
	}
	f.uses = sorted(f.uses)
	return f, nil
}

// source reads all Go files of the module. They are opened by this process, so
// that a cached result of the test is not used when one of them has changed.
func source(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && foreign(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(relative), content)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// foreign tells whether a directory is none of this module's packages: what the
// go command skips, and other modules.
func foreign(dir string) bool {
	base := filepath.Base(dir)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
