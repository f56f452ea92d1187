/* boxes.c - see boxes.h. */
#include "server/lmtp/boxes.h"

#include <string.h>

#include "server/base/err.h"
#include "server/store/mailbox.h"

static struct mailbox *take_at(struct boxes *b, size_t i)
{
	struct mailbox *m = b->kept[i];

	b->n--;
	memmove(&b->kept[i], &b->kept[i + 1], (b->n - i) * sizeof(b->kept[0]));
	return m;
}

struct mailbox *boxes_take(struct boxes *b, struct span name)
{
	for (size_t i = 0; i < b->n; i++)
		if (span_eq(buf_span(&b->kept[i]->name), name))
			return take_at(b, i);
	return NULL;
}

void boxes_give(struct boxes *b, struct mailbox *m)
{
	if (!m)
		return;
	us_assert(!m->locked);
	if (b->n == BOXES_MOST) {
		struct mailbox *oldest = take_at(b, b->n - 1);
		mailbox_close(&oldest);
	}
	memmove(&b->kept[1], &b->kept[0], b->n * sizeof(b->kept[0]));
	b->kept[0] = m;
	b->n++;
}

void boxes_close(struct boxes *b)
{
	while (b->n) {
		struct mailbox *m = take_at(b, b->n - 1);
		mailbox_close(&m);
	}
}
