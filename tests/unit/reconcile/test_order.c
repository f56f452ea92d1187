/* test_order.c - nothing is removed before what replaces it has come: rule O1 of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/order.h"

/* "0w 1a|2w|": item and part, and where what is on its way must arrive first; items of `fails` fail when they come. */
static void run(const struct order_item *items, size_t n, bool failed, const char *fails,
		char out[256], bool *may_delete)
{
	struct order o;
	enum order_part part;
	size_t i;

	out[0] = '\0';
	order_init(&o, items, n, failed);
	while (order_next(&o, &i, &part)) {
		size_t len = strlen(out);
		snprintf(out + len, 256 - len, "%zu%c ", i, part == ORDER_ADDITIONS ? 'a' : 'w');
		if (strchr(fails, (int)('0' + i)))
			order_failed(&o, i);
		if (order_must_wait(&o))
			out[strlen(out) - 1] = '|';
	}
	*may_delete = order_may_delete(&o);
}

static void what_comes_goes_before_what_goes(void **state UNUSED)
{
	static const struct {
		struct order_item items[5];
		bool failed;
		const char *fails, *order;
		bool may_delete;
	} rows[] = {
		/*  skip gains losses */
		{{{0, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 1, 1}, {1, 1, 1}},
		 false,
		 "",
		 "0w 1w|3w|2w|",
		 true},
		{{{0, 1, 1}, {0, 1, 1}, {0, 0, 1}, {0, 0, 0}, {0, 1, 0}},
		 false,
		 "",
		 "3w 4w|0a|1w|0w 2w|",
		 true},
		/* what gains failed: nothing is taken away any more, what gains still goes */
		{{{0, 1, 1}, {0, 1, 1}, {0, 0, 1}, {0, 0, 0}, {0, 1, 0}},
		 false,
		 "4",
		 "3w 4w|0a|1a|",
		 false},
		{{{0, 1, 1}, {0, 1, 1}, {0, 0, 1}, {0, 0, 0}, {0, 1, 0}},
		 true,
		 "",
		 "3w 4w|0a|1a|",
		 false},
		{{{0, 1, 1}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 0, 0}},
		 false,
		 "1",
		 "0a|1w|",
		 false},
		/* what gains nothing may fail alone */
		{{{0, 0, 0}, {0, 0, 1}, {0, 0, 1}, {0, 1, 0}, {1, 0, 0}},
		 false,
		 "01",
		 "0w 3w|1w 2w|",
		 true},
		/* its gains were there already */
		{{{0, 1, 1}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 0, 0}},
		 false,
		 "",
		 "0a|1w|0w 2w|",
		 true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char order[256];
		bool may_delete;
		run(rows[i].items, 5, rows[i].failed, rows[i].fails, order, &may_delete);
		assert_string_equal(order, rows[i].order);
		assert_int_equal(may_delete, rows[i].may_delete);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_comes_goes_before_what_goes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
