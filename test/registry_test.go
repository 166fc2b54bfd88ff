package test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podrun/test/images"
)

// A pod's imagePullSecrets are shown to the registry, and to no other; without
// the right ones the pod is not made.
func TestPullSecrets(t *testing.T) {
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
	config := func(password string) string {
		auth := base64.StdEncoding.EncodeToString([]byte(images.Credentials.Username + ":" + password))
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, private.Addr, auth))
	}
	secrets := fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: wrong}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: %s}
---
apiVersion: v1
kind: Secret
metadata: {name: right}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: %s}
`, config("closed sesame 4711"), config(images.Credentials.Password))
	pod := func(name, secrets string) string {
		return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  imagePullSecrets: [%s]
  containers: [{name: a, image: %q, imagePullPolicy: Always, args: [-wait=-1s]}]
`, name, secrets, private.Ref("probe:1"))
	}
	for _, c := range []struct {
		name, secrets string
		code          int
	}{
		{"no-secret", "", 1},
		{"missing-secret", "{name: nobody}", 1},
		{"wrong-secret", "{name: wrong}", 1},
		{"right-secret", "{name: right}", 0},
		{"both-secrets", "{name: nobody}, {name: wrong}, {name: right}", 0},
	} {
		text := pod(c.name, c.secrets)
		in.later(t, text)
		r := in.input(t, secrets+"---"+text, "up", "-").want(t, c.code)
		if c.code != 0 && (!strings.Contains(r.stderr, "uthoriz") || strings.Contains(r.stderr, "4711") || len(in.uidsOf(t, c.name)) > 0) {
			t.Errorf("%s: %s", c.name, r.stderr)
		}
	}
	if strings.Contains(in.ok(t, "inspect", "right-secret"), images.Credentials.Password) {
		t.Error("inspect tells the password")
	}
}

// The registries' configuration below the root directory: a mirror with a
// certificate of its own stands for a registry that is nowhere.
func TestRegistryConfiguration(t *testing.T) {
	t.Parallel()
	in := start(t)
	in.kept = []string{"image", "content", "snapshot", "file"}
	target, err := url.Parse("http://" + lab.registry.Addr)
	if err != nil {
		t.Fatal(err)
	}
	mirror := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	defer mirror.Close()
	dir := filepath.Join(in.Root, "certs.d", "registry.invalid")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	in.run(t, "pull", "registry.invalid/probe:1").want(t, 1)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: mirror.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "mirror.pem"), certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\nca = \"mirror.pem\"\n", mirror.URL)
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: mirrored}
spec:
  containers: [{name: a, image: "registry.invalid/probe:1", args: [-wait=-1s]}]
`)
}
