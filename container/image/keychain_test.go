package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sys/unix"
)

// configured makes a home directory with docker's configuration and helpers, by
// name, each a shell script.
func configured(t *testing.T, config string, helpers map[string]string) (home string) {
	t.Helper()
	home = t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".docker/config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range helpers {
		if err := os.WriteFile(filepath.Join(home, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, variable := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(variable, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("PATH", home+":"+os.Getenv("PATH"))
	return home
}

func resolve(t *testing.T, k dockerKeychain, repository string) (string, error) {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := k.ResolveContext(t.Context(), repo)
	if err != nil {
		return "", err
	}
	config, err := authn.Authorization(t.Context(), auth)
	if err != nil {
		t.Fatal(err)
	}
	return config.Username + ":" + config.Password + config.IdentityToken, nil
}

func TestDockerConfig(t *testing.T) {
	const helper = `read key; case $key in
helped.test) echo '{"Username":"helped","Secret":"s1"}';;
https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"s2"}';;
token.test) echo '{"Username":"<token>","Secret":"s3"}';;
broken.test*) echo 'the vault is shut'; exit 1;;
*) echo 'credentials not found in native keychain'; exit 1;;
esac`
	configured(t, `{
		"auths": {"file.test": {"auth": "dXNlcjpwYXNz"}, "file.test/team": {"auth": "dGVhbTp0ZWFt"}},
		"credHelpers": {"helped.test": "one", "token.test": "one", "index.docker.io": "x", "https://index.docker.io/v1/": "one",
			"broken.test": "one", "nowhere.test": "nowhere", "path.test": "../one", "unknown.test": "one"}}`,
		map[string]string{"one": helper})
	k := dockerKeychain{helperTime: helperTime}
	for repository, want := range map[string]string{
		"file.test/app": "user:pass", "file.test/team": "team:team", "helped.test/app": "helped:s1", "busybox": "hub:s2",
		"token.test/app": ":s3", "unknown.test/app": ":", "other.test/app": ":",
	} {
		if got, err := resolve(t, k, repository); err != nil || got != want {
			t.Errorf("%s: %q, %v", repository, got, err)
		}
	}
	if path, err := Configured(); !strings.HasSuffix(path, "/.docker/config.json") || err == nil || !strings.Contains(err.Error(), "docker-credential-nowhere") {
		t.Errorf("configured in %q, %v", path, err)
	}
	for repository, want := range map[string]string{"broken.test/app": "the vault is shut", "nowhere.test/app": "docker-credential-nowhere", "path.test/app": "not a name"} {
		if got, err := resolve(t, k, repository); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", repository, got, err)
		}
	}
}

func TestDockerConfigWithAStore(t *testing.T) {
	home := configured(t, `{"credsStore": "all", "auths": {"file.test": {}}}`, map[string]string{
		"all": `read key; echo "{\"Username\":\"$key\",\"Secret\":\"s\"}"`,
	})
	k := dockerKeychain{helperTime: helperTime}
	if got, err := resolve(t, k, "file.test/app"); err != nil || got != "file.test/app:s" {
		t.Errorf("%q, %v", got, err)
	}
	// Without docker's there is podman's.
	if err := os.RemoveAll(filepath.Join(home, ".docker")); err != nil {
		t.Fatal(err)
	}
	if got, err := resolve(t, k, "file.test/app"); err != nil || got != ":" {
		t.Errorf("with no configuration: %q, %v", got, err)
	}
	file := filepath.Join(home, "auth.json")
	if err := os.WriteFile(file, []byte(`{"auths": {"file.test": {"auth": "dXNlcjpwYXNz"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REGISTRY_AUTH_FILE", file)
	if got, err := resolve(t, k, "file.test/app"); err != nil || got != "user:pass" {
		t.Errorf("podman's: %q, %v", got, err)
	}
}

// A helper that hangs, and one that never stops talking, end with all that they
// have started.
func TestHelpersAreBounded(t *testing.T) {
	home := configured(t, `{"credHelpers": {"hangs.test": "hangs", "talks.test": "talks"}}`, map[string]string{
		"hangs": `sleep 1000 & echo $! >$HOME/pid; wait`,
		"talks": `yes`,
	})
	_, err := resolve(t, dockerKeychain{helperTime: 300 * time.Millisecond}, "hangs.test/app")
	if err == nil || !strings.Contains(err.Error(), "longer than 300ms") {
		t.Errorf("it hangs: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(home, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for running(pid) {
		if time.Now().After(deadline) {
			t.Fatal("what the helper has started still runs")
		}
		time.Sleep(time.Millisecond)
	}
	if got, err := resolve(t, dockerKeychain{helperTime: helperTime}, "talks.test/app"); err == nil {
		t.Errorf("it talks: %.20q", got)
	}
}

// running says whether there is a process that is not a zombie.
func running(pid int) bool {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
