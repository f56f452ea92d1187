/* decide.c - what several decisions ask; see decide.h. */
#include "reconcile/decide.h"

#include <string.h>

#include "reconcile/wire_mailbox.h"

struct span decide_partition(const struct state_mailbox *local,
			     const struct decide_options *options)
{
	return options->partition.len ? options->partition : local->partition;
}

bool decide_is_entry(const struct state_mailbox *m)
{
	return wire_type_has(m->mboxtype, 'i');
}

bool decide_is_hidden(const struct state_mailbox *m, const struct decide_options *options)
{
	return !options->sieve_mailbox && wire_type_has(m->mboxtype, 'f');
}

static bool same_annotation(const struct state_annotation *a, const struct state_annotation *b)
{
	return span_eq(a->entry, b->entry) && span_eq(a->userid, b->userid) &&
	       span_eq(a->value, b->value);
}

static bool has_annotation(const struct state_annotation *list, size_t n,
			   const struct state_annotation *wanted)
{
	for (size_t i = 0; i < n; i++)
		if (same_annotation(&list[i], wanted))
			return true;
	return false;
}

/* Both come sorted as a rule: then one look at each is enough. Entry and user are unique, so with equal numbers one
 * direction is enough too. */
bool decide_same_annotations(const struct state_annotation *a, size_t n_a,
			     const struct state_annotation *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!same_annotation(&a[i], &b[i]) && !has_annotation(b, n_b, &a[i]))
			return false;
	return true;
}
