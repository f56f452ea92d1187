/* proctable.c - see proctable.h. */
#include "server/master/proctable.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

struct proc *proctable_add(struct proctable *t, pid_t pid, enum proc_kind kind, const char *name,
			   const char *path, int64_t now_ms)
{
	us_grow(&t->items, t->n, &t->cap, sizeof(*t->items));
	t->items[t->n] = (struct proc){.pid = pid,
				       .kind = kind,
				       .name = us_strdup(name),
				       .path = us_strdup(path),
				       .born_ms = now_ms};
	return &t->items[t->n++];
}

struct proc *proctable_find(const struct proctable *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->items[i].pid == pid)
			return &t->items[i];
	return NULL;
}

static void free_proc(struct proc *p)
{
	free(p->name);
	free(p->path);
}

void proctable_remove(struct proctable *t, pid_t pid)
{
	struct proc *p = proctable_find(t, pid);

	if (!p)
		return;
	free_proc(p);
	t->n--;
	memmove(p, p + 1, (size_t)(t->items + t->n - p) * sizeof(*p));
}

void proctable_free(struct proctable *t)
{
	for (size_t i = 0; i < t->n; i++)
		free_proc(&t->items[i]);
	free(t->items);
	*t = (struct proctable)PROCTABLE_INIT;
}

const char *proc_kind_name(enum proc_kind kind)
{
	static const char *const names[] = {
		[PROC_START] = "START", [PROC_SERVICE] = "SERVICE", [PROC_SURVIVOR] = "SERVICE",
		[PROC_EVENT] = "EVENT", [PROC_DAEMON] = "DAEMON",
	};

	return names[kind];
}
