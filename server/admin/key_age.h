/* key_age.h - since which version of Cyrus a key of imapd.conf means what it means in 3.6: what an operator who comes from an
 * older one has to look at. Pure. */
#ifndef US_ADMIN_KEY_AGE_H
#define US_ADMIN_KEY_AGE_H

#include <stdbool.h>

struct cyrus_version {
	unsigned number[3];
};

/* "3", "3.6", "3.6.1"; what is missing is 0, what is behind the third is not looked at. False: it is no version. */
bool cyrus_version_parse(const char *text, struct cyrus_version *out);
int cyrus_version_cmp(const struct cyrus_version *a, const struct cyrus_version *b);

/* The version a key of Cyrus 3.6 came with, or was changed by last: "3.1.8". */
const char *key_age(const char *key);

#endif
