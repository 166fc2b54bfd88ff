package test

import "testing"

// core are the tests that hold with any containerd. They run side by side on
// one instance, each with pods of its own.
var core = []struct {
	name string
	test func(*testing.T, *instance)
}{
	{"answers over TCP", answersTCP},
	{"answers over UDP", answersUDP},
	{"listens on hostIP alone", hostIP},
	{"refuses a taken hostPort", takenPort},
	{"containers share", containersShare},
	{"host network", hostNetwork},
	{"limits", limits},
	{"files of the sandbox", sandboxFiles},
	{"environment", environment},
	{"descriptors", descriptors},
	{"emptyDir", emptyDir},
	{"hostPath", hostPath},
	{"never restarts", neverRestarts},
	{"says out of memory", saysOutOfMemory},
	{"restarts on failure", restartsOnFailure},
	{"backs off", backsOff},
	{"ends on TERM", endsOnTerm},
	{"is killed after its grace", killedAfterGrace},
	{"is killed at once", killedAtOnce},
	{"logs are whole", logsAreWhole},
	{"exec has streams", execStreams},
	{"what cannot run is rolled back", rolledBack},
	{"many at once", manyAtOnce},
}

func TestCore(t *testing.T) {
	t.Parallel()
	runCore(t, start(t))
}

func runCore(t *testing.T, in *instance) {
	for _, c := range core {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, in)
		})
	}
}
