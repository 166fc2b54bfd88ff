package cgroup

import "testing"

func TestOOMKills(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n":       2, // v1
		"low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n":           1, // v2
		"low 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n": 0,
		"": 0,
	} {
		if got := oomKills(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
