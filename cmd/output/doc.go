// Package output renders what the command line prints: tables in kubectl's
// manner, Kubernetes objects as JSON and YAML, and progress.
//
// It only formats: it asks nobody for anything, decides nothing about pods,
// and writes only to the writers that it is given. Text that comes from users
// or images never reaches a terminal with its control characters raw.
package output
