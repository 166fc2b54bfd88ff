// Package bundle is what podrun carries with it: containerd and its shim, runc, the CNI plugins of
// the built-in network and the pause program, packed into one archive.
//
// It owns the archive's format (Pack, Unpack) and, in a build with the tag "bundle", the archive
// itself. Each upstream is built by the Makefile beside this file from a Go module of its own, so
// that it gets the dependencies that it was tested with; that module's go.mod is the only place
// where its version stands.
//
// It never decides where the files go or starts any of them: that is package stack's.
package bundle
