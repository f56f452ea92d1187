/* identity.h - the file <configdirectory>/store: that there is a store, and which (doc/FORMATS.md 12). */
#ifndef US_STORE_IDENTITY_H
#define US_STORE_IDENTITY_H

#include "server/base/err.h"
#include "server/store/storeid.h"

/* Make the file, durably, if it is not there. Whoever opens a store for the first time does, and metad, which master starts
 * before all else. */
int identity_ensure(const char *configdirectory, struct us_err *err);
/* US_ENOENT: there is no store yet; US_ECORRUPT: the file is something else. */
int identity_read(const char *configdirectory, char uuid[UUID_TEXT], struct us_err *err);

#endif
