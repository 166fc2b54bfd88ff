package bundle

import "strings"

// Versions returns the name and the version of each part of the bundle, as in "runc v1.5.2"; none
// in a build without a bundle.
func Versions() []string { return strings.FieldsFunc(versions, func(r rune) bool { return r == '\n' }) }
