package oci

import (
	"slices"
	"strings"
	"testing"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	v1 "k8s.io/api/core/v1"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": "1", "B": "$(A)", "EMPTY": ""}
	for in, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"$(A)":          "1",
		"x$(A)y$(A)z":   "x1y1z",
		"$(B)":          "$(A)", // not expanded again
		"$(EMPTY)":      "",
		"$(UNKNOWN)":    "$(UNKNOWN)",
		"$$":            "$",
		"$$(A)":         "$(A)",
		"$$$(A)":        "$1",
		"$$$$(A)":       "$$(A)",
		"$(A":           "$(A",
		"$A":            "$A",
		"${A}":          "${A}",
		"$":             "$",
		"$()":           "$()",
		"$($(A))":       "$($(A))",
		"price: 5$ (A)": "price: 5$ (A)",
	} {
		if got := Expand(in, env); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEnv(t *testing.T) {
	t.Parallel()
	path := "PATH=" + defaultPath
	for _, test := range []struct {
		name  string
		c     v1.Container
		image []string
		want  []string
	}{
		{"nothing", v1.Container{}, nil, []string{path, "HOSTNAME=h"}},
		{"terminal", v1.Container{TTY: true}, nil, []string{path, "TERM=xterm", "HOSTNAME=h"}},
		{"image wins over defaults", v1.Container{TTY: true}, []string{"HOSTNAME=i", "TERM=dumb", "PATH=/bin"},
			[]string{"PATH=/bin", "TERM=dumb", "HOSTNAME=i"}},
		{"container wins over image", v1.Container{Env: []v1.EnvVar{{Name: "PATH", Value: "/c"}, {Name: "A", Value: ""}}},
			[]string{"PATH=/bin", "A=image"}, []string{"PATH=/c", "HOSTNAME=h", "A="}},
		{"broken image entries are dropped", v1.Container{}, []string{"HOME", "", "=C:", "A=b=c"},
			[]string{path, "HOSTNAME=h", "A=b=c"}},
		{"references go backwards and not to the image",
			v1.Container{Env: []v1.EnvVar{
				{Name: "EARLY", Value: "$(LATE)"}, {Name: "LATE", Value: "$(IMAGE) $$(LATE)"}, {Name: "ALL", Value: "$(EARLY)+$(LATE)"},
			}},
			[]string{"IMAGE=i"},
			[]string{path, "HOSTNAME=h", "IMAGE=i", "EARLY=$(LATE)", "LATE=$(IMAGE) $(LATE)", "ALL=$(LATE)+$(IMAGE) $(LATE)"}},
		{"the last of a name counts, and sees the one before",
			v1.Container{Env: []v1.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "$(A)2"}}}, nil,
			[]string{path, "HOSTNAME=h", "A=12"}},
	} {
		image := slices.Clone(test.image)
		if got := Env(&test.c, test.image, "h"); !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
		if !slices.Equal(image, test.image) {
			t.Errorf("%s: the image's environment was changed to %q", test.name, test.image)
		}
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                          string
		entrypoint, cmd, command, arg string
		want                          string
	}{
		{"image", "entry -x", "cmd", "", "", "entry -x cmd"},
		{"cmd alone", "", "cmd y", "", "", "cmd y"},
		{"args replace cmd", "entry", "cmd", "", "arg", "entry arg"},
		{"command drops cmd", "entry", "cmd", "run", "", "run"},
		{"command and args", "entry", "cmd", "run", "arg", "run arg"},
		{"expanded", "$(V)", "", "", "$(V) $(W) $$(V)", "$(V) value $(W) $(V)"},
	} {
		c := v1.Container{
			Command: strings.Fields(test.command),
			Args:    strings.Fields(test.arg),
			Env:     []v1.EnvVar{{Name: "V", Value: "value"}},
		}
		image := imagespec.ImageConfig{Entrypoint: strings.Fields(test.entrypoint), Cmd: strings.Fields(test.cmd)}
		got, err := command(&c, image)
		if err != nil || !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%s: got %q, %v; want %q", test.name, got, err, test.want)
		}
	}
	image := imagespec.ImageConfig{Entrypoint: []string{""}, Cmd: []string{"sh"}}
	if got, err := command(&v1.Container{}, image); err != nil || !slices.Equal(got, []string{"sh"}) {
		t.Errorf("reset entrypoint: got %q, %v", got, err)
	}
}
