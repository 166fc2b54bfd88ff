package output

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/duration"
)

const columnGap = 3 // spaces between columns, as kubectl has it

// Table writes a header and rows in aligned columns. The last column is not
// padded. Cells are quoted where Quote says so.
func Table(w io.Writer, header []string, rows [][]string) error {
	return new(columns).write(w, append([][]string{header}, rows...))
}

// columns are those of a table that may go on: they only get wider.
type columns struct{ widths []int }

// write writes rows below those that there are.
func (c *columns) write(w io.Writer, rows [][]string) error {
	lines := make([][]string, 0, len(rows))
	for _, row := range rows {
		line := make([]string, len(row))
		c.widths = append(c.widths, make([]int, max(len(row)-len(c.widths), 0))...)
		for i, cell := range row {
			line[i] = Quote(cell)
			c.widths[i] = max(c.widths[i], utf8.RuneCountInString(line[i]))
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			b.WriteString(cell)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", c.widths[i]-utf8.RuneCountInString(cell)+columnGap))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Quote returns s as it is when a terminal can show it, and as a Go string
// literal when it holds a control character or anything else that does not
// print as itself.
func Quote(s string) string {
	printable := utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
	if printable {
		return s
	}
	return strconv.Quote(s)
}

// Escape returns a text of several lines as a terminal can show it: what does not
// print as itself is written as in a Go string literal.
func Escape(s string) string {
	shows := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError || r == '\n' || r == '\t' }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !shows(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if text := s[:size]; shows(r) {
			b.WriteString(text)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteToASCII(text), `"`))
		}
		s = s[size:]
	}
	return b.String()
}

// Age returns a duration as kubectl prints ages: 45s, 3m12s, 5h, 12d.
func Age(d time.Duration) string { return duration.HumanDuration(d) }
