package leakcheck

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// poll is how often Settle looks again.
const poll = 50 * time.Millisecond

// Listing is what was there at one moment: each thing as one line, and how
// many of it there were.
type Listing map[string]int

// Take lists the machine and every given instance. It takes some 30 ms.
func Take(ctx context.Context, instances ...Instance) (Listing, error) {
	all, err := Machine(ctx)
	if err != nil {
		return nil, err
	}
	for _, in := range instances {
		l, err := in.List(ctx)
		if err != nil {
			return nil, err
		}
		for line := range l {
			// A thing that both name is one thing: the larger count holds.
			all[line] = max(all[line], l[line])
		}
	}
	return all, nil
}

// Diff returns one line for each thing that is in only one of the listings:
// "+ thing" is new, "- thing" is gone, a number says how many when it is not
// one. Of file descriptors only a growth counts: a connection that was open
// and is closed by now is no loss.
func Diff(before, after Listing) []string {
	var out []string
	for thing, n := range after {
		if grown := n - before[thing]; grown > 0 {
			out = append(out, line("+", grown, thing))
		}
	}
	for thing, n := range before {
		if shrunk := n - after[thing]; shrunk > 0 && !strings.HasPrefix(thing, "fd ") {
			out = append(out, line("-", shrunk, thing))
		}
	}
	slices.Sort(out)
	return out
}

// Settle takes listings until one equals before, or ctx is done, and returns
// the last difference. Some things go away a little after the call that
// removed them has returned: containerd collects snapshots in the background,
// and the kernel its links.
func Settle(ctx context.Context, before Listing, take func(context.Context) (Listing, error)) ([]string, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		// A listing is always taken whole, so that the deadline never hides
		// the difference that was there.
		after, err := take(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		diff := Diff(before, after)
		if len(diff) == 0 {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return diff, nil
		case <-tick.C:
		}
	}
}

// Mentioning returns the part of the listing whose lines contain one of words,
// such as the UIDs of pods, also as systemd has them in the names of slices.
func (l Listing) Mentioning(words ...string) Listing {
	return l.filter(func(thing string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return mentions(thing, w) })
	})
}

// mentions says whether text contains a word, or what systemd makes of it.
func mentions(text, word string) bool {
	return strings.Contains(text, word) || strings.Contains(text, strings.ReplaceAll(word, "-", "_"))
}

// Without returns the listing without the given classes.
func (l Listing) Without(classes ...string) Listing {
	return l.filter(func(thing string) bool {
		class, _, _ := strings.Cut(thing, " ")
		return !slices.Contains(classes, class)
	})
}

func (l Listing) filter(keep func(string) bool) Listing {
	out := Listing{}
	for thing, n := range l {
		if keep(thing) {
			out[thing] = n
		}
	}
	return out
}

func (l Listing) addf(format string, args ...any) { l[fmt.Sprintf(format, args...)]++ }

func line(sign string, n int, thing string) string {
	if n == 1 {
		return sign + " " + thing
	}
	return fmt.Sprintf("%s%d %s", sign, n, thing)
}
