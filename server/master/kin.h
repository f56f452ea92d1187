/* kin.h - our children as the kernel knows them: those we started and those we inherited.
 *
 * master is the reaper of all its descendants (PR_SET_CHILD_SUBREAPER), so a process whose parent died is
 * its child from that moment on, without anybody having told it.
 */
#ifndef US_MASTER_KIN_H
#define US_MASTER_KIN_H

#include <stddef.h>
#include <sys/types.h>

#include "server/base/err.h"

int kin_become_reaper(struct us_err *err);

/* The pids of all our children, zombies included, in *out, to free(). A child that is born or adopted
 * while we look may be missing; none that died before and was not waited for. */
int kin_list(pid_t **out, size_t *n_out, struct us_err *err);

#endif
