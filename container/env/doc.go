// Package env computes what a container is told in variables and files: the
// environment that its pod gives it, and the values of the downward API.
//
// It is a kubelet's makeEnvironmentVariables, with Kubernetes' own packages
// where they exist, and so are the texts of its errors. Nothing is looked up:
// objects and facts of the machine come in, variables go out.
package env
