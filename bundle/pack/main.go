// Command pack packs files into a bundle archive and writes the archive's digest beside it.
//
//	pack -o ARCHIVE FILE [FILE]...    makes ARCHIVE and ARCHIVE.sha256
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"

	"podrun/bundle"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run() error {
	out := flag.String("o", "", "the archive to make")
	flag.Parse()
	if *out == "" || flag.NArg() == 0 {
		return errors.New("usage: pack -o ARCHIVE FILE [FILE]")
	}
	var archive bytes.Buffer
	if err := bundle.Pack(&archive, flag.Args()); err != nil {
		return err
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(archive.Bytes()))
	return errors.Join(
		os.WriteFile(*out+".sha256", []byte(digest), 0o644),
		os.WriteFile(*out, archive.Bytes(), 0o644))
}
