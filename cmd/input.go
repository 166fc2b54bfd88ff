package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"podrun/pod/manifest"
)

// load reads the manifests that the arguments name, and says what of them has
// no meaning on one machine.
func (a *app) load(cmd *cobra.Command, args []string) (*manifest.Manifest, error) {
	var sources []manifest.Source
	for _, arg := range args {
		found, err := a.sources(arg)
		if err != nil {
			return nil, usageError{err}
		}
		sources = append(sources, found...)
	}
	loaded, err := manifest.Load(sources, manifest.Options{
		Namespace:    a.ref("").Namespace,
		NamespaceSet: cmd.Flags().Changed("namespace"),
	})
	if err != nil {
		return nil, err
	}
	if note := manifest.Ignored(loaded.Notes); note != "" {
		fmt.Fprintln(a.Err, "podrun: "+note)
	}
	return loaded, nil
}

// sources reads what one argument names: a file, a directory or "-".
func (a *app) sources(arg string) ([]manifest.Source, error) {
	if arg == "-" {
		dir, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		data, err := readLimited(a.In)
		return []manifest.Source{{Name: arg, Dir: dir, Data: data}}, err
	}
	info, err := os.Stat(arg)
	if err != nil {
		return nil, err
	}
	names := []string{arg}
	if info.IsDir() {
		if names, err = manifestsIn(arg); err != nil {
			return nil, err
		}
	}
	var sources []manifest.Source
	for _, name := range names {
		source, err := readSource(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	return sources, nil
}

// manifestsIn lists the manifests of a directory, by name.
func manifestsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(entry.Name())) {
			names = append(names, filepath.Join(dir, entry.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no *.yaml, *.yml or *.json in this directory", dir)
	}
	return names, nil
}

func readSource(name string) (manifest.Source, error) {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return manifest.Source{}, err
	}
	file, err := os.Open(name)
	if err != nil {
		return manifest.Source{}, err
	}
	defer file.Close()
	data, err := readLimited(file)
	return manifest.Source{Name: name, Dir: filepath.Dir(absolute), Data: data}, err
}

// maxInput is more than a manifest may have, so that package manifest sees and
// says that it is too large.
const maxInput = 4 << 20

// readLimited reads little more than what a manifest may have, for package
// manifest to refuse.
func readLimited(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, maxInput))
}
