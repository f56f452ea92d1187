/* test_message_args.c - what STORE, COPY, EXPUNGE and APPEND say, and what they may not. FETCH and SEARCH have tests of
 * their own. */
#include "tests/unit/test.h"

#include "server/imap/append_private.h"
#include "server/imap/commands.h"
#include "server/imap/token.h"
#include "server/store/state.h"

struct args_case {
	const char *in;    /* behind the tag; of APPEND up to the message's announcement */
	const char *wrong; /* behind BAD; NULL: it is well */
};

/* `streamed`: what stands behind the words announces the message, {5}. */
static int parse_text(const char *in, bool uid, bool streamed, const char *behind,
		      struct pool *pool, void **args, struct us_err *err)
{
	struct framer_streamed at = {strlen(in), 5};
	struct frame frame = {.streamed = &at};
	char *text = pool_printf(pool, "%s%s%s", in, streamed ? "{5}\r\n" : "", behind);
	struct parse p = {.s = scan_init(span_of(text)), .pool = pool, .frame = &frame, .uid = uid};

	if (streamed)
		frame.n_streamed = 1;
	p.command = command_find(token_atom(&p.s));
	assert_non_null(p.command);
	return p.command->parse(&p, args, err);
}

static void check(const struct args_case *c, bool uid, bool streamed, const char *behind)
{
	struct pool *pool = pool_new();
	struct us_err err = US_ERR_INIT;
	void *args = NULL;
	int rc = parse_text(c->in, uid, streamed, behind, pool, &args, &err);

	if (!c->wrong && rc < 0)
		fail_msg("%s: %s", c->in, err.text);
	if (c->wrong && (rc != US_EPROTO || strcmp(err.text, c->wrong) != 0))
		fail_msg("%s: %d %s, not %s", c->in, rc, err.text, c->wrong);
	assert_int_equal(args != NULL, !c->wrong);
	pool_free(&pool);
}

static void arguments_are_judged(void **state UNUSED)
{
	static const struct args_case cases[] = {
		{"STORE 1 FLAGS (\\Seen)", NULL},
		{"STORE 1 +FLAGS (\\seen a $b)", NULL},
		{"STORE 1:* -flags.silent ()", NULL},
		{"STORE 1 FLAGS \\Seen", NULL},
		{"STORE 1 FLAGS a b \\Deleted", NULL},
		{"STORE 1 (UNCHANGEDSINCE 12) +FLAGS (a)", NULL},
		{"STORE 1 (unchangedsince 0) FLAGS.SILENT a b", NULL},
		{"STORE 1 () FLAGS (a)", "Invalid Store modifier "},
		{"STORE 1 (BOGUS 1) FLAGS (a)", "Invalid Store modifier BOGUS"},
		{"STORE 1 (UNCHANGEDSINCE) FLAGS (a)",
		 "Missing required argument to Store UNCHANGEDSINCE"},
		{"STORE 1 (UNCHANGEDSINCE x) FLAGS (a)",
		 "Invalid argument to Store UNCHANGEDSINCE"},
		{"STORE 1 (UNCHANGEDSINCE 1", "Missing required argument to Store"},
		{"STORE 1 (UNCHANGEDSINCE 1) ", "Invalid Store attribute"},
		{"STORE", "Missing required argument to Store"},
		{"STORE 1", "Missing required argument to Store"},
		{"STORE 1 FLAGS", "Missing required argument to Store"},
		{"STORE x FLAGS (a)", "Invalid sequence in Store"},
		{"STORE 0 FLAGS (a)", "Invalid sequence in Store"},
		{"STORE 1 BOGUS (a)", "Invalid Store attribute"},
		{"STORE 1 ++FLAGS (a)", "Invalid Store attribute"},
		{"STORE 1 FLAGS.LOUD (a)", "Invalid Store attribute"},
		{"STORE 1 FLAGS (\\Recent)", "Invalid system flag in Store command"},
		{"STORE 1 FLAGS (\\Bogus)", "Invalid system flag in Store command"},
		{"STORE 1 FLAGS (a{b)", "Invalid flag name in Store command"},
		{"STORE 1 FLAGS (\"a\")", "Invalid flag name in Store command"},
		{"STORE 1 FLAGS ( a)", "Invalid flag name in Store command"},
		{"STORE 1 FLAGS (a", "Invalid flag name in Store command"},
		{"STORE 1 FLAGS a  b", "Invalid flag name in Store command"},
		{"STORE 1 FLAGS (a) x", "Unexpected extra arguments to Store"},
		{"STORE 1 ANNOTATION (/comment (value.priv \"x\" value.shared NIL) /a/b "
		 "(value.priv {1}\r\ny))",
		 NULL},
		{"STORE 1 (UNCHANGEDSINCE 12) annotation (/comment (VALUE.PRIV \"x\"))", NULL},
		{"STORE 1 ANNOTATION", "Missing required argument to Store"},
		{"STORE 1 ANNOTATION x", "Missing annotation entry"},
		{"STORE 1 ANNOTATION ()", "Missing annotation entry"},
		{"STORE 1 ANNOTATION (/a)", "Missing annotation attribute-values list"},
		{"STORE 1 ANNOTATION (/a \"x\")", "Missing annotation attribute-values list"},
		{"STORE 1 ANNOTATION (a (value.priv \"x\"))", "Invalid annotation entry"},
		{"STORE 1 ANNOTATION (/ (value.priv \"x\"))", "Invalid annotation entry"},
		{"STORE 1 ANNOTATION (/a//b (value.priv \"x\"))", "Invalid annotation entry"},
		{"STORE 1 ANNOTATION (\"/a*\" (value.priv \"x\"))", "Invalid annotation entry"},
		{"STORE 1 ANNOTATION (/a (value \"x\"))", "Invalid annotation attribute"},
		{"STORE 1 ANNOTATION (/a (value.priv))", "Missing annotation value"},
		{"STORE 1 ANNOTATION (/a (value.priv x))", "Missing annotation value"},
		{"STORE 1 ANNOTATION (/a (value.priv \"x\")", "Missing annotation entry"},
		{"STORE 1 ANNOTATION (/a (value.priv \"x\")) y",
		 "Unexpected extra arguments to Store"},
		{"STORE 1 +ANNOTATION (/a (value.priv \"x\"))", "Invalid Store attribute"},
		{"STORE 1 FLAGS.SILENT ANNOTATION (/a (value.priv \"x\"))",
		 "Invalid flag name in Store command"},
		{"FETCH 1 ANNOTATION (/comment value)", NULL},
		{"FETCH 1 (UID ANNOTATION ((/a* /%/b) (value size.priv SIZE.SHARED)) FLAGS)", NULL},
		{"FETCH 1 ANNOTATION", "invalid Annotation"},
		{"FETCH 1 (ANNOTATION ())", "Missing annotation entry"},
		{"FETCH 1 (ANNOTATION (/a))", "Missing annotation attribute(s)"},
		{"FETCH 1 (ANNOTATION (/a ()))", "Missing annotation attribute(s)"},
		{"FETCH 1 (ANNOTATION (/a foo))", "Invalid annotation attribute"},
		{"FETCH 1 (ANNOTATION (/a value) ANNOTATION (/b value))",
		 "ANNOTATION twice in one Fetch"},
		{"SEARCH ANNOTATION /a* value.priv \"x\"", NULL},
		{"SEARCH NOT (ANNOTATION /a value x SEEN)", NULL},
		{"SEARCH ANNOTATION /a size x", "Invalid Search criteria"},
		{"SEARCH ANNOTATION /a value", "Invalid Search criteria"},
		{"COPY 1:2,7 INBOX", NULL},
		{"COPY * {1+}\r\na", NULL},
		{"COPY", "Missing required argument to Copy"},
		{"COPY 1", "Missing required argument to Copy"},
		{"COPY x a", "Invalid sequence in Copy"},
		{"COPY $ a", NULL},
		{"COPY $,1 a", "Missing required argument to Copy"},
		{"MOVE 1:2,7 INBOX", NULL},
		{"MOVE $ INBOX", NULL},
		{"MOVE 1", "Missing required argument to Move"},
		{"MOVE 1:$ a", "Invalid sequence in Move"},
		{"COPY 1 a b", "Unexpected extra arguments to Copy"},
		{"EXPUNGE", NULL},
		{"EXPUNGE 1", "Unexpected extra arguments to Expunge"},
		{"APPEND", "Missing required argument to Append"},
		{"APPEND a", "Missing required argument to Append"},
		{"APPEND a ", "Missing required argument to Append command"},
		{"APPEND a (\\Seen)", "Missing space after flag list in Append command"},
		{"APPEND a (\\Seen) ", "Missing required argument to Append command"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i], false, false, "");
}

static void uid_expunge_has_a_set(void **state UNUSED)
{
	static const struct args_case cases[] = {
		{"EXPUNGE 1:7", NULL},
		{"EXPUNGE", "Missing required argument to Expunge"},
		{"EXPUNGE x", "Invalid sequence in Expunge"},
		{"EXPUNGE 1 2", "Unexpected extra arguments to Expunge"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i], true, false, "");
}

static void a_message_is_appended_behind_its_words(void **state UNUSED)
{
	static const struct args_case cases[] = {
		{"APPEND a ", NULL},
		{"APPEND \"a b\" () ", NULL},
		{"APPEND a (\\Seen x) ", NULL},
		{"APPEND a (\\Seen x) \" 3-Nov-2026 01:02:03 +0100\" ", NULL},
		{"APPEND a \"03-Nov-2026 01:02:03 +0100\" ", NULL},
		{"APPEND {1}\r\na ", NULL},
		{"APPEND  a ", "Missing required argument to Append"},
		{"APPEND a (\\Recent) ", "Invalid flag in Append command"},
		{"APPEND a (\\Bogus) ", "Invalid flag in Append command"},
		{"APPEND a (x{) ", "Invalid flag in Append command"},
		{"APPEND a \\Seen ", "Missing required argument to Append command"},
		{"APPEND a \"bogus\" ", "Invalid date-time in Append command"},
		{"APPEND a \" 3-Nov-2026\" ", "Invalid date-time in Append command"},
		{"APPEND a \"03-Nov-2026 01:02:03 +0100\"", "Invalid date-time in Append command"},
		{"APPEND a \"03-Nov-2026 01:02:03 +0100\" () ",
		 "Missing required argument to Append command"},
		{"APPEND a x ", "Missing required argument to Append command"},
	};
	static const struct args_case junk = {"APPEND a ",
					      "Missing required argument to Append command"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i], false, true, "");
	check(&junk, false, true, " ");
	check(&junk, false, true, " x");
}

static void the_words_of_append_are_taken(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct scan s = scan_init(
		SPAN_LIT(" INBOX (\\Flagged x \\SEEN y) \"23-Nov-2026 01:02:03 +0100\" "));
	struct append_message message;
	struct span mailbox;
	struct us_err err;

	assert_int_equal(append_parse_mailbox(&s, pool, &mailbox, &err), 1);
	assert_int_equal(append_parse_message(&s, pool, &message, &err), 1);
	assert_true(scan_ok_at_end(&s));
	assert_span(mailbox, "INBOX");
	assert_int_equal(message.system, FLAG_FLAGGED | FLAG_SEEN);
	assert_int_equal(message.n_keywords, 2);
	assert_span(message.keyword[1], "y");
	assert_true(message.has_date);
	assert_int_equal(message.date.time, 1795392123);
	pool_free(&pool);
}

static void annotations_stand_before_the_message(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct scan s =
		scan_init(SPAN_LIT("(x) ANNOTATION (/A (value.priv \"b\" value.shared NIL)) "));
	struct append_message message;
	struct us_err err;

	assert_int_equal(append_parse_message(&s, pool, &message, &err), 1);
	assert_true(scan_ok_at_end(&s));
	assert_int_equal(message.annotations.n, 2);
	assert_span(message.annotations.item[0].entry, "/a");
	assert_span(message.annotations.item[0].value, "b");
	assert_true(message.annotations.item[1].shared && !message.annotations.item[1].value.ptr);
	/* A value may be still to come, as a literal that is no message. */
	s = scan_init(SPAN_LIT("ANNOTATION (/a (value.priv "));
	assert_int_equal(append_parse_message(&s, pool, &message, &err), 0);
	s = scan_init(SPAN_LIT("ANNOTATION (/a (foo "));
	assert_int_equal(append_parse_message(&s, pool, &message, &err), US_EPROTO);
	pool_free(&pool);
}

static void the_name_may_be_still_to_come(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct scan s = scan_init(SPAN_LIT(" "));
	struct span mailbox;
	struct us_err err;

	assert_int_equal(append_parse_mailbox(&s, pool, &mailbox, &err), 0);
	pool_free(&pool);
}

/* The announcements "{5}" of a text are of streamed literals. */
static int parse_several(const char *in, struct pool *pool, void **args, struct us_err *err)
{
	struct framer_streamed at[4];
	struct frame frame = {.streamed = at};
	struct parse p = {.s = scan_init(span_of(in)), .pool = pool, .frame = &frame};

	for (const char *c = strstr(in, "{5}"); c; c = strstr(c + 1, "{5}"))
		at[frame.n_streamed++] = (struct framer_streamed){(size_t)(c - in), 5};
	p.command = command_find(token_atom(&p.s));
	return p.command->parse(&p, args, err);
}

/* The command may wait for others, when its frame has gone. */
static void the_words_of_append_outlive_their_frame(void **state UNUSED)
{
	char frame[] = "APPEND box (\\Seen key) ANNOTATION (/comment (value.priv \"x\")) {5}\r\n";
	struct pool *pool = pool_new();
	const struct args_append *args;
	struct us_err err;
	void *parsed;

	assert_ok(parse_several(frame, pool, &parsed, &err), &err);
	memset(frame, '#', sizeof(frame));
	args = parsed;
	assert_true(span_is(args->mailbox, "box"));
	assert_true(span_is(args->message[0].keyword[0], "key"));
	assert_true(span_is(args->message[0].annotations.item[0].entry, "/comment"));
	assert_true(span_is(args->message[0].annotations.item[0].value, "x"));
	pool_free(&pool);
}

static void several_messages_are_read(void **state UNUSED)
{
	static const struct args_case wrong[] = {
		{"APPEND a {5}\r\n{5}\r\n", NULL},
		{"APPEND a {5}\r\n  {5}\r\n", NULL},
		{"APPEND a {5}\r\n x {5}\r\n", NULL},
		{"APPEND a {5}\r\n {5}\r\n ", NULL},
		{"APPEND a {5}\r\n {5}\r\n ()", "Missing space after flag list in Append command"},
		{"APPEND a {5}\r\n (\\Bogus) {5}\r\n", "Invalid flag in Append command"},
	};
	struct pool *pool = pool_new();
	const struct args_append *args;
	struct us_err err;
	void *parsed;

	assert_ok(parse_several("APPEND {1}\r\na (\\Seen k) {5}\r\n {5}\r\n (\\Draft) "
				"\"03-Nov-2026 01:02:03 +0100\" {5}\r\n",
				pool, &parsed, &err),
		  &err);
	args = parsed;
	assert_true(span_is(args->mailbox, "a"));
	assert_int_equal(args->n, 3);
	assert_int_equal(args->message[0].system, FLAG_SEEN);
	assert_int_equal(args->message[0].n_keywords, 1);
	assert_int_equal(args->message[1].system | args->message[1].n_keywords, 0);
	assert_false(args->message[1].has_date);
	assert_int_equal(args->message[2].system, FLAG_DRAFT);
	assert_true(args->message[2].has_date);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (parse_several(wrong[i].in, pool, &parsed, &err) != US_EPROTO)
			fail_msg("taken: %s", wrong[i].in);
		assert_string_equal(err.text,
				    wrong[i].wrong ? wrong[i].wrong
						   : "Missing required argument to Append command");
	}
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_judged),
		cmocka_unit_test(uid_expunge_has_a_set),
		cmocka_unit_test(a_message_is_appended_behind_its_words),
		cmocka_unit_test(the_words_of_append_are_taken),
		cmocka_unit_test(the_name_may_be_still_to_come),
		cmocka_unit_test(annotations_stand_before_the_message),
		cmocka_unit_test(the_words_of_append_outlive_their_frame),
		cmocka_unit_test(several_messages_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
