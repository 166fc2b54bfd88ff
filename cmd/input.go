package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"podrun/cmd/output"
	"podrun/pod"
	"podrun/pod/manifest"
)

// manifestHelp says what a MANIFEST is.
const manifestHelp = `A MANIFEST is a file, a directory (its *.yaml, *.yml and *.json), a URL, or "-"
for standard input. A relative hostPath is relative to the file, or to the
working directory for standard input; a manifest from a URL may have none.`

// bindManifests binds the flags of the verbs that read manifests.
func (a *app) bindManifests(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.skipUnsupported, "skip-unsupported", false, "leave out objects of kinds that podrun does not run, and say so")
}

// bindMachine binds the flags of the verbs whose manifests must fit this machine,
// and has them do so.
func (a *app) bindMachine(cmd *cobra.Command) {
	var sysctls []string
	cmd.Flags().StringSliceVar(&sysctls, "allowed-unsafe-sysctls", nil, `sysctls that pods may set beside the safe ones, such as "kernel.msg*,net.core.somaxconn"`)
	cmd.PreRun = func(*cobra.Command, []string) {
		a.machine = pod.Machine()
		a.machine.UnsafeSysctls = sysctls
	}
}

// load reads the manifests that the arguments name, and says what of them has
// no meaning on one machine.
func (a *app) load(cmd *cobra.Command, args []string) (*manifest.Manifest, error) {
	sources, err := a.read(cmd, args)
	if err != nil {
		return nil, err
	}
	loaded, err := manifest.Load(sources, a.manifestOptions(cmd))
	if err != nil {
		return nil, err
	}
	for _, f := range loaded.Findings {
		if f.Verdict == manifest.Skipped {
			fmt.Fprintf(a.Err, "podrun: %s:%d: %s is skipped: %s\n", f.File, f.Line, output.Quote(f.Object()), f.Reason)
		}
	}
	a.warn(loaded.Warnings)
	if note := manifest.Ignored(loaded.Findings); note != "" {
		fmt.Fprintln(a.Err, "podrun: "+note)
	}
	return loaded, nil
}

// warn says what is right and may not be meant.
func (a *app) warn(warnings manifest.Problems) {
	for _, w := range warnings {
		fmt.Fprintln(a.Err, "podrun: warning: "+w.Error())
	}
}

func (a *app) manifestOptions(cmd *cobra.Command) manifest.Options {
	return manifest.Options{
		Namespace:       a.ref("").Namespace,
		NamespaceSet:    cmd.Flags().Changed("namespace"),
		SkipUnsupported: a.skipUnsupported,
		Machine:         a.machine,
	}
}

// read reads what the arguments name.
func (a *app) read(cmd *cobra.Command, args []string) ([]manifest.Source, error) {
	var sources []manifest.Source
	for _, arg := range args {
		if isURL(arg) {
			source, err := fetch(cmd.Context(), arg)
			if err != nil {
				return nil, err
			}
			sources = append(sources, source)
			continue
		}
		found, err := a.sources(arg)
		if err != nil {
			return nil, usageError{err}
		}
		sources = append(sources, found...)
	}
	return sources, nil
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
