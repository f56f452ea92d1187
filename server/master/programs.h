/* programs.h - where a program named in cyrus.conf lies.
 *
 * An absolute path is taken as it is. Any other name is looked for where services are installed, then
 * where administrators' programs are; or, for running out of a build tree, only in the directories of
 * UNDERSTUDY_PATH (colons between them).
 */
#ifndef US_MASTER_PROGRAMS_H
#define US_MASTER_PROGRAMS_H

#include "server/base/err.h"

#define PROGRAMS_ENV "UNDERSTUDY_PATH"

/* *out is the caller's to free(). US_ENOENT: no regular file with that name that its owner may execute. */
int programs_find(const char *name, char **out, struct us_err *err);

#endif
