/* user_paths.h - where a user's own files lie.
 *
 * His INBOX gives the place, by its store id: a rename of the user moves nothing, and one who comes back under a name
 * does not find the files of him who had it before. What belongs to nobody in particular has fixed places.
 */
#ifndef US_SESSION_USER_PATHS_H
#define US_SESSION_USER_PATHS_H

#include "server/base/buf.h"
#include "server/base/conf.h"

struct storeid;

/* The directory of his Sieve scripts: <sievedir>/u/<hh>/<store id of the INBOX>; inbox NULL: <sievedir>/global, the
 * scripts of shared mailboxes. Appended; nothing is made. */
void user_sieve_path(const struct conf *conf, const struct storeid *inbox, struct buf *out);

/* The directory where a Cyrus keeps databases of a user. Ours are in metad: it is for files that others put beside
 * them. <configdirectory>/user/u/<hh>/<store id>; inbox NULL: <configdirectory>. */
void user_files_path(const struct conf *conf, const struct storeid *inbox, struct buf *out);

#endif
