package manifest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml/goyaml.v3"
)

// kind is what a node holds, in the words of JSON.
type kind int

const (
	unknown kind = iota // a tag that JSON has nothing for
	null
	boolean
	integer
	float
	text
	list
	object
)

// String names a kind in a message: a number.
func (k kind) String() string {
	switch k {
	case null:
		return "nothing"
	case boolean:
		return "a boolean"
	case integer, float:
		return "a number"
	case text:
		return "a string"
	case list:
		return "a list"
	case object:
		return "an object"
	}
	return "a value with a tag"
}

// words11 are the booleans of YAML 1.1 that YAML 1.2 takes for strings. kubectl
// reads 1.1, so that `value: yes` is no string for an API server.
var words11 = map[string]bool{
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true, "on": true, "On": true, "ON": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false, "off": false, "Off": false, "OFF": false,
}

// kindOf tells what a node holds, as kubectl would read it.
func kindOf(n *yaml.Node) kind {
	switch n.Kind {
	case yaml.SequenceNode:
		return list
	case yaml.MappingNode:
		return object
	}
	switch n.ShortTag() {
	case "!!null":
		return null
	case "!!bool":
		return boolean
	case "!!int":
		return integer
	case "!!float":
		return float
	case "!!str":
		if _, word := words11[n.Value]; word && n.Style == 0 {
			return boolean
		}
		return text
	case "!!timestamp", "!!merge":
		return text
	}
	if !strings.HasPrefix(n.ShortTag(), "!!") {
		return text // kubectl knows no tags of its own, and takes none for anything
	}
	return unknown
}

// describe names a node in a message: the number 1.5, a list.
func describe(n *yaml.Node) string {
	switch k := kindOf(n); k {
	case boolean:
		return "the boolean " + n.Value
	case integer, float:
		return "the number " + n.Value
	case text:
		return fmt.Sprintf("the string %q", n.Value)
	case unknown:
		return "a value with the tag " + n.Tag
	default:
		return k.String()
	}
}

// boolOf reads a boolean.
func boolOf(n *yaml.Node) bool {
	if value, ok := words11[n.Value]; ok {
		return value
	}
	return strings.EqualFold(n.Value, "true")
}

// intOf reads an integer; ok tells whether it is one. A float without a fraction
// is, as kubectl makes it one.
func intOf(n *yaml.Node) (value int64, ok bool) {
	digits := strings.ReplaceAll(n.Value, "_", "")
	if kindOf(n) == float {
		f, err := strconv.ParseFloat(digits, 64)
		return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
	}
	value, err := strconv.ParseInt(digits, 0, 64)
	return value, err == nil && kindOf(n) == integer
}

// literal renders a value as the verdicts write it: {} for an empty object,
// numbers in decimal; "" for what no verdict compares with.
func literal(n *yaml.Node) string {
	switch kindOf(n) {
	case boolean:
		return strconv.FormatBool(boolOf(n))
	case integer, float:
		if value, ok := intOf(n); ok {
			return strconv.FormatInt(value, 10)
		}
		return n.Value
	case text:
		return n.Value
	case object:
		if len(n.Content) == 0 {
			return "{}"
		}
	}
	return ""
}

// hugeExponent matches quantities that would take for ever to compare.
var hugeExponent = regexp.MustCompile(`[eE][+-]?0*[1-9][0-9]{2,}$`)

// quantity reads a resource.Quantity.
func quantity(s string) (resource.Quantity, error) {
	if len(s) > 256 || hugeExponent.MatchString(s) {
		return resource.Quantity{}, resource.ErrFormatWrong
	}
	return resource.ParseQuantity(s)
}
