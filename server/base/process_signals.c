/* process_signals.c - see process.h. */
#include "server/base/process.h"

#include <stddef.h>

struct process_flags process_flags;

static void note(int number)
{
	switch (number) {
	case SIGHUP:
		process_flags.reload = 1;
		break;
	case SIGCHLD:
		process_flags.child = 1;
		break;
	default:
		process_flags.stop = 1;
		break;
	}
	process_flags.wake = 1;
}

/* Without SA_RESTART: a flag is looked at where something was interrupted. */
static void handle(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	sigfillset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

void process_signals_catch(void)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD};
	sigset_t none;

	process_flags = (struct process_flags){0, 0, 0, 0};
	handle(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		handle(caught[i], note);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void process_signals_default(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		handle(number,
		       SIG_DFL); /* those that cannot be changed refuse, and need no change */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
