package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker-credential-helpers/client"
	helpers "github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

const (
	// helperTime bounds how long a credential helper may take.
	helperTime = 30 * time.Second
	// maxAnswer bounds what it may say, in bytes.
	maxAnswer = 1 << 20
)

// dockerKeychain is the credentials that docker, or else podman, is configured
// with: in the file itself, or told by a credential helper, of which only
// docker-credential-NAME in a directory of PATH is run. It reads the file each
// time. What go-containerregistry has does the same, but waits for a helper for
// ever.
type dockerKeychain struct{ helperTime time.Duration }

// Resolve is what authn.Keychain wants.
func (k dockerKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext finds the credentials for a repository, those for it alone
// before those for its registry.
func (k dockerKeychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	path := configPath()
	if path == "" {
		return authn.Anonymous, nil
	}
	parsed, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		found, err := k.get(ctx, parsed, key)
		if err != nil {
			return nil, err
		}
		if found != (authn.AuthConfig{}) {
			return authn.FromConfig(found), nil
		}
	}
	return authn.Anonymous, nil
}

// configPath is docker's configuration, or else podman's; empty when there is
// neither.
func configPath() string {
	home, _ := os.UserHomeDir()
	docker := os.Getenv("DOCKER_CONFIG")
	if docker == "" {
		docker = filepath.Join(home, ".docker")
	}
	configHome := os.Getenv("XDG_CONFIG_HOME")
	if configHome == "" {
		configHome = filepath.Join(home, ".config")
	}
	for _, path := range []string{
		filepath.Join(docker, config.ConfigFileName),
		os.Getenv("REGISTRY_AUTH_FILE"),
		filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "containers/auth.json"),
		filepath.Join(configHome, "containers/auth.json"),
	} {
		if info, err := os.Stat(path); filepath.IsAbs(path) && err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

func readConfig(path string) (*configfile.ConfigFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := config.LoadFromReader(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return parsed, nil
}

// Configured returns the file that says with which credentials images are
// pulled, empty for none. The error says what is wrong with it: it cannot be
// read, or a helper that it names is not there.
func Configured() (path string, err error) {
	path = configPath()
	if path == "" {
		return "", nil
	}
	parsed, err := readConfig(path)
	if err != nil {
		return path, err
	}
	helpers := slices.Sorted(maps.Values(parsed.CredentialHelpers))
	if parsed.CredentialsStore != "" {
		helpers = append(helpers, parsed.CredentialsStore)
	}
	var errs []error
	for _, helper := range slices.Compact(helpers) {
		if _, err := exec.LookPath(helperProgram(helper)); err != nil {
			errs = append(errs, err)
		}
	}
	return path, errors.Join(errs...)
}

func helperProgram(helper string) string { return "docker-credential-" + helper }

// get is what the configuration says of one key, empty for nothing.
func (k dockerKeychain) get(ctx context.Context, parsed *configfile.ConfigFile, key string) (authn.AuthConfig, error) {
	helper, ok := parsed.CredentialHelpers[key]
	if !ok {
		helper = parsed.CredentialsStore
	}
	if helper != "" {
		return k.ask(ctx, helper, key)
	}
	found, err := parsed.GetAuthConfig(key)
	found.ServerAddress = ""
	if err != nil || found == (types.AuthConfig{}) {
		return authn.AuthConfig{}, err
	}
	return authn.AuthConfig{
		Username: found.Username, Password: found.Password, Auth: found.Auth,
		IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}, nil
}

// ask runs a credential helper. That it knows nothing is no error.
func (k dockerKeychain) ask(ctx context.Context, helper, key string) (authn.AuthConfig, error) {
	if strings.ContainsRune(helper, '/') {
		return authn.AuthConfig{}, fmt.Errorf("credential helper %q: not a name", helper)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, k.helperTime, fmt.Errorf("it took longer than %v", k.helperTime))
	defer cancel()
	program := helperProgram(helper)
	found, err := client.Get(func(args ...string) client.Program {
		return &helperRun{cmd: exec.CommandContext(ctx, program, args...)}
	}, key)
	switch {
	case helpers.IsErrCredentialsNotFound(err):
		return authn.AuthConfig{}, nil
	case err != nil && ctx.Err() != nil:
		return authn.AuthConfig{}, fmt.Errorf("run %s: %w", program, context.Cause(ctx))
	case err != nil:
		return authn.AuthConfig{}, fmt.Errorf("run %s: %w", program, err)
	case found.Username == "<token>":
		return authn.AuthConfig{IdentityToken: found.Secret}, nil
	}
	return authn.AuthConfig{Username: found.Username, Password: found.Secret}, nil
}

// helperRun is a run of a credential helper. It ends, with all that it has
// started, when its context does.
type helperRun struct{ cmd *exec.Cmd }

// Input hands over what the helper reads.
func (h *helperRun) Input(in io.Reader) { h.cmd.Stdin = in }

// Output runs the helper and returns what it says.
func (h *helperRun) Output() ([]byte, error) {
	var out capped
	h.cmd.Stdout = &out
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	h.cmd.Cancel = func() error { return syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL) }
	h.cmd.WaitDelay = time.Second
	err := h.cmd.Run()
	return out.kept.Bytes(), err
}

// capped keeps what is written to it, up to maxAnswer. It is not a bytes.Buffer
// itself, whose ReadFrom would go around Write.
type capped struct{ kept bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if c.kept.Len()+len(p) > maxAnswer {
		return 0, errors.New("it says too much")
	}
	return c.kept.Write(p)
}
