/* test_args.c - every command of the table reads its arguments, and says what is wrong with others. */
#include "tests/unit/test.h"

#include "server/imap/commands.h"
#include "server/imap/token.h"
#include "server/store/state.h"

struct args_case {
	const char *in;    /* behind the tag */
	const char *wrong; /* behind BAD; NULL: it is well */
};

/* As session.c does; the struct is in *args. */
static int parse_text(const char *in, struct pool *pool, void **args, struct us_err *err)
{
	struct frame frame = {.streamed_code = 0};
	struct parse p = {.s = scan_init(span_of(in)), .pool = pool, .frame = &frame};

	p.command = command_find(token_atom(&p.s));
	assert_non_null(p.command);
	return p.command->parse ? p.command->parse(&p, args, err) : parse_end(&p, err);
}

static void check(const struct args_case *c)
{
	struct pool *pool = pool_new();
	struct us_err err = US_ERR_INIT;
	void *args = NULL;
	int rc = parse_text(c->in, pool, &args, &err);

	if (!c->wrong && rc < 0)
		fail_msg("%s: %s", c->in, err.text);
	if (c->wrong && (rc != US_EPROTO || strcmp(err.text, c->wrong) != 0))
		fail_msg("%s: %d %s, not %s", c->in, rc, err.text, c->wrong);
	if (c->wrong)
		assert_null(args);
	pool_free(&pool);
}

static void arguments_are_judged(void **state UNUSED)
{
	static const struct args_case cases[] = {
		{"NOOP", NULL},
		{"NOOP x", "Unexpected extra arguments to Noop"},
		{"NOOP ", "Unexpected extra arguments to Noop"},
		{"LOGIN a b", NULL},
		{"LOGIN \"a b\" {3+}\r\nx y", NULL},
		{"LOGIN a", "Missing required argument to Login"},
		{"LOGIN", "Missing required argument to Login"},
		{"LOGIN a b c", "Unexpected extra arguments to Login"},
		{"LOGIN  a b", "Missing required argument to Login"},
		{"AUTHENTICATE PLAIN", NULL},
		{"AUTHENTICATE PLAIN AGJvYgBwdw==", NULL},
		{"AUTHENTICATE PLAIN =", NULL},
		{"AUTHENTICATE", "Missing required argument to Authenticate"},
		{"AUTHENTICATE PLAIN x y", "Unexpected extra arguments to Authenticate"},
		{"ID NIL", NULL},
		{"ID ()", NULL},
		{"ID (\"name\" \"x\" \"version\" NIL)", NULL},
		{"ID", "Missing required argument to Id"},
		{"ID x", "Invalid parameter list in Id"},
		{"ID (\"name\")", "Invalid/missing field name in Id"},
		{"ID (\"name\" \"x\"", "Invalid parameter list in Id"},
		{"ID (\"1234567890123456789012345678901\" \"x\")",
		 "field longer than 30 octets in Id"},
		{"ENABLE CONDSTORE", NULL},
		{"ENABLE A B C", NULL},
		{"ENABLE", "Missing required argument to Enable"},
		{"ENABLE A ", "Missing required argument to Enable"},
		{"SELECT INBOX", NULL},
		{"SELECT", "Missing required argument to Select"},
		{"SELECT \"a", "Missing required argument to Select"},
		{"SELECT a b", "Invalid modifier list in Select"},
		{"SELECT a (CONDSTORE)", NULL},
		{"EXAMINE a (condstore QRESYNC (1 2))", NULL},
		{"SELECT a (QRESYNC (1 9223372036854775807 1:5,7 (1:2 4:5)) CONDSTORE)", NULL},
		{"SELECT a (QRESYNC (1 0 (1 1)))", NULL},
		{"SELECT a ()", "Invalid Select modifier "},
		{"SELECT a (BOGUS)", "Invalid Select modifier BOGUS"},
		{"EXAMINE a (CONDSTORE", "Invalid modifier list in Examine"},
		{"SELECT a (CONDSTORE) b", "Unexpected extra arguments to Select"},
		{"SELECT a (QRESYNC)", "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (1))", "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (0 1))", "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (1 x))", "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (1 9223372036854775808))",
		 "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (1 1 1:*))", "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (1 1 $))", "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (1 1 1 (1)))", "Invalid QRESYNC parameter list in Select"},
		{"SELECT a (QRESYNC (1 1 (1 1)", "Invalid QRESYNC parameter list in Select"},
		{"CREATE a", NULL},
		{"CREATE a p1", NULL},
		{"CREATE a p1 x", "Unexpected extra arguments to Create"},
		{"CREATE a ", "Missing required argument to Create"},
		{"CREATE a (USE (\\Sent \\Junk))", NULL},
		{"CREATE a (USE ())", NULL},
		{"CREATE a (PARTITION p USE (\\Sent))", NULL},
		{"CREATE a ()", "Invalid parameter in Create"},
		{"CREATE a (USE)", "Invalid parameter in Create"},
		{"CREATE a (USE \\Sent)", "Invalid parameter in Create"},
		{"CREATE a (USE (Sent))", "Invalid parameter in Create"},
		{"CREATE a (FOO x)", "Invalid parameter in Create"},
		{"CREATE a (USE (\\Sent)", "Invalid parameter in Create"},
		{"CREATE a (USE (\\Sent)) x", "Unexpected extra arguments to Create"},
		{"RENAME a b", NULL},
		{"RENAME a b p1", NULL},
		{"RENAME a", "Missing required argument to Rename"},
		{"RENAME a b c d", "Unexpected extra arguments to Rename"},
		{"LIST \"\" %", NULL},
		{"LIST \"\" \"\"", NULL},
		{"LIST a/ *b", NULL},
		{"LIST x", "Missing required argument to List: mailbox pattern"},
		{"LIST", "Missing required argument to List"},
		{"LSUB x", "Missing required argument to Lsub"},
		{"LIST \"\" (a b)", NULL},
		{"LIST \"\" ()", "Invalid syntax in List command"},
		{"LIST \"\" (a", "Missing required argument to List"},
		{"LIST () \"\" %", NULL},
		{"LIST (subscribed REMOTE recursivematch) \"\" (a %) RETURN ()", NULL},
		{"LIST (SPECIAL-USE) \"\" % RETURN (CHILDREN STATUS (MESSAGES SIZE) MYRIGHTS)",
		 NULL},
		{"LIST (SUBSCRIBED", "Invalid syntax in List command"},
		{"LIST (SUBSCRIBED) ", "Missing required argument to List"},
		{"LIST ( SUBSCRIBED) \"\" %", "Invalid syntax in List command"},
		{"LIST (FOO) \"\" %", "Invalid List selection option \"foo\""},
		{"LIST (RECURSIVEMATCH) \"\" %", "Invalid combination of selection options"},
		{"LIST (RECURSIVEMATCH REMOTE) \"\" %", "Invalid combination of selection options"},
		{"LIST \"\" % x", "Unexpected extra argument to List: \"x\""},
		{"LIST \"\" % RETURN", "Missing return argument list"},
		{"LIST \"\" % RETURN x", "Missing return argument list"},
		{"LIST \"\" % RETURN (FOO)", "Invalid List return option \"foo\""},
		{"LIST \"\" % RETURN (SUBSCRIBED", "Invalid syntax in List command"},
		{"LIST \"\" % RETURN (STATUS)", "Bad status string"},
		{"LIST \"\" % RETURN (STATUS ())", "Bad status string"},
		{"LIST \"\" % RETURN (STATUS (FOO))", "Invalid Status attributes foo"},
		{"LIST \"\" % RETURN () x", "Unexpected extra arguments to List"},
		{"LSUB \"\" a x", "Unexpected extra arguments to Lsub"},
		{"STATUS a (MESSAGES)", NULL},
		{"STATUS a (MESSAGES unseen UIDNEXT RECENT UIDVALIDITY SIZE)", NULL},
		{"STATUS a", "Missing required argument to Status"},
		{"STATUS a ()", "Bad status string"},
		{"STATUS a MESSAGES", "Bad status string"},
		{"STATUS a (MESSAGES", "Bad status string"},
		{"STATUS a (FOO)", "Invalid Status attributes foo"},
		{"STATUS a (MESSAGES) x", "Unexpected extra arguments to Status"},
		{"GETMETADATA a /shared/comment", NULL},
		{"GETMETADATA \"\" (/shared/comment /private/a/b)", NULL},
		{"GETMETADATA (MAXSIZE 10 DEPTH 1) a (/shared)", NULL},
		{"GETMETADATA a (depth infinity) /Private", NULL},
		{"GETMETADATA", "Missing required argument to Getmetadata"},
		{"GETMETADATA a", "Missing required argument to Getmetadata"},
		{"GETMETADATA a ()", "Missing metadata entry"},
		{"GETMETADATA a (/shared/a", "Missing metadata entry"},
		{"GETMETADATA a comment", "entry must begin with /shared or /private"},
		{"GETMETADATA a /sharedx", "entry must begin with /shared or /private"},
		{"GETMETADATA a /shared/", "Invalid metadata entry"},
		{"GETMETADATA a /shared//x", "Invalid metadata entry"},
		{"GETMETADATA a \"/shared/*\"", "Invalid metadata entry"},
		{"GETMETADATA a \"/shared/\xc3\xa4\"", "Invalid metadata entry"},
		{"GETMETADATA a /shared/x y", "Unexpected extra arguments to Getmetadata"},
		{"GETMETADATA (FOO 1) a /shared/x", "Invalid option in Getmetadata"},
		{"GETMETADATA (DEPTH 2) a /shared/x", "Invalid option in Getmetadata"},
		{"GETMETADATA (DEPTH) a /shared/x", "Invalid option in Getmetadata"},
		{"GETMETADATA (MAXSIZE 99999999999) a /shared/x", "Invalid option in Getmetadata"},
		{"GETMETADATA a (DEPTH 1", "Invalid option in Getmetadata"},
		{"SETMETADATA a (/shared/x NIL)", NULL},
		{"SETMETADATA \"\" (/shared/x \"y\" /private/z {3}\r\nabc)", NULL},
		{"SETMETADATA a", "Missing required argument to Setmetadata"},
		{"SETMETADATA a /shared/x y", "Missing metadata entry list"},
		{"SETMETADATA a ()", "Missing metadata entry"},
		{"SETMETADATA a (/shared/x)", "Missing metadata value"},
		{"SETMETADATA a (/shared/x y)", "Missing metadata value"},
		{"SETMETADATA a (/shared \"x\")", "Invalid metadata entry"},
		{"SETMETADATA a (/shared/x \"y\"", "Missing metadata entry"},
		{"SETMETADATA a (/shared/x NIL) y", "Unexpected extra arguments to Setmetadata"},
		{"GETACL a", NULL},
		{"GETACL", "Missing required argument to Getacl"},
		{"SETACL a b lrs", NULL},
		{"SETACL a b \"\"", NULL},
		{"SETACL a b", "Missing required argument to Setacl"},
		{"DELETEACL a b", NULL},
		{"LISTRIGHTS a b c", "Unexpected extra arguments to Listrights"},
		{"SETQUOTA a (STORAGE 10 MESSAGE 5)", NULL},
		{"SETQUOTA a ()", NULL},
		{"SETQUOTA a", "Missing required argument to Setquota"},
		{"SETQUOTA a STORAGE 10", "Invalid quota list in Setquota"},
		{"SETQUOTA a (STORAGE)", "Invalid quota list in Setquota"},
		{"SETQUOTA a (STORAGE x)", "Invalid quota list in Setquota"},
		{"SETQUOTA a (STORAGE 99999999999999999999)", "Invalid quota list in Setquota"},
		{"COMPRESS DEFLATE", NULL},
		{"COMPRESS", "Missing required argument to Compress"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void arguments_are_taken(void **state UNUSED)
{
	struct pool *pool = pool_new();
	const struct args_login *login;
	const struct args_setquota *quota;
	const struct args_rename *rename;
	const struct args_authenticate *authenticate;
	void *args;
	struct us_err err;

	assert_ok(parse_text("LOGIN {5+}\r\na\r\nb\" \"\\\"\"", pool, &args, &err), &err);
	login = args;
	assert_span(login->user, "a\r\nb\"");
	assert_span(login->password, "\"");
	assert_ok(parse_text("SETQUOTA \"a b\" (STORAGE 10 x-num-folders 3)", pool, &args, &err),
		  &err);
	quota = args;
	assert_int_equal(quota->n, 2);
	assert_span(quota->wishes[1].resource, "x-num-folders");
	assert_int_equal(quota->wishes[1].limit, 3);
	assert_ok(parse_text("RENAME a b", pool, &args, &err), &err);
	rename = args;
	assert_null(rename->partition.ptr);
	assert_ok(parse_text("AUTHENTICATE PLAIN", pool, &args, &err), &err);
	authenticate = args;
	assert_null(authenticate->initial.ptr);
	pool_free(&pool);
}

/* What the table says of itself holds. */
static void the_table_is_sound(void **state UNUSED)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++) {
		assert_ptr_equal(command_find(span_of(c->name)), c); /* no name twice */
		assert_int_equal(strcasecmp(c->name, c->shown), 0);
		assert_non_null(c->run);
		assert_true(c->states && !(c->states & ~(unsigned)IN_ANY));
		if (c->flags & CMD_HAS_UID_FORM)
			assert_int_equal(c->states, IN_SELECTED);
		if (c->stream && c->stream->literal)
			assert_non_null(c->stream->put);
	}
	assert_null(command_find(SPAN_LIT("")));
	assert_null(command_find(SPAN_LIT("NOO")));
	assert_non_null(command_find(SPAN_LIT("noop")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_judged),
		cmocka_unit_test(arguments_are_taken),
		cmocka_unit_test(the_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
