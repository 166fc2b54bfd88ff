// Package objects keeps the ConfigMaps, Secrets and claims that manifests
// declared, a file each:
//
//	<root>/objects/<kind>/<namespace>/<name>
//
// Directories are 0700 and files 0600: a Secret is for root alone. A file is
// replaced as a whole, so that whoever reads it finds either what was there or
// what is there now.
//
// The package decides nothing: what may be changed, and what is still needed,
// is said from above. Whoever writes holds the lock on all records; reading
// needs none. It never prints or logs what an object holds.
package objects
