/* order.c - see order.h. Rule O1 of doc/RECONCILE.md. */
#include "reconcile/order.h"

enum phase { LOSES_NOTHING, ADDITIONS, LAST_BOTH, LOSES, PHASES };

static bool has_both(const struct order_item *item)
{
	return !item->skip && item->gains && item->losses;
}

void order_init(struct order *o, const struct order_item *items, size_t n, bool failed)
{
	*o = (struct order){.items = items, .n = n, .last_both = n, .failed = failed};
	for (size_t i = 0; i < n; i++)
		if (has_both(&items[i]))
			o->last_both = i;
}

/* Once something failed, an item that would lose gives only what it gains. */
static bool is_due(const struct order *o, size_t i)
{
	const struct order_item *item = &o->items[i];

	if (item->skip)
		return false;
	switch ((enum phase)o->phase) {
	case LOSES_NOTHING:
		return !item->losses;
	case ADDITIONS:
		return has_both(item) && i != o->last_both;
	case LAST_BOTH:
		return i == o->last_both;
	default:
		return item->losses && i != o->last_both && !o->failed;
	}
}

bool order_next(struct order *o, size_t *item, enum order_part *part)
{
	for (; o->phase < PHASES; o->phase++, o->next = 0) {
		while (o->next < o->n) {
			size_t i = o->next++;
			if (!is_due(o, i))
				continue;
			*item = i;
			*part = o->phase == ADDITIONS || (o->phase == LAST_BOTH && o->failed)
					? ORDER_ADDITIONS
					: ORDER_WHOLE;
			return true;
		}
	}
	return false;
}

bool order_must_wait(const struct order *o)
{
	for (size_t i = o->next; i < o->n; i++)
		if (is_due(o, i))
			return false;
	return true;
}

/* What an item gains was there already when only its losses failed. */
void order_failed(struct order *o, size_t item)
{
	if (o->items[item].gains && o->phase != LOSES)
		o->failed = true;
}

bool order_may_delete(const struct order *o)
{
	return !o->failed;
}
