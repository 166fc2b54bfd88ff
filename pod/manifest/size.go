package manifest

import (
	"bytes"
	"strings"
)

const (
	// maxValues bounds the values of one source, aliases followed, weighed by what
	// it costs to look at them (CVE-2019-11253: a few lines can stand for
	// gigabytes). A source of the greatest size that means something has less.
	maxValues = 70_000

	// maxTokens bounds what the YAML parser is given, which takes some hundred
	// bytes for each.
	maxTokens = 300_000

	// maxDocuments bounds the documents of one source, and the items of its lists.
	maxDocuments = 10_000

	itemWeight = 3 // of a text in a list or under a key of the user's: validation tells of each, at length
	// maxWarned bounds the values of an object that is looked through for what may
	// not be meant: Kubernetes compares each path of a volume with each other.
	maxWarned = 5000

	structWeight  = 4  // of an object with fields: it is defaulted and validated
	customWeight  = 8  // of what its type reads by itself, such as a quantity
	unknownWeight = 10 // of an unknown field: the nearest known one is looked for
)

// tokens estimates how many keys and values the YAML parser will find in a text,
// and never says less than a third of it. What stands in block scalars does not count,
// as long as it is clear that they are some: from the first line that this cannot
// tell, such as one that leaves a quote open, every character counts that may
// separate values.
func tokens(text []byte) int {
	count, block, clear := 0, -1, true
	for line := range bytes.Lines(text) {
		clear = clear && !bytes.ContainsAny(bytes.TrimSuffix(line, []byte("\r\n")), "\r\u0085\u2028\u2029")
		indent := len(line) - len(bytes.TrimLeft(line, " "))
		switch {
		case !clear:
			count += separators(line)
		case len(bytes.TrimSpace(line)) == 0:
		case block >= 0 && indent > block:
		default:
			var n int
			if n, block, clear = lineTokens(string(bytes.TrimRight(line[indent:], " \t\r\n")), indent); !clear {
				n = separators(line)
			}
			count += n
		}
	}
	return count
}

// separators counts what may separate values: other breaks of lines, too.
func separators(line []byte) int {
	n := 1
	for _, c := range string(line) {
		if strings.ContainsRune(",[{:-?\r\u0085\u2028\u2029", c) {
			n++
		}
	}
	return n
}

// lineTokens counts the values of a line, which stands at an indent outside of
// block scalars. block is the column of the key or dash whose block scalar the
// line begins, -1 if it begins none. It is not clear when the line may leave a
// quote or a bracket open.
func lineTokens(line string, indent int) (count, block int, clear bool) {
	end := indent + len(line)
	for block = -1; line != "" && line[0] != '#'; count++ {
		column := end - len(line)
		switch {
		case line[0] == '|', line[0] == '>':
			return count + 1, block, block >= 0
		case line[0] == '[', line[0] == '{':
			open := strings.Count(line, "[") + strings.Count(line, "{")
			closed := strings.Count(line, "]") + strings.Count(line, "}")
			return count + separators([]byte(line)), -1, open == closed && !strings.ContainsAny(line, "\"'#")
		case line[0] == '"', line[0] == '\'':
			quote := endOfQuote(line)
			if quote < 0 {
				return count, -1, false
			}
			line, block = strings.TrimLeft(line[quote:], " "), column
			if line != "" && line[0] != ':' && line[0] != '#' {
				return count, -1, false
			}
			line = strings.TrimLeft(strings.TrimPrefix(line, ":"), " ")
		case line[0] == '&', line[0] == '!', line[0] == '*':
			_, line, _ = strings.Cut(line, " ")
		case line == "-", line == "?", strings.HasPrefix(line, "- "), strings.HasPrefix(line, "? "):
			line, block = strings.TrimLeft(line[1:], " "), column
		default:
			line, block = afterColon(line), column
		}
	}
	return count, -1, true
}

// afterColon returns what follows a plain key, "" if the text is none.
func afterColon(line string) string {
	_, value, _ := strings.Cut(line, ": ")
	return strings.TrimLeft(value, " ")
}

// endOfQuote returns the offset behind a quoted text, -1 if it does not end.
func endOfQuote(line string) int {
	for i := 1; i < len(line); i++ {
		switch {
		case line[0] == '"' && line[i] == '\\':
			i++
		case line[i] != line[0]:
		case line[0] == '\'' && strings.HasPrefix(line[i+1:], "'"):
			i++
		default:
			return i + 1
		}
	}
	return -1
}
