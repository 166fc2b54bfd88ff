// Package logs owns a container's log: the files it consists of, how output
// gets into it, and how it is read back.
//
// The shim appends a container's output to two plain files, the spools, so
// that nothing has to sit at the other end of a pipe: a supervisor that died
// loses nothing and blocks nobody. [Files.Copy] carries what the spools hold
// over into the log, in the CRI format that kubelets and log collectors know:
//
//	container ─pipe─▶ shim ─append─▶ 0.stdout ─┐
//	                                 0.stderr ─┴─Copy─▶ 0.log ─Read─▶ podrun logs
//	                                              └───▶ 0.checkpoint
//	                                 0.log.20060102-150405[.gz], rotated
//
// Copying is exactly once, also when the copying process is killed at any
// instant. The log itself says what was copied: lines in it are complete or
// cut short by the kill, never rewritten, and each takes a known number of
// bytes from its spool. The checkpoint only bounds how far back one has to
// look, and allows what was copied to be given back to the file system.
// A loss of power is not covered: lines may then be missing or doubled.
//
// The package never talks to containerd and never decides when a container has
// ended or which logs are to be kept.
package logs
