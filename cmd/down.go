package cmd

import (
	"github.com/spf13/cobra"

	"podrun/pod"
)

func newDown(a *app) *cobra.Command {
	var options removal
	cmd := &cobra.Command{
		Use:     "down MANIFEST...",
		Short:   "Remove the pods that manifests name",
		Long:    "Remove the pods that manifests name. What is not there is no error.",
		Example: "  podrun down web.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := a.load(cmd, args)
			if err != nil {
				return err
			}
			var refs []pod.Ref
			for _, p := range loaded.Pods {
				refs = append(refs, pod.RefOf(p))
			}
			options.ignoreNotFound = true
			return a.remove(cmd, refs, options)
		},
	}
	options.bind(cmd)
	return cmd
}
