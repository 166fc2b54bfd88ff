package oci

import (
	"fmt"
	"path"
	"slices"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// defaultPath is containerd's PATH for images that have none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Expand replaces each $(NAME) in s by the value that env has for it. An
// unknown name stays as it is written, "$$" stands for "$", and what was
// filled in is not expanded again. The code is a kubelet's.
func Expand(s string, env map[string]string) string {
	return expansion.Expand(s, expansion.MappingFuncFor(env))
}

// Env returns the environment of a container's process. From weak to strong
// it is: PATH, TERM when there is a terminal, HOSTNAME, the image's variables
// and the container's. Entries of an image without "=" or without a name are
// dropped; entries of c must be literal.
func Env(c *v1.Container, image []string, hostname string) []string {
	env := []string{"PATH=" + defaultPath}
	if c.TTY {
		env = append(env, "TERM=xterm")
	}
	env = append(env, "HOSTNAME="+hostname)
	env = append(env, imageEnv(image)...)
	values := variables(c)
	for _, e := range c.Env {
		env = append(env, e.Name+"="+values[e.Name])
	}
	return lastWins(env)
}

// variables are the container's own, which alone its command may refer to.
// Each may refer to the ones before it.
func variables(c *v1.Container) map[string]string {
	values := make(map[string]string, len(c.Env))
	for _, e := range c.Env {
		values[e.Name] = Expand(e.Value, values)
	}
	return values
}

// Values are a container's variables with all references in them filled in.
func Values(c *v1.Container) map[string]string { return variables(c) }

// imageEnv drops what a runtime would fill from its own environment.
func imageEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		return strings.Index(entry, "=") < 1
	})
}

// lastWins keeps the last value of each variable, at the place of its first.
func lastWins(env []string) []string {
	at := make(map[string]int, len(env))
	kept := make([]string, 0, len(env))
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if i, seen := at[name]; seen {
			kept[i] = entry
			continue
		}
		at[name] = len(kept)
		kept = append(kept, entry)
	}
	return kept
}

// command puts the container's command and args together with the image's:
// a command replaces entrypoint and cmd, args alone replace cmd.
func command(c *v1.Container, image imagespec.ImageConfig) ([]string, error) {
	values := variables(c)
	expand := func(words []string) []string {
		expanded := make([]string, 0, len(words))
		for _, word := range words {
			expanded = append(expanded, Expand(word, values))
		}
		return expanded
	}
	entrypoint, args := expand(c.Command), expand(c.Args)
	if len(entrypoint) == 0 {
		if len(args) == 0 {
			args = image.Cmd
		}
		if !slices.Equal(image.Entrypoint, []string{""}) { // a reset entrypoint
			entrypoint = image.Entrypoint
		}
	}
	if len(entrypoint)+len(args) == 0 {
		return nil, ErrNoCommand
	}
	return slices.Concat(entrypoint, args), nil
}

// workingDir is the container's, else the image's. The runtime makes it.
func workingDir(container, image string) (string, error) {
	switch {
	case container != "" && !path.IsAbs(container):
		return "", fmt.Errorf("working directory %q: not an absolute path", container)
	case container != "":
		return container, nil
	case image != "" && !path.IsAbs(image):
		return "", fmt.Errorf("working directory %q of the image: not an absolute path", image)
	case image != "":
		return image, nil
	}
	return "/", nil
}
