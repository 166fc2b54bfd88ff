// Package test drives the built podrun on a real machine: a real containerd, a
// real registry, real pods. It is written from the contract of the command
// line and looks at the state of the world (processes, cgroups, addresses,
// files), never at podrun's code.
//
// Every instance of podrun that a test starts has directories of its own, and
// is compared with its first listing when the test ends; the whole machine is
// when all have. Tests that look at the whole machine themselves, or that kill
// things, run alone; the others run side by side.
//
//	PODRUN_BIN           the binary under test; ../podrun by default
//	PODRUN_PLAIN_BIN     the one without a bundle; built when it is not set
//	PODRUN_PROBE         the program of ./probe; built when it is not set
//	PODRUN_SLOWNESS      how many times longer than usual things may take here; measured by default
//	PODRUN_ROUNDS        how often to exec and attach to one container; 200 by default
//	PODRUN_CRASH_ROUNDS  how many crashes to cause; 20 by default
//	PODRUN_LIFE_ROUNDS   how many pods to lead a random life; 6 by default
//	PODRUN_CRASH_SEED, PODRUN_LIFE_SEED  the seed of a run that is to be repeated
//	PODRUN_LOG_LINES     how many lines of 1000 bytes each of four containers writes; 10000 by default
//
// Root is required. Nothing is skipped for the lack of anything: it fails.
package test
