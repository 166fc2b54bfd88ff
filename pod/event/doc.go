// Package event keeps what happened to a pod: a file of bounded size in the
// pod's directory, to which its owner appends a line for each event. What
// happened alike several times is counted when the file is read.
//
// A line is written at once and whole, so that a crash loses nothing that was
// written, and a line that was cut off is passed over.
package event
