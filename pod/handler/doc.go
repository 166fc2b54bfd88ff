// Package handler performs what the probes and hooks of a container ask for:
// a command inside of it, a request over HTTP, a TCP connection, a gRPC health
// check, or a pause. Requests go from the host into the pod's network, so that
// nothing is needed in the image.
//
// It performs one handler once. How often that is done, and what follows from
// the result, is for others to decide. Results and their texts are the
// kubelet's (kubelet: prober, lifecycle; k8s.io/kubernetes/pkg/probe).
package handler
