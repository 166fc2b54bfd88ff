// Package architecture tests what the compiler does not: that the packages
// import each other in one direction only, that each keeps to what is its own,
// that each says what it is, and that the README says what the code does.
//
// It reads the module's files and runs nothing. It owns no code.
package architecture
