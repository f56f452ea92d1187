/* ports.c - see ports.h. */
#include "server/master/ports.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/base/span.h"

/* As IANA has them, but for those the Cyrus documents ask operators to add. */
static const struct {
	const char *name;
	unsigned short port;
} known[] = {
	{"pop3", 110},     {"nntp", 119},   {"imap", 143},  {"nntps", 563},  {"imaps", 993},
	{"pop3s", 995},    {"kpop", 1109},  {"lmtp", 2003}, {"smmap", 2004}, {"csync", 2005},
	{"mupdate", 3905}, {"sieve", 4190}, {"fud", 4201},
};

static bool known_port(const char *name, unsigned short *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i].name, name) == 0) {
			*out = known[i].port;
			return true;
		}
	return false;
}

int ports_resolve(const char *name, const char *protocol, unsigned short *out, struct us_err *err)
{
	const struct servent *found;
	uint64_t number;

	if (span_u64(span_of(name), UINT16_MAX, &number)) {
		*out = (unsigned short)number;
		return 0;
	}
	found = getservbyname(name, protocol);
	if (found)
		*out = ntohs((uint16_t)found->s_port);
	else if (!known_port(name, out))
		return us_fail(err, US_EINVAL, "no port is called %s/%s", name, protocol);
	return 0;
}
