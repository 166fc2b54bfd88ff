package cmd

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"podrun/cmd/output"
	"podrun/pod"
)

func newCp(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "cp SRC DST",
		Short: "Copy files into and out of a running container",
		Long: `Copy a file, a directory or a symbolic link into a running container or out
of it. SRC or DST is POD:PATH, from the container's root directory, with its
volumes; the other one is a path of this machine, or - for a tar archive on
standard input or output. The image needs no program for it.

If DST is a directory, the copy is made in it, with SRC's own name, or of what
is in SRC when that ends with "/."; otherwise it is made as DST. Modes are kept.
What is copied in belongs to root in the container, what is copied out to root,
without set-user-ID and set-group-ID. Symbolic links are copied as such, devices
and the like are passed over.`,
		Example: `  podrun cp web:/etc/nginx ./nginx
  podrun cp site/. web:/srv -c server
  podrun cp web:/var/log - | tar t`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, fromPod := podPath(args[0])
			to, toPod := podPath(args[1])
			if (fromPod == "") == (toPod == "") {
				return usagef("cp: one of %q and %q must be POD:PATH", args[0], args[1])
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			c := pod.Copy{Container: name, In: a.In, Out: a.Out, Passed: func(path, what string) {
				fmt.Fprintf(a.Err, "podrun: pass over %s: it is %s\n", output.Quote(path), what)
			}}
			if fromPod != "" {
				c.Inside = from
				if c.Outside, err = outside(to); err != nil {
					return err
				}
				return engine.CopyOut(cmd.Context(), a.ref(fromPod), c)
			}
			c.Inside = to
			if c.Outside, err = outside(from); err != nil {
				return err
			}
			return engine.CopyIn(cmd.Context(), a.ref(toPod), c)
		},
	}
	cmd.Flags().StringVarP(&name, "container", "c", "", "container; the first one when none is named")
	return cmd
}

// podPath reads POD:PATH; a path of this machine has no pod. One that has a
// colon begins with a dot or a slash.
func podPath(arg string) (path, pod string) {
	before, after, found := strings.Cut(arg, ":")
	if !found || before == "" || strings.Contains(before, "/") || strings.HasPrefix(before, ".") {
		return arg, ""
	}
	return after, before
}

// outside makes a path of this machine absolute, empty for "-". What it ends
// with has a meaning.
func outside(path string) (string, error) {
	if path == "-" {
		return "", nil
	}
	if path == "" {
		return "", usagef("cp: an empty path")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for _, end := range []string{"/.", "/"} {
		if path == "." || strings.HasSuffix(path, end) {
			return absolute + end, nil
		}
	}
	return absolute, nil
}
