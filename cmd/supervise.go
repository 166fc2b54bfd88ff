package cmd

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"podrun/pod"
)

// gcPercent keeps the memory of a process that lives long small.
const gcPercent = 50

// newSupervise is the verb that supervisor processes run: one pod each.
func newSupervise(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    pod.SuperviseCommand + " UID",
		Short:  "Supervise a pod until it has ended (used by podrun itself)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			debug.SetGCPercent(gcPercent)
			defer pod.Retire()
			config, err := a.config()
			if err != nil {
				return err
			}
			engine, err := pod.Find(cmd.Context(), config)
			if err != nil {
				return err
			}
			defer engine.Close()
			return engine.Supervise(cmd.Context(), args[0])
		},
	}
}
