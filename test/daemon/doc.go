// Package daemon runs a containerd for a test: a given executable with a root,
// a state directory and a socket of its own, and nothing that it does not
// need. It never touches the containerd of the machine.
package daemon
