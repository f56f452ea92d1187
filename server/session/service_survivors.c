/* service_survivors.c - connections of an earlier parent of this service: they count against maxchild, but
 * they are master's children and not ours, so we have to look whether they are still there.
 *
 * A process that has another group than when we first looked is another one with the same number: each
 * parent leads a group, and its connections stay in it.
 */
#include "server/session/service_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/base/span.h"

void service_survivors_read(struct service_survivors *s, const char *list)
{
	struct span rest = span_of(list), word;
	uint64_t pid;

	*s = (struct service_survivors){NULL, 0, 0};
	while (span_split(&rest, ',', &word)) {
		pid_t group;

		if (!span_u64(word, INT32_MAX, &pid) || pid == 0)
			continue;
		group = getpgid((pid_t)pid);
		if (group < 0 || group == getpgrp())
			continue;
		us_grow(&s->items, s->n, &s->cap, sizeof(*s->items));
		s->items[s->n++] = (struct service_survivor){(pid_t)pid, group};
	}
}

void service_survivors_prune(struct service_survivors *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (getpgid(s->items[i].pid) == s->items[i].group)
			s->items[kept++] = s->items[i];
	s->n = kept;
}

void service_survivors_free(struct service_survivors *s)
{
	free(s->items);
	*s = (struct service_survivors){NULL, 0, 0};
}
