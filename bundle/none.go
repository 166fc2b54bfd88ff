//go:build !bundle

package bundle

// A build without a bundle: see embed.go.
const (
	Archive  = ""
	Digest   = ""
	versions = ""
)
