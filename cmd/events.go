package cmd

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"

	"podrun/cmd/output"
	"podrun/pod"
)

func newEvents(a *app) *cobra.Command {
	var format string
	var follow bool
	cmd := &cobra.Command{
		Use:   "events [POD]",
		Short: "Print what happened to a pod, or to all pods",
		Example: `  podrun events web
  podrun events -f
  podrun events web -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := output.ParseFormat(format, output.Short, output.JSON, output.YAML)
			if err != nil {
				return usageError{err}
			}
			ref := pod.Ref{Namespace: a.namespace}
			if len(args) > 0 {
				ref = a.ref(args[0])
			}
			return a.events(cmd, ref, parsed, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the pod is gone")
	cmd.Flags().StringVarP(&format, "output", "o", "", "json or yaml")
	return cmd
}

func (a *app) events(cmd *cobra.Command, ref pod.Ref, format output.Format, follow bool) error {
	engine, err := a.find(cmd.Context())
	if err != nil {
		return err
	}
	if engine == nil { // there are no pods at all
		if ref.Name != "" {
			return fmt.Errorf("%w: %q", pod.ErrNotFound, ref.Name)
		}
		return output.Events(a.Out, nil, format, time.Now())
	}
	defer engine.Close()
	if !follow {
		events, err := engine.Events(cmd.Context(), ref)
		if err != nil {
			return err
		}
		return output.Events(a.Out, events, format, time.Now())
	}
	lines := output.NewEventLines(a.Out, format)
	return engine.FollowEvents(cmd.Context(), ref, func(e v1.Event) error { return lines.Write(e, time.Now()) })
}
