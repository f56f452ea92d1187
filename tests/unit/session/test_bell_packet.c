/* test_bell_packet.c - what idled and sessions say: what is written is read, and nothing else. */
#include "tests/unit/test.h"

#include <string.h>

#include "server/session/bell_packet.h"

static struct bell_packet watch(const char *partition)
{
	struct bell_packet p = {.word = BELL_WATCH, .partition = span_of(partition)};

	memset(p.id.byte, 0xa5, sizeof(p.id.byte));
	return p;
}

static void what_is_put_is_read(void **state UNUSED)
{
	unsigned char bytes[BELL_PACKET_MAX];
	struct bell_packet in = watch("default"), out;
	int len = bell_packet_put(&in, bytes, NULL);

	assert_int_equal(len, BELL_PACKET_WATCH + 7);
	assert_int_equal(bell_packet_parse(span_make(bytes, (size_t)len), &out, NULL), 0);
	assert_int_equal(out.word, BELL_WATCH);
	assert_memory_equal(&out.id, &in.id, sizeof(in.id));
	assert_true(span_eq(out.partition, in.partition));
	for (int word = BELL_HUNG; word <= BELL_REFUSED; word++) {
		in.word = (enum bell_word)word;
		len = bell_packet_put(&in, bytes, NULL);
		assert_int_equal(len, BELL_PACKET_WORD);
		assert_int_equal(bell_packet_parse(span_make(bytes, (size_t)len), &out, NULL), 0);
		assert_int_equal(out.word, word);
	}
}

/* Every packet cut short or one byte too long, and every first byte changed. */
static void anything_else_is_refused(void **state UNUSED)
{
	unsigned char bytes[BELL_PACKET_MAX + 1] = {0};
	struct bell_packet in = watch("d"), out = {.word = BELL_HUNG};
	size_t len = (size_t)bell_packet_put(&in, bytes, NULL);

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(bell_packet_parse(span_make(bytes, cut), &out, NULL), US_EPROTO);
	for (size_t i = 0; i < BELL_PACKET_WORD; i++) {
		bytes[i] ^= 0x40;
		assert_int_equal(bell_packet_parse(span_make(bytes, len), &out, NULL), US_EPROTO);
		bytes[i] ^= 0x40;
	}
	assert_int_equal(bell_packet_parse(span_make(bytes, len + 1), &out, NULL),
			 US_EPROTO); /* a NUL */
	in.word = BELL_RING;
	len = (size_t)bell_packet_put(&in, bytes, NULL);
	assert_int_equal(bell_packet_parse(span_make(bytes, len + 1), &out, NULL), US_EPROTO);
	assert_int_equal(out.word, BELL_HUNG); /* untouched on failure */
}

static void names_are_bounded(void **state UNUSED)
{
	char name[BELL_PARTITION + 2];
	unsigned char bytes[BELL_PACKET_MAX + 1];
	struct bell_packet in, out;

	memset(name, 'p', sizeof(name));
	name[BELL_PARTITION + 1] = '\0';
	in = watch(name);
	assert_int_equal(bell_packet_put(&in, bytes, NULL), US_ELIMIT);
	name[BELL_PARTITION] = '\0';
	in = watch(name);
	assert_int_equal(bell_packet_put(&in, bytes, NULL), BELL_PACKET_MAX);
	assert_int_equal(bell_packet_parse(span_make(bytes, BELL_PACKET_MAX), &out, NULL), 0);
	bytes[BELL_PACKET_MAX] = 'p';
	assert_int_equal(bell_packet_parse(span_make(bytes, sizeof(bytes)), &out, NULL), US_EPROTO);
	in = watch("");
	assert_int_equal(bell_packet_put(&in, bytes, NULL), US_ELIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_read),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(names_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
