/* seqmap.c - see seqmap.h. */
#include "server/imap/seqmap.h"

#include <stdlib.h>

#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/imap/uidset.h"

void seqmap_free(struct seqmap *map)
{
	free(map->run);
	*map = (struct seqmap){NULL, 0, 0, 0};
}

uint32_t seqmap_run_length(const struct seqmap *map, size_t i)
{
	uint32_t next = i + 1 < map->n ? map->run[i + 1].seq : map->count + 1;

	return next - map->run[i].seq;
}

uint32_t seqmap_last_uid(const struct seqmap *map)
{
	return map->n ? map->run[map->n - 1].uid + seqmap_run_length(map, map->n - 1) - 1 : 0;
}

/* Add `length` messages from uid on behind all others. */
static void append_run(struct seqmap *map, uint32_t uid, uint32_t length)
{
	if (!map->n || seqmap_last_uid(map) + 1 != uid) {
		us_grow(&map->run, map->n, &map->cap, sizeof(map->run[0]));
		map->run[map->n++] = (struct seqmap_run){uid, map->count + 1};
	}
	map->count += length;
}

void seqmap_append(struct seqmap *map, uint32_t uid)
{
	us_assert(uid > seqmap_last_uid(map));
	append_run(map, uid, 1);
}

/* Index of the last run that begins at or below uid; n: none. */
static size_t find_uid(const struct seqmap *map, uint32_t uid)
{
	size_t low = 0, high = map->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->run[middle].uid <= uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : map->n;
}

static size_t find_seq(const struct seqmap *map, uint32_t seq)
{
	size_t low = 0, high = map->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->run[middle].seq <= seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

uint32_t seqmap_uid(const struct seqmap *map, uint32_t seq)
{
	size_t i;

	if (!seq || seq > map->count)
		return 0;
	i = find_seq(map, seq);
	return map->run[i].uid + (seq - map->run[i].seq);
}

uint32_t seqmap_rank(const struct seqmap *map, uint32_t uid)
{
	size_t i = find_uid(map, uid);
	uint32_t length;

	if (i == map->n)
		return 0;
	length = seqmap_run_length(map, i);
	if (uid - map->run[i].uid < length)
		length = uid - map->run[i].uid + 1;
	return map->run[i].seq - 1 + length;
}

uint32_t seqmap_seq(const struct seqmap *map, uint32_t uid)
{
	size_t i = find_uid(map, uid);

	if (i == map->n || uid - map->run[i].uid >= seqmap_run_length(map, i))
		return 0;
	return map->run[i].seq + (uid - map->run[i].uid);
}

/* One pass over the runs: what is left of each goes into a new map. */
void seqmap_remove(struct seqmap *map, const struct uidset *gone)
{
	struct seqmap left = {NULL, 0, 0, 0};

	for (size_t i = 0; i < map->n; i++) {
		uint32_t length = seqmap_run_length(map, i);
		uint64_t at = map->run[i].uid, end = at + length;

		while (at < end) {
			uint32_t hole = uidset_next(gone, (uint32_t)at);
			uint64_t stop = hole && hole < end ? hole : end;

			if (stop > at)
				append_run(&left, (uint32_t)at, (uint32_t)(stop - at));
			at = stop;
			while (at < end && uidset_has(gone, (uint32_t)at))
				at++;
		}
	}
	free(map->run);
	*map = left;
}
