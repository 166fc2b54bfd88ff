package cmd

import (
	"context"
	"os"
	"os/signal"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
	v1 "k8s.io/api/core/v1"

	"podrun/container"
)

func newExec(a *app) *cobra.Command {
	var name string
	var interactive, tty bool
	var exec container.Exec
	cmd := &cobra.Command{
		Use:   "exec POD [-c NAME] [-i] [-t] [-e K=V] [-w DIR] [-u USER] -- CMD...",
		Short: "Run a command in a running container",
		Long: `Run a command in a running container, and return its exit code; 126 when it
cannot be run, 127 when it is not found.`,
		Example: `  podrun exec web -- cat /etc/hosts
  podrun exec -it web -c sidecar -- sh`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkExec(exec); err != nil {
				return err
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			exec.Args, exec.Stdout, exec.Stderr = args[1:], a.Out, a.Err
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
	cmd.Flags().StringArrayVarP(&exec.Env, "env", "e", nil, "a variable of its environment, K=V; may be repeated")
	cmd.Flags().StringVarP(&exec.WorkingDir, "workdir", "w", "", "its working directory, absolute")
	cmd.Flags().StringVarP(&exec.User, "user", "u", "", "who it runs as: user[:group], names or numbers")
	return cmd
}

// checkExec refuses what could only fail later and less clearly.
func checkExec(exec container.Exec) error {
	if _, err := parseEnv(exec.Env); err != nil {
		return err
	}
	if exec.WorkingDir != "" && !path.IsAbs(exec.WorkingDir) {
		return usagef("-w %q: not an absolute path", exec.WorkingDir)
	}
	return nil
}

// parseEnv reads variables as -e has them.
func parseEnv(variables []string) ([]v1.EnvVar, error) {
	var env []v1.EnvVar
	for _, variable := range variables {
		name, value, ok := strings.Cut(variable, "=")
		if !ok || name == "" {
			return nil, usagef("-e %q: not K=V", variable)
		}
		env = append(env, v1.EnvVar{Name: name, Value: value})
	}
	return env, nil
}

// errNoTerminal refuses -t where there is none.
var errNoTerminal = usagef("-t: standard input is not a terminal")

// terminal gives the command a terminal that behaves like the user's own.
func (a *app) terminal(ctx context.Context, exec *container.Exec) (restore func(), err error) {
	if !a.fromTerminal() {
		return nil, errNoTerminal
	}
	exec.Terminal, exec.Stderr = true, nil
	exec.Resize, restore, err = a.raw(ctx)
	return restore, err
}

// fromTerminal says whether standard input is a terminal.
func (a *app) fromTerminal() bool {
	file, ok := a.In.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// raw hands on what is typed at the terminal that standard input is as it is,
// and the sizes that it takes, until restore is called.
func (a *app) raw(ctx context.Context) (_ <-chan container.Size, restore func(), err error) {
	fd := int(a.In.(*os.File).Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, nil, err
	}
	return sizes(ctx, fd), func() { term.Restore(fd, before) }, nil
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
