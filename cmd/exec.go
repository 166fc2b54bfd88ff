package cmd

import (
	"context"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"podrun/container"
)

func newExec(a *app) *cobra.Command {
	var name string
	var interactive, tty bool
	cmd := &cobra.Command{
		Use:   "exec POD [-c NAME] [-i] [-t] -- CMD...",
		Short: "Run a command in a running container",
		Long: `Run a command in a running container, and return its exit code; 126 when it
cannot be run, 127 when it is not found.`,
		Example: `  podrun exec web -- cat /etc/hosts
  podrun exec -it web -c sidecar -- sh`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			exec := container.Exec{Args: args[1:], Stdout: a.Out, Stderr: a.Err}
			if interactive {
				exec.Stdin = a.In
			}
			if tty {
				restore, err := a.terminal(cmd.Context(), &exec)
				if err != nil {
					return err
				}
				defer restore()
			}
			code, err := engine.Exec(cmd.Context(), a.ref(args[0]), name, exec)
			if code != 0 {
				return codeError{code: code, err: err}
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&name, "container", "c", "", "container; the first one when none is named")
	cmd.Flags().BoolVarP(&interactive, "stdin", "i", false, "hand on standard input")
	cmd.Flags().BoolVarP(&tty, "tty", "t", false, "give the command a terminal")
	return cmd
}

// terminal gives the command a terminal that behaves like the user's own.
func (a *app) terminal(ctx context.Context, exec *container.Exec) (restore func(), err error) {
	file, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, usagef("-t: standard input is not a terminal")
	}
	exec.Terminal, exec.Stderr = true, nil
	exec.Resize = sizes(ctx, int(file.Fd()))
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return nil, err
	}
	return func() { term.Restore(int(file.Fd()), before) }, nil
}

// sizes sends the size of a terminal, and again whenever it changes.
func sizes(ctx context.Context, fd int) <-chan container.Size {
	sizes := make(chan container.Size, 1)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH)
	go func() {
		defer signal.Stop(changed)
		for {
			if width, height, err := term.GetSize(fd); err == nil {
				select {
				case sizes <- container.Size{Width: uint32(width), Height: uint32(height)}:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return sizes
}
