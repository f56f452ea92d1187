/* work.h - do one piece of the work a sync log asks for (reconcile/coalesce.h). */
#ifndef US_SYNC_CLIENT_WORK_H
#define US_SYNC_CLIENT_WORK_H

#include "reconcile/coalesce.h"
#include "sync_client/sync.h"

/* 0, or the code that agenda_done() wants to hear. */
int work_do(struct sync *s, const struct work *work, struct us_err *err);

#endif
