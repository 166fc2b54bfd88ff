/*
 * pause is the first process of every pod. It holds the pod's namespaces and, where the
 * containers share its PID namespace, is the init that their orphans are left to.
 *
 * Signals are waited for instead of handled: a blocked signal stays pending even for the
 * init of a PID namespace, so that none is lost between the start and the first wait.
 *
 * Ends with 0 on SIGTERM and SIGINT.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VERSION "1.0"

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(int argc, char **argv)
{
	sigset_t set;

	if (argc > 1 && strcmp(argv[1], "-v") == 0)
		return puts("pause " VERSION) < 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
		perror("pause: block signals");
		return 1;
	}
	if (getpid() != 1)
		fputs("pause: warning: not the first process of its PID namespace\n", stderr);

	for (;;) {
		switch (sigwaitinfo(&set, NULL)) {
		case SIGTERM:
		case SIGINT:
			return 0;
		case SIGCHLD:
			reap();
		}
	}
}
