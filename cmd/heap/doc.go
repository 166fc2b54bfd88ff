// Package heap lets the heap grow before it is collected for the first time. The
// initialization of the packages that podrun is made of leaves about as much as
// Go would collect, just when a command is to begin, so main would come too late
// to say it. This package imports next to nothing, and so is initialized before most
// of those that leave much; a test sees to it.
package heap
