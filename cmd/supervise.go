package cmd

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"podrun/pod"
	"podrun/pod/supervise"
)

// newSupervise is the verb that supervisor processes run: one pod each.
func newSupervise(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    pod.SuperviseCommand + " UID",
		Short:  "Supervise a pod until it has ended (used by podrun itself)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			unix.CloseOnExec(supervise.ProgressFD)
			progress := os.NewFile(supervise.ProgressFD, "progress")
			if err := pod.Detach(); err != nil {
				a.log().Warn("leave the caller's cgroup", "error", err)
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			return engine.Supervise(cmd.Context(), args[0], supervise.WriteProgress(progress))
		},
	}
}
