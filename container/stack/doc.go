// Package stack provides the containerd in use: one that is given, the system's, or the one that
// podrun carries with it, staged and started on demand, together with the runc, the CNI plugins and
// the pause program that go with it.
//
// The bundled containerd belongs to one pair of --root and --run-dir and to nobody else:
//
//	<root>/bundle/<digest>/           the staged files, never changed once they are there
//	<root>/containerd/                containerd's data
//	<run-dir>/containerd/             its state, sockets, configuration and log
//	<run-dir>/containerd.lock         held while it is started or stopped
//
// Whether it runs is not written down anywhere: it runs when its socket answers, and the kernel
// tells the process behind the socket. Pods outlive it; it may be stopped or die at any moment.
//
// The package never looks into containerd beyond its version, and never touches one that it did not
// start. It holds no client: whoever opened the stack makes one from Stack.Address.
package stack
