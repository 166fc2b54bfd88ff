// Package fuzz takes whatever a manifest may be through all packages that only
// compute: from its text to the first plan for its pods. It needs no machine.
package fuzz
