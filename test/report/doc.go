// Package report is what the probe program says of the world as a container
// sees it: the words between the tests and the process that they run.
package report
