// Package volume makes and removes the volumes of a pod, with the paths and
// modes that a kubelet gives them.
//
// It owns one directory per pod, in which each volume that has contents of its
// own has the place
//
//	<dir>/kubernetes.io~empty-dir/<volume name>
//
// It never touches what a hostPath volume names beyond making it where its type
// says so, never follows a symbolic link inside a directory that it removes, and
// never removes across a mount point.
package volume
