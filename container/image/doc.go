// Package image owns the images that containers are made from: their names,
// whether and how they are fetched, with which credentials, and what of them
// is stored in containerd.
//
// An image that it hands out is complete and unpacked: its config was read, and
// a snapshot of its root filesystem can be taken. Only images for Linux and the
// machine's own architecture are fetched.
//
// The package never retries (when to try again is a plan's business), never
// copies an image's labels to anything, and never puts a credential into an
// error, a log or containerd's metadata.
package image
