/* cyrusconf_listen.c - the value of `listen`; see cyrusconf.h.
 *
 * As in Cyrus the last colon parts host and port, so that an IPv6 address can do without brackets.
 */
#include "server/base/cyrusconf.h"

#include <string.h>
#include <sys/un.h>

#include "server/base/pool.h"

static int parse_path(const char *text, struct pool *pool, struct cyrusconf_listen *out,
		      struct us_err *err)
{
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (strlen(text) > most)
		return us_fail(err, US_ECONFIG,
			       "the path of a socket cannot be longer than %zu bytes", most);
	*out = (struct cyrusconf_listen){.path = pool_strdup(pool, text)};
	return 0;
}

/* False: no port can be called so. Whether there is one of that name is for getaddrinfo(3) to say. */
static bool check_port(const char *port)
{
	struct span text = span_of(port);
	uint64_t number;

	if (!text.len || strspn(port, "0123456789") != text.len)
		return text.len && strspn(port, "0123456789abcdefghijklmnopqrstuvwxyz"
						"ABCDEFGHIJKLMNOPQRSTUVWXYZ+-._") == text.len;
	return span_u64(text, 65535, &number);
}

static int parse_host_port(struct span host, const char *port, struct pool *pool,
			   struct cyrusconf_listen *out, struct us_err *err)
{
	if (!*port)
		return us_fail(err, US_ECONFIG, "no port is given");
	if (!check_port(port))
		return us_fail(err, US_ECONFIG, "\"%s\" is not a port", port);
	*out = (struct cyrusconf_listen){
		.host = host.len ? pool_strndup(pool, host.ptr, host.len) : NULL,
		.port = pool_strdup(pool, port),
	};
	return 0;
}

static int parse_bracketed(const char *text, struct pool *pool, struct cyrusconf_listen *out,
			   struct us_err *err)
{
	const char *end = strrchr(text, ']');

	if (!end)
		return us_fail(err, US_ECONFIG, "a bracket is not closed");
	if (end == text + 1)
		return us_fail(err, US_ECONFIG, "no address is in the brackets");
	if (end[1] && end[1] != ':')
		return us_fail(err, US_ECONFIG, "no colon behind the brackets");
	return parse_host_port(span_make(text + 1, (size_t)(end - text) - 1), end[1] ? end + 2 : "",
			       pool, out, err);
}

int cyrusconf_listen_parse(const char *text, struct pool *pool, struct cyrusconf_listen *out,
			   struct us_err *err)
{
	const char *colon = strrchr(text, ':');

	if (*text == '/')
		return parse_path(text, pool, out, err);
	if (*text == '[')
		return parse_bracketed(text, pool, out, err);
	if (!colon)
		return parse_host_port(SPAN_NULL, text, pool, out, err);
	return parse_host_port(span_make(text, (size_t)(colon - text)), colon + 1, pool, out, err);
}
