/* groups.h - the Unix groups of a user, as ACLs name them: "group:staff".
 *
 * To ask the name service for them costs more than all the rest of a login, and hardly an ACL names one: it is asked when the
 * first does.
 */
#ifndef US_SESSION_GROUPS_H
#define US_SESSION_GROUPS_H

#include <stddef.h>

struct groups;

/* Of that user id, which is copied; whether the system knows him by more than a line of its group file does not matter. */
struct groups *groups_new(const char *user);
void groups_free(struct groups **groups);
/* The names; ctx is a struct groups, or NULL: none. None, too, if the name service does not say. The first call blocks while
 * it is asked. They stay until groups_free(). */
const char *const *groups_names(void *ctx, size_t *n_out);
/* Let the name service load what it consists of: a process that will fork does so once, for all its children. */
void groups_warm_up(void);

#endif
