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
	{"both families", bothFamilies},
	{"host network", hostNetwork},
	{"limits", limits},
	{"files of the sandbox", sandboxFiles},
	{"environment", environment},
	{"told", told},
	{"given files", givenFiles},
	{"claims", claims},
	{"subPaths", subPaths},
	{"mounts below", mountsBelow},
	{"image volumes", imageVolumes},
	{"variables of files", variablesOfFiles},
	{"evicted", evicted},
	{"the example of objects", exampleConfig},
	{"descriptors", descriptors},
	{"users and groups", usersAndGroups},
	{"users of images", usersOfImages},
	{"runs as nobody but root", nonRoot},
	{"confinement", confinement},
	{"privileged", privileged},
	{"AppArmor", withAppArmor},
	{"SELinux", withSELinux},
	{"seccomp profile of the machine", localhostSeccomp},
	{"sysctls", sysctls},
	{"runtimes", runtimes},
	{"names", names},
	{"bad names", badNames},
	{"hosts file", hostsFile},
	{"host namespaces", hostNamespaces},
	{"shared processes", sharedProcesses},
	{"resources of the pod", podResources},
	{"emptyDir", emptyDir},
	{"hostPath", hostPath},
	{"hostPath that changes", hostPathChanges},
	{"never restarts", neverRestarts},
	{"says out of memory", saysOutOfMemory},
	{"restarts on failure", restartsOnFailure},
	{"backs off", backsOff},
	{"init containers in order", initOrder},
	{"init container is retried", initRetried},
	{"init container fails", initFails},
	{"sidecars end last", sidecarsEndLast},
	{"sidecars serve", sidecarsServe},
	{"new sandbox runs init containers", newSandboxRunsInits},
	{"restart rules", restartRules},
	{"deadline", deadline},
	{"readiness follows", readinessFollows},
	{"liveness restarts", livenessRestarts},
	{"startup holds back", startupHoldsBack},
	{"probes are cut short", probesAreCutShort},
	{"probes reach ports", probesReachPorts},
	{"postStart comes first", postStartComesFirst},
	{"preStop comes first", preStopComesFirst},
	{"last words", lastWords},
	{"fresh words", freshWords},
	{"events tell", eventsTell},
	{"watches pods", watchesPods},
	{"events tell of volumes", eventsTellOfVolumes},
	{"removed in every phase", removedInEveryPhase},
	{"force cuts short", forceCutsShort},
	{"ends on TERM", endsOnTerm},
	{"is killed after its grace", killedAfterGrace},
	{"is killed at once", killedAtOnce},
	{"logs are whole", logsAreWhole},
	{"logs are rotated", logsAreRotated},
	{"logs keep up", logsKeepUp},
	{"logs follow a restart", logsFollowARestart},
	{"up is interrupted", interruptedUp},
	{"up is interrupted in vain", interruptedInVain},
	{"describes probes", describesProbes},
	{"exec has streams", execStreams},
	{"exec is interrupted", execInterrupted},
	{"copies", copies},
	{"copies nothing of the host", copiesNothingOfTheHost},
	{"shows stats", showsStats},
	{"forwards ports", forwardsPorts},
	{"forward ends", forwardEnds},
	{"forward outlived", forwardOutlived},
	{"exec as somebody else", execAs},
	{"attaches", attaches},
	{"attach ends", attachEnds},
	{"terminals", terminals},
	{"debugs a target", debugsTarget},
	{"debugs shared processes", debugsSharedProcesses},
	{"debugs a blocked pod", debugsBlockedPod},
	{"debugs as nobody but root", debugsAsNobodyButRoot},
	{"debugs on a terminal", debugsOnTerminal},
	{"debugs nothing", debugsNothing},
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
