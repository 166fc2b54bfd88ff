package image

import (
	"context"
	"fmt"
	"sync"

	"github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// dockerHub is the host that serves docker.io.
const dockerHub = "registry-1.docker.io"

// credentials finds what one pull may show to registries.
type credentials struct {
	keychain   authn.Keychain
	repository name.Repository

	mu  sync.Mutex
	err error // the keychain's first
}

func (s *Store) credentials(repository string) (*credentials, error) {
	repo, err := name.NewRepository(repository, name.WeakValidation)
	if err != nil {
		return nil, err
	}
	return &credentials{keychain: s.keychain, repository: repo}, nil
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
	if host != c.repository.RegistryStr() && !(host == dockerHub && c.repository.RegistryStr() == name.DefaultRegistry) {
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
