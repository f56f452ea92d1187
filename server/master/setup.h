/* setup.h - what master reads and becomes before it runs anything. main() only: each ends the process with
 * the status sysexits(3) has for it when something is wrong, saying so on stderr and in the log. */
#ifndef US_MASTER_SETUP_H
#define US_MASTER_SETUP_H

struct master;

/* The command line, into m->opt. Handles -V. */
void setup_options(struct master *m, int argc, char **argv);
/* imapd.conf, into m; opens the log. */
void setup_conf(struct master *m);
/* Where output goes, the working directory, limits, signals; with -d in a process of its own. Then the lock
 * that makes us the only master; then the user's rights. */
void setup_process(struct master *m);

#endif
