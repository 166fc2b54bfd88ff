package heap

import "runtime/debug"

// percent is Go's GOGC: a command of a few milliseconds ends before its first
// collection.
const percent = 800

var _ = debug.SetGCPercent(percent)
