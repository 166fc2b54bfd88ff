//go:build bundle

package bundle

import _ "embed" // for what the Makefile built

var (
	// Archive is the packed bundle; empty in a build without one.
	//
	//go:embed out/podrun-bundle.tar.zst
	Archive string

	// Digest is the SHA-256 digest of Archive, in hexadecimal; empty in a build without a bundle.
	//
	//go:embed out/podrun-bundle.tar.zst.sha256
	Digest string

	//go:embed out/versions
	versions string
)
