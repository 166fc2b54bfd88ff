package network

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// admit has the machine's own firewalls let pass what comes from the bridge of
// the pods or goes to it, where they drop what they do not know: what one table
// accepts another one may still drop, so that nothing but a rule in that very
// chain helps. The rules are written so that iptables can read them. A firewall
// that was loaded anew has lost them, and gets them again with the next pod.
func admit(bridge string) error {
	chains, err := forwardChains()
	if err != nil {
		return err
	}
	for _, chain := range chains {
		own, blocks, err := inspect(chain, bridge)
		if err != nil {
			return err
		}
		if !blocks || len(own) > 0 {
			continue
		}
		err = transact(func(conn *nftables.Conn) {
			for _, match := range [][]expr.Any{inInterface(bridge), outInterface(bridge)} {
				match = append(match, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
				conn.InsertRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: match, UserData: mark(bridge)})
			}
		})
		if err != nil && !errors.Is(err, unix.ENOENT) { // gone meanwhile
			return fmt.Errorf("let pods pass chain %q of table %q: %w", chain.Name, chain.Table.Name, err)
		}
	}
	return nil
}

// dismiss takes away what admit made for a bridge.
func dismiss(bridge string) error {
	chains, err := forwardChains()
	if err != nil {
		return err
	}
	for _, chain := range chains {
		own, _, err := inspect(chain, bridge)
		if err != nil {
			return err
		}
		if len(own) == 0 {
			continue
		}
		err = transact(func(conn *nftables.Conn) {
			for _, rule := range own {
				_ = conn.DelRule(rule) // it fails for rules without a handle only
			}
		})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("take rules out of chain %q of table %q: %w", chain.Name, chain.Table.Name, err)
		}
	}
	return nil
}

// forwardChains are those that see what the machine forwards; a kernel without
// nftables has none.
func forwardChains() ([]*nftables.Chain, error) {
	all, err := (&nftables.Conn{}).ListChains()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list firewall chains: %w", err)
	}
	families := []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet}
	var chains []*nftables.Chain
	for _, chain := range all {
		if slices.Contains(families, chain.Table.Family) && chain.Hooknum != nil && *chain.Hooknum == *nftables.ChainHookForward && chain.Type == nftables.ChainTypeFilter {
			chains = append(chains, chain)
		}
	}
	return chains, nil
}

// inspect returns the rules that admit has put into a chain, and whether the
// chain drops what none of its rules knows.
func inspect(chain *nftables.Chain, bridge string) (own []*nftables.Rule, blocks bool, err error) {
	rules, err := (&nftables.Conn{}).GetRules(chain.Table, chain)
	if err != nil {
		return nil, false, fmt.Errorf("list rules of chain %q of table %q: %w", chain.Name, chain.Table.Name, err)
	}
	blocks = chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop
	for _, rule := range rules {
		if bytes.Equal(rule.UserData, mark(bridge)) {
			own = append(own, rule)
		}
		blocks = blocks || blocksAll(rule)
	}
	return own, blocks, nil
}

// blocksAll says whether a rule drops or rejects whatever reaches it.
func blocksAll(rule *nftables.Rule) bool {
	for i, word := range rule.Exprs {
		switch word := word.(type) {
		case *expr.Counter, *expr.Log:
			continue
		case *expr.Reject:
			return true
		case *expr.Verdict:
			return word.Kind == expr.VerdictDrop && i == len(rule.Exprs)-1
		}
		return false
	}
	return false
}

// mark is the comment that tells rules of a bridge from others'.
func mark(bridge string) []byte {
	return userdata.AppendString(nil, userdata.TypeComment, "podrun "+bridge)
}
