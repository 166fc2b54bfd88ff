package test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podrun/test/images"
)

// A registry that wants a password gets the one of docker's configuration.
func TestPrivateRegistry(t *testing.T) {
	t.Parallel()
	in := start(t)
	in.kept = []string{"image", "content", "snapshot", "file"}
	private, err := images.ServePrivate("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer private.Close()
	if err := private.Push(t.Context(), "probe:1", lab.images["probe:1"]); err != nil {
		t.Fatal(err)
	}
	ref := private.Ref("probe:1")
	if r := in.run(t, "pull", ref).want(t, 1); !strings.Contains(r.stderr, "authoriz") {
		t.Errorf("without a password: %s", r.stderr)
	}
	secret := base64.StdEncoding.EncodeToString([]byte(images.Credentials.Username + ":" + images.Credentials.Password))
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, private.Addr, secret)
	docker := filepath.Join(in.dir, ".docker")
	if err := os.Mkdir(docker, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docker, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	in.ok(t, "pull", ref)
}

// imagePullPolicy decides whether a registry is asked.
func TestPullPolicy(t *testing.T) {
	t.Parallel()
	in := start(t)
	in.kept = []string{"image", "content", "snapshot", "file"}
	registry, err := images.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	if err := registry.Push(t.Context(), "probe:1", lab.images["probe:1"]); err != nil {
		t.Fatal(err)
	}
	up := func(name, policy string, code int) (asked bool) {
		t.Helper()
		text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: a, image: %q, imagePullPolicy: %s, args: [-wait=-1s]}]}\n",
			name, registry.Ref("probe:1"), policy)
		before := registry.Asked()
		in.later(t, text)
		in.input(t, text, "up", "-").want(t, code)
		return registry.Asked() > before
	}
	for i, c := range []struct {
		policy string
		code   int
		asked  bool
	}{
		{"Never", 1, false}, {"IfNotPresent", 0, true}, {"IfNotPresent", 0, false}, {"Never", 0, false}, {"Always", 0, true},
	} {
		if asked := up(fmt.Sprintf("policy-%d", i), c.policy, c.code); asked != c.asked {
			t.Errorf("%d, %s: the registry was asked: %v", i, c.policy, asked)
		}
	}
	registry.Close()
	up("policy-offline", "IfNotPresent", 0)
	up("policy-gone", "Always", 1)
}
