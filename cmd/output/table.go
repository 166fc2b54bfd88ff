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
	widths := make([]int, len(header))
	lines := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{header}, rows...) {
		line := make([]string, len(row))
		for i, cell := range row {
			line[i] = Quote(cell)
			if i < len(widths) {
				widths[i] = max(widths[i], utf8.RuneCountInString(line[i]))
			}
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			b.WriteString(cell)
			if i < len(line)-1 && i < len(widths) {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+columnGap))
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

// Age returns a duration as kubectl prints ages: 45s, 3m12s, 5h, 12d.
func Age(d time.Duration) string { return duration.HumanDuration(d) }
