package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMessage bounds a message in bytes: a wrong value may be as large as the input.
const maxMessage = 1024

// Problem is one thing that is wrong with an input. Its texts hold no control
// characters, so that they may go to a terminal.
type Problem struct {
	File    string // the source's name
	Line    int    // counted from 1: the offending key, or its parent when it is missing
	Field   string // spec.containers[0].image; "" for the syntax or the whole document
	Message string
}

// Error renders FILE:LINE: FIELD.PATH: MESSAGE.
func (p Problem) Error() string {
	if p.Field == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Field, p.Message)
}

// Problems is all that is wrong, in the order of the sources, then of lines.
type Problems []Problem

// Error renders a line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted orders the problems of one source and drops repetitions.
func (ps Problems) sorted() Problems {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(ps)
}

// reporter collects the problems of one file.
type reporter struct {
	file     string
	problems Problems
}

// add reports a problem. The path and the message are made printable.
func (r *reporter) add(line int, path, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		File:    printable(r.file),
		Line:    max(line, 1),
		Field:   shorten(printable(path)),
		Message: shorten(printable(fmt.Sprintf(format, args...))),
	})
}

// printable escapes what must not reach a terminal raw, as strconv.Quote would,
// but without quotes.
func printable(s string) string {
	clean := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if strings.IndexFunc(s, clean) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if clean(r) {
			q := strconv.QuoteToASCII(s[:size])
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// shorten cuts a text that is longer than maxMessage out of its middle, where
// the value stands that made it long.
func shorten(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	head, tail := s[:maxMessage/2], s[len(s)-maxMessage/2:]
	return strings.ToValidUTF8(head, "") + " ... " + strings.ToValidUTF8(tail, "")
}
