package cmd

import (
	"testing"

	"podrun/pod"
)

func TestParseForward(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]pod.ForwardedPort{
		"80":        {Local: pod.SameLocal, Remote: 80},
		"8080:80":   {Local: 8080, Remote: 80},
		":80":       {Remote: 80},
		"0:80":      {Remote: 80},
		"65535:1":   {Local: 65535, Remote: 1},
		"http":      {Local: pod.SameLocal, Name: "http"},
		":http":     {Name: "http"},
		"8080:http": {Local: 8080, Name: "http"},
	} {
		if got, err := parseForward(arg); err != nil || got != want {
			t.Errorf("%q: %+v, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", ":", "0", ":0", "65536", "80:", "x:80", "-1:80", "65536:80", "1:2:3", "no_name", "8080:Http"} {
		if got, err := parseForward(arg); err == nil {
			t.Errorf("%q: %+v", arg, got)
		}
	}
}
