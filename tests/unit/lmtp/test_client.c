/* test_client.c - our side towards an LMTP server: its answers, the message on the wire, whole transactions. */
#include "tests/unit/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/stream.h"
#include "server/lmtp/answer.h"
#include "server/lmtp/client.h"
#include "server/lmtp/dots.h"

/* ---- answers ------------------------------------------------------------------------------------- */

static const struct {
	const char *line, *status, *text, *reason;
	unsigned code;
	bool more;
} answers[] = {
	{"250 2.1.5 ok", "2.1.5", "ok", "ok", 250, false},
	{"250-PIPELINING", NULL, "PIPELINING", "PIPELINING", 250, true},
	{"250", NULL, "", "refused with 250", 250, false},
	{"354 go ahead", NULL, "go ahead", "go ahead", 354, false},
	{"550-Mailbox unknown.", NULL, "Mailbox unknown.", "Mailbox unknown.", 550, true},
	{"550 5.1.1 User unknown", "5.1.1", "User unknown", "Mailbox does not exist", 550, false},
	{"550 5.7.1 No", "5.7.1", "No", "Permission denied", 550, false},
	{"551 5.1.1 Moved", "5.1.1", "Moved", "Moved", 551, false},
	{"452 4.2.2 Over quota SESSIONID=<a-1>", "4.2.2", "Over quota SESSIONID=<a-1>",
	 "Over quota", 452, false},
	{"554 5.6.0", "5.6.0", "", "refused with 554", 554, false},
	{"554 5.6.0x y", NULL, "5.6.0x y", "5.6.0x y", 554, false},
	{"554 5.6 y", NULL, "5.6 y", "5.6 y", 554, false},
	{"554 5.6.1234 y", NULL, "5.6.1234 y", "5.6.1234 y", 554, false},
	{"421 \033[1mbold", NULL, "\033[1mbold", "?[1mbold", 421, false},
};

static void answers_are_read(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct lmtp_answer a;
		struct buf reason = BUF_INIT;
		assert_int_equal(lmtp_answer_parse(span_of(answers[i].line), &a, NULL), 0);
		assert_int_equal(a.code, answers[i].code);
		assert_int_equal(a.more, answers[i].more);
		assert_int_equal(!a.status.ptr, !answers[i].status);
		if (answers[i].status)
			assert_span(a.status, answers[i].status);
		assert_span(a.text, answers[i].text);
		lmtp_answer_reason(&a, &reason);
		assert_span(buf_span(&reason), answers[i].reason);
		buf_free(&reason);
	}
}

static void what_is_no_answer(void **state UNUSED)
{
	static const char *const bad[] = {"",     "25",   "* OK",    "199 x", "600 x", "2500 x",
					  "250x", "-25 ", "250\tok", " 250",  "0250 x"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct lmtp_answer a = {.code = 7};
		assert_int_equal(lmtp_answer_parse(span_of(bad[i]), &a, NULL), US_EPROTO);
		assert_int_equal(a.code, 7);
	}
}

/* ---- the message on the wire ------------------------------------------------------------------------ */

static void stuff(struct span text, size_t size, struct buf *out)
{
	enum dots_source state = DOTS_SOURCE_START;

	while (text.len) {
		size_t n = size && size < text.len ? size : text.len;
		dots_stuff(&state, span_make(text.ptr, n), out);
		text = span_from(text, n);
	}
	dots_stuff_end(&state, out);
}

static const struct {
	const char *text, *wire;
} stuffing[] = {
	{"", ".\r\n"},
	{"a\n", "a\r\n.\r\n"},
	{"a", "a\r\n.\r\n"},
	{"a\r\nb\n", "a\r\nb\r\n.\r\n"},
	{".\n", "..\r\n.\r\n"},
	{"..a\nb.c\n.", "...a\r\nb.c\r\n..\r\n.\r\n"},
	{"\n\n", "\r\n\r\n.\r\n"},
	/* a CR that ends no line goes, and does not hide a dot */
	{"a\rb\r\r\nc\r", "ab\r\nc\r\n.\r\n"},
	{"\r.\n", "..\r\n.\r\n"},
	{"\r", ".\r\n"},
	{"a\n\r.\r\n", "a\r\n..\r\n.\r\n"},
};

static void text_is_stuffed_in_any_pieces(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(stuffing); i++)
		for (size_t size = 0; size < 4; size++) {
			struct buf out = BUF_INIT;
			stuff(span_of(stuffing[i].text), size, &out);
			assert_span(buf_span(&out), stuffing[i].wire);
			buf_free(&out);
		}
}

/* What is stuffed and undone again is the text with whole line ends. */
static void stuffing_is_undone(void **state UNUSED)
{
	static const char text[] = ".a\r\n..\r\n\r\nb.\r\n.\r\n";
	struct buf wire = BUF_INIT, back = BUF_INIT;
	struct dots d = DOTS_INIT;

	stuff(span_of(text), 0, &wire);
	assert_int_equal(dots_feed(&d, buf_span(&wire), &back), wire.len);
	assert_true(d.done);
	assert_span(buf_span(&back), text);
	buf_free(&wire);
	buf_free(&back);
}

/* ---- transactions ------------------------------------------------------------------------------------ */

/* A server that has said all it will say. */
struct server {
	struct stream *ends[2];
	struct lmtp_client client;
	int message;
};

#define GREETING \
	"220 x\r\n250-x\r\n250-PIPELINING\r\n250-AUTH EXTERNAL\r\n250-IGNOREQUOTA\r\n250 ok\r\n"
#define BARE "220 x\r\n250 x\r\n"

static void start(struct server *s, const char *greeting, const char *answer, const char *message)
{
	stream_pipe(s->ends, NULL);
	stream_write_str(s->ends[1], greeting);
	stream_write_str(s->ends[1], answer);
	assert_int_equal(stream_flush(s->ends[1], NULL), 0);
	s->message = memfd_create("message", 0);
	assert_int_equal(write(s->message, message, strlen(message)), (ssize_t)strlen(message));
	assert_int_equal(lseek(s->message, 0, SEEK_SET), 0);
	assert_int_equal(lmtp_client_greet(&s->client, s->ends[0], "me", NULL), 0);
}

/* End it; what the client said must be this. */
static void finish(struct server *s, const char *said)
{
	struct buf got = BUF_INIT;
	struct span piece;

	(void)stream_flush(s->ends[0], NULL);
	stream_free(&s->ends[0]);
	while (stream_peek(s->ends[1], &piece, NULL) > 0) {
		buf_add_span(&got, piece);
		stream_take(s->ends[1], piece.len);
	}
	assert_span(buf_span(&got), said);
	buf_free(&got);
	stream_free(&s->ends[1]);
	close(s->message);
}

static void each_recipient_has_his_outcome(void **state UNUSED)
{
	struct lmtp_addressee to[] = {{.address = "a"},
				      {.address = "b", .ignore_quota = true},
				      {.address = "c"},
				      {.address = "d\r\nDATA"},
				      {.address = "e"}};
	struct lmtp_parcel p = {"me@x", "ann+b c", to, ARRAY_SIZE(to), -1};
	struct server s;

	start(&s, GREETING,
	      "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n452 4.2.2 Over quota\r\n250 ok\r\n354 go\r\n250 "
	      "2.1.5 ok\r\n"
	      "451 4.3.0 later\r\n",
	      ".x\n");
	p.message = s.message;
	assert_int_equal(lmtp_client_send(&s.client, &p, NULL), 0);
	assert_int_equal(to[0].outcome, LMTP_OUTCOME_DELIVERED);
	assert_int_equal(to[1].outcome, LMTP_OUTCOME_NEVER);
	assert_string_equal(to[1].reason, "Mailbox does not exist");
	assert_int_equal(to[2].outcome, LMTP_OUTCOME_LATER);
	assert_string_equal(to[2].reason, "Over quota");
	assert_int_equal(to[3].outcome, LMTP_OUTCOME_NEVER);
	assert_string_equal(to[3].reason, "Bad protocol");
	assert_int_equal(to[4].outcome, LMTP_OUTCOME_LATER);
	assert_string_equal(to[4].reason, "later");
	lmtp_client_quit(&s.client);
	finish(&s, "LHLO me\r\nMAIL FROM:<me@x> AUTH=ann+2Bb+20c\r\nRCPT TO:<a>\r\n"
		   "RCPT TO:<b> IGNOREQUOTA\r\nRCPT TO:<c>\r\nRCPT "
		   "TO:<e>\r\nDATA\r\n..x\r\n.\r\nQUIT\r\n");
}

static void what_is_not_offered_is_not_asked_for(void **state UNUSED)
{
	struct lmtp_addressee to[] = {{.address = "a", .ignore_quota = true}};
	struct lmtp_parcel p = {"<>", "ann", to, 1, -1};
	struct server s;

	start(&s, BARE, "250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", "x");
	p.message = s.message;
	assert_int_equal(lmtp_client_send(&s.client, &p, NULL), 0);
	assert_int_equal(to[0].outcome, LMTP_OUTCOME_DELIVERED);
	finish(&s, "LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\nx\r\n.\r\n");
}

static void nobody_is_left_and_no_message_goes(void **state UNUSED)
{
	struct lmtp_addressee to[] = {{.address = "a"}, {.address = "b"}};
	struct lmtp_parcel p = {"", NULL, to, 2, -1};
	struct server s;

	start(&s, GREETING, "250 ok\r\n550 5.7.1 no\r\n550 5.1.1 no\r\n250 reset\r\n", "x");
	p.message = s.message;
	assert_int_equal(lmtp_client_send(&s.client, &p, NULL), 0);
	assert_int_equal(to[0].outcome, LMTP_OUTCOME_NEVER);
	assert_int_equal(to[1].outcome, LMTP_OUTCOME_NEVER);
	assert_int_equal(lseek(s.message, 0, SEEK_CUR), 0); /* nobody read it */
	finish(&s, "LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nRSET\r\n");
}

static void a_refused_sender_is_everybodys_outcome(void **state UNUSED)
{
	struct lmtp_addressee to[] = {{.address = "a"}, {.address = "b"}};
	struct lmtp_parcel p = {"x y", NULL, to, 2, -1};
	struct server s;

	start(&s, GREETING, "501 5.5.4 bad\r\n250 reset\r\n", "x");
	p.message = s.message;
	assert_int_equal(lmtp_client_send(&s.client, &p, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(to[i].outcome, LMTP_OUTCOME_NEVER);
		assert_string_equal(to[i].reason, "bad");
	}
	finish(&s, "LHLO me\r\nMAIL FROM:<x y>\r\nRSET\r\n");
}

static void a_lost_connection_leaves_the_rest_open(void **state UNUSED)
{
	struct lmtp_addressee to[] = {{.address = "a"}, {.address = "b"}};
	struct lmtp_parcel p = {"", NULL, to, 2, -1};
	struct server s;
	struct us_err err = US_ERR_INIT;

	start(&s, GREETING, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", "x");
	p.message = s.message;
	stream_free(&s.ends[1]);
	assert_int_equal(lmtp_client_send(&s.client, &p, &err), US_ECLOSED);
	assert_int_equal(to[0].outcome, LMTP_OUTCOME_DELIVERED);
	assert_int_equal(to[1].outcome, LMTP_OUTCOME_NONE);
	stream_free(&s.ends[0]);
	close(s.message);
}

/* Half a message must not look like a whole one. */
static void a_message_that_cannot_be_read_is_not_ended(void **state UNUSED)
{
	struct lmtp_addressee to[] = {{.address = "a"}};
	struct lmtp_parcel p = {"", NULL, to, 1, -1};
	struct server s;
	struct us_err err = US_ERR_INIT;

	start(&s, GREETING, "250 ok\r\n250 ok\r\n354 go\r\n", "");
	assert_int_equal(lmtp_client_send(&s.client, &p, &err), US_EIO);
	assert_int_equal(to[0].outcome, LMTP_OUTCOME_NONE);
	finish(&s, "LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n");
}

static void a_server_that_does_not_want_us(void **state UNUSED)
{
	static const struct {
		const char *says;
		int code;
	} rows[] = {{"421 4.3.2 closed\r\n", US_EREMOTE},
		    {"* OK IMAP\r\n", US_EPROTO},
		    {"220 x\r\n500 what\r\n", US_EREMOTE}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lmtp_client client;
		struct stream *ends[2];
		stream_pipe(ends, NULL);
		stream_write_str(ends[1], rows[i].says);
		(void)stream_flush(ends[1], NULL);
		assert_int_equal(lmtp_client_greet(&client, ends[0], "me", NULL), rows[i].code);
		stream_free(&ends[0]);
		stream_free(&ends[1]);
	}
}

/* More recipients than may be on their way at once: nothing is lost or confused. */
static void many_recipients(void **state UNUSED)
{
	struct lmtp_addressee to[130];
	struct lmtp_parcel p = {"", NULL, to, ARRAY_SIZE(to), -1};
	struct buf answers_text = BUF_INIT;
	struct server s;

	buf_add_str(&answers_text, "250 ok\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		to[i] = (struct lmtp_addressee){.address = "u"};
		buf_add_str(&answers_text, i % 3 ? "250 ok\r\n" : "550 5.1.1 no\r\n");
	}
	buf_add_str(&answers_text, "354 go\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(to); i++)
		if (i % 3)
			buf_add_str(&answers_text, "250 ok\r\n");
	start(&s, GREETING, answers_text.data, "x");
	p.message = s.message;
	assert_int_equal(lmtp_client_send(&s.client, &p, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(to); i++)
		assert_int_equal(to[i].outcome,
				 i % 3 ? LMTP_OUTCOME_DELIVERED : LMTP_OUTCOME_NEVER);
	stream_free(&s.ends[0]);
	stream_free(&s.ends[1]);
	close(s.message);
	buf_free(&answers_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(what_is_no_answer),
		cmocka_unit_test(text_is_stuffed_in_any_pieces),
		cmocka_unit_test(stuffing_is_undone),
		cmocka_unit_test(each_recipient_has_his_outcome),
		cmocka_unit_test(what_is_not_offered_is_not_asked_for),
		cmocka_unit_test(nobody_is_left_and_no_message_goes),
		cmocka_unit_test(a_refused_sender_is_everybodys_outcome),
		cmocka_unit_test(a_lost_connection_leaves_the_rest_open),
		cmocka_unit_test(a_message_that_cannot_be_read_is_not_ended),
		cmocka_unit_test(a_server_that_does_not_want_us),
		cmocka_unit_test(many_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
