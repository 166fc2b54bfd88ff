// Package cmd is the command line: one file a verb. A verb reads its flags and
// arguments, makes one call into package pod, and prints what comes of it.
// Exit codes and machine-readable output are a contract with scripts.
//
// Of all packages this one alone knows cobra and writes to standard output and
// standard error.
package cmd
