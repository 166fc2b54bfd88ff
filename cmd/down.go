package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"podrun/pod"
	"podrun/pod/manifest"
)

func newDown(a *app) *cobra.Command {
	var options removal
	var volumes bool
	cmd := &cobra.Command{
		Use:   "down MANIFEST...",
		Short: "Remove what manifests name",
		Long: `Remove the pods, ConfigMaps and Secrets that manifests name. What is not there
is no error. A ConfigMap or Secret that a pod of another manifest uses stays,
unless --force is given.

` + manifestHelp,
		Example: `  podrun down web.yaml
  podrun down --volumes web.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := a.load(cmd, args)
			if err != nil {
				return err
			}
			options.ignoreNotFound = true
			return a.down(cmd, loaded, options, volumes)
		},
	}
	options.bind(cmd)
	a.bindManifests(cmd)
	cmd.Flags().BoolVar(&volumes, "volumes", false, "remove PersistentVolumeClaims too, and their data")
	return cmd
}

// down removes the pods that a manifest names, and then what only they need.
func (a *app) down(cmd *cobra.Command, loaded *manifest.Manifest, options removal, volumes bool) error {
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), options.timeout, errTimeout)
	defer cancel()
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	var refs []pod.Ref
	for _, p := range loaded.Pods {
		refs = append(refs, pod.RefOf(p))
	}
	err = a.removePods(ctx, engine, refs, options)
	forgotten := engine.Forget(ctx, loaded, pod.ForgetOptions{
		Claims:  volumes,
		Force:   options.force,
		Removed: func(name string) { fmt.Fprintln(a.Out, name, "removed") },
	})
	return inTime(ctx, errors.Join(err, forgotten))
}
