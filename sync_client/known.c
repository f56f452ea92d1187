/* known.c - a hash table of headers, each as the line the replica would tell it with; see known.h. */
#include "sync_client/known.h"

#include <stdlib.h>
#include <string.h>

#include "reconcile/wire.h"
#include "server/base/mem.h"

struct entry {
	char *uniqueid; /* NULL: a free place */
	char *line;     /* NULL: not known any more */
	size_t len;
	uint64_t when; /* counts notes: which are the oldest? */
};

struct known {
	struct entry *slots; /* open addressing */
	size_t n_slots, n, most;
	uint64_t clock;
};

struct known *known_new(size_t most)
{
	struct known *k = us_calloc(1, sizeof(*k));

	k->most = most;
	k->n_slots = 64;
	while (k->n_slots < 2 * most)
		k->n_slots *= 2;
	k->slots = us_calloc(k->n_slots, sizeof(k->slots[0]));
	return k;
}

static void drop(struct entry *e)
{
	free(e->uniqueid);
	free(e->line);
	*e = (struct entry){.uniqueid = NULL};
}

void known_free(struct known **kp)
{
	struct known *k = *kp;

	if (!k)
		return;
	for (size_t i = 0; i < k->n_slots; i++)
		drop(&k->slots[i]);
	free(k->slots);
	free(k);
	*kp = NULL;
}

/* Where that uniqueid is, or the free place it would have. */
static size_t slot_of(const struct known *k, struct span uniqueid)
{
	size_t i = us_crc32c(0, uniqueid.ptr, uniqueid.len) & (k->n_slots - 1);

	while (k->slots[i].uniqueid && !span_is(uniqueid, k->slots[i].uniqueid))
		i = (i + 1) & (k->n_slots - 1);
	return i;
}

/* ---- too many --------------------------------------------------------------------------------------- */

static int compare_clocks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t middle_clock(const struct known *k)
{
	uint64_t *clocks = us_calloc(k->n, sizeof(*clocks)), middle;
	size_t n = 0;

	for (size_t i = 0; i < k->n_slots; i++)
		if (k->slots[i].uniqueid)
			clocks[n++] = k->slots[i].when;
	qsort(clocks, n, sizeof(*clocks), compare_clocks);
	middle = clocks[n / 2];
	free(clocks);
	return middle;
}

/* The table is built anew without the older half. */
static void drop_older_half(struct known *k)
{
	uint64_t middle = middle_clock(k);
	struct entry *old = k->slots;

	k->slots = us_calloc(k->n_slots, sizeof(k->slots[0]));
	k->n = 0;
	for (size_t i = 0; i < k->n_slots; i++) {
		if (!old[i].uniqueid)
			continue;
		if (old[i].when < middle) {
			drop(&old[i]);
		} else {
			k->slots[slot_of(k, span_of(old[i].uniqueid))] = old[i];
			k->n++;
		}
	}
	free(old);
}

/* ---- one of them ------------------------------------------------------------------------------------ */

void known_note(struct known *k, const struct state_mailbox *m)
{
	struct buf line = BUF_INIT;
	struct dlist_writer w = dlist_writer(&line, false);
	struct entry *e = &k->slots[slot_of(k, m->uniqueid)];

	if (!e->uniqueid) {
		if (k->n >= k->most)
			drop_older_half(k);
		e = &k->slots[slot_of(k, m->uniqueid)];
		e->uniqueid = span_dup(m->uniqueid);
		k->n++;
	}
	wire_begin_item(&w, WIRE_ITEM_MAILBOX);
	wire_put_mailbox(&w, m, WIRE_REPLY);
	wire_end_item(&w);
	free(e->line);
	e->line = buf_steal(&line, &e->len);
	e->when = ++k->clock;
}

void known_forget(struct known *k, struct span uniqueid)
{
	struct entry *e = &k->slots[slot_of(k, uniqueid)];

	free(e->line);
	e->line = NULL;
}

bool known_find(const struct known *k, struct span uniqueid, struct pool *pool,
		struct state_mailbox *out)
{
	const struct entry *e = &k->slots[slot_of(k, uniqueid)];
	struct span rest = span_make(e->line, e->line ? e->len : 0);
	struct dlist_lexer lx;
	struct wire_item item;
	int rc;

	if (!e->line)
		return false;
	dlist_lexer_init(&lx, dlist_source_span(&rest), NULL);
	rc = wire_read_item(&lx, pool, NULL, NULL, &item, NULL);
	dlist_lexer_fini(&lx);
	if (rc == 0)
		*out = item.u.mailbox.state;
	return rc == 0;
}
