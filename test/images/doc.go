// Package images makes the few small container images that the tests, the
// benchmarks and the demo run, and serves them from a real registry on the
// loopback interface.
//
// The images are made of programs that are on the machine already: Debian's
// static busybox, or any static executable. Nothing is fetched.
package images
