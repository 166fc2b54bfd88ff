package image

import (
	"context"
	"fmt"
	"sync"

	"github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "k8s.io/api/core/v1"
	keyrings "k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

// dockerHub is the host that serves docker.io.
const dockerHub = "registry-1.docker.io"

// credentials finds what one pull may show to registries.
type credentials struct {
	keychain   authn.Keychain
	repository name.Repository
	own        *authn.AuthConfig // for the repository, in place of what the keychain has

	mu  sync.Mutex
	err error // the keychain's first
}

// credentials are all that may be shown for a repository, to be tried in turn:
// what the secrets have for it, as a kubelet finds and orders it, then what the
// machine is configured with. There is always a last one, which may be nothing.
func (s *Store) credentials(repository string, secrets []v1.Secret) ([]*credentials, error) {
	repo, err := name.NewRepository(repository, name.WeakValidation)
	if err != nil {
		return nil, err
	}
	known, err := matching(repository, secrets)
	if err != nil {
		return nil, err
	}
	var all []*credentials
	for _, config := range known {
		all = append(all, &credentials{keychain: s.keychain, repository: repo, own: &config})
	}
	return append(all, &credentials{keychain: s.keychain, repository: repo}), nil
}

// matching are the credentials that secrets have for a repository. Secrets of
// other types than docker's have none.
func matching(repository string, all []v1.Secret) ([]authn.AuthConfig, error) {
	for _, secret := range all {
		if _, err := keyrings.MakeDockerKeyring([]v1.Secret{secret}, nil); err != nil {
			return nil, fmt.Errorf("read secret %q: %w", secret.Name, err)
		}
	}
	keyring, err := keyrings.MakeDockerKeyring(all, nil)
	if err != nil || keyring == nil {
		return nil, err
	}
	found, _ := keyring.Lookup(repository)
	configs := make([]authn.AuthConfig, len(found))
	for i, config := range found {
		configs[i] = authn.AuthConfig{Username: config.Username, Password: config.Password}
	}
	return configs, nil
}

// GetCredentials is what the transfer service asks. It never fails: the
// service would wait for an answer. See failure.
func (c *credentials) GetCredentials(ctx context.Context, _, host string) (registry.Credentials, error) {
	user, secret, err := c.lookup(ctx, host)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.err = fmt.Errorf("get credentials for %s: %w", host, err)
		}
	}
	return registry.Credentials{Host: host, Username: user, Secret: secret}, nil
}

// failure is why credentials could not be looked up, nil if they could.
func (c *credentials) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// lookup finds the credentials for a host, empty when there are none. A secret
// without user is a token that the host's token service exchanges.
func (c *credentials) lookup(ctx context.Context, host string) (user, secret string, err error) {
	var resource authn.Resource = c.repository
	registry := host == c.repository.RegistryStr() || host == dockerHub && c.repository.RegistryStr() == name.DefaultRegistry
	if registry && c.own != nil {
		return c.own.Username, c.own.Password, nil
	}
	if !registry {
		// A mirror: what is meant for the registry is none of its business.
		if resource, err = name.NewRegistry(host, name.WeakValidation); err != nil {
			return "", "", err
		}
	}
	authenticator, err := authn.Resolve(ctx, c.keychain, resource)
	if err != nil {
		return "", "", err
	}
	config, err := authn.Authorization(ctx, authenticator)
	if err != nil {
		return "", "", err
	}
	if config.IdentityToken != "" {
		return "", config.IdentityToken, nil
	}
	return config.Username, config.Password, nil
}
