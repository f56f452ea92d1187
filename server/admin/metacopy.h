/* metacopy.h - a copy of the metadata's tables, made while their owner goes on working. */
#ifndef US_ADMIN_METACOPY_H
#define US_ADMIN_METACOPY_H

#include "server/base/err.h"

struct meta;

/* Copy the tables in `from` (<configdirectory>/meta, open as `meta`) into the new directory `to`, open the copy and read
 * every row of it. What was durable before the call is in it. US_EBUSY: the owner changed the files under us
 * each time it was tried. A failure leaves no `to`. */
int metacopy_make(struct meta *meta, const char *from, const char *to, struct us_err *err);

#endif
