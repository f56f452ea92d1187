/* test_coalesce.c - log lines as work, and what becomes of work that fails: rules L1 to L13 of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/agenda.h"
#include "reconcile/coalesce.h"
#include "server/base/err.h"

/* user.X... is X's; everything else nobody's. */
static bool owner_of(void *ctx UNUSED, struct span name, struct buf *userid)
{
	struct span rest = span_from(name, span_starts(name, "user.") ? 5 : 0), word;

	if (!span_starts(name, "user.") || !span_split(&rest, '.', &word))
		return false;
	buf_add_span(userid, word);
	return true;
}

static const struct coalesce_owner owners = {owner_of, NULL};

/* "MAILBOX user.bob; SUB bob user.bob" */
static size_t parse(const char *text, struct coalesce_line *lines)
{
	static const char *const kinds[COALESCE_KINDS] =
		{"USER",   "UNUSER",    "META",  "SIEVE",      "APPEND", "MAILBOX", "DOUBLEMAILBOX",
		 "RENAME", "UNMAILBOX", "QUOTA", "ANNOTATION", "SEEN",   "SUB",     "UNSUB"};
	struct span rest = span_of(text), line, word;
	size_t n = 0;

	while (span_split(&rest, ';', &line)) {
		struct coalesce_line *l = &lines[n];
		if (!span_word(&line, &word))
			continue;
		for (size_t k = 0; k < COALESCE_KINDS; k++)
			if (span_is(word, kinds[k]))
				l->kind = (enum coalesce_kind)k;
		l->arg[0] = l->arg[1] = SPAN_NULL;
		for (size_t k = 0; k < 2 && span_word(&line, &word); k++)
			l->arg[k] = word;
		n++;
	}
	return n;
}

static void tell_work(struct buf *b, const struct work *w)
{
	static const char *const kinds[WORK_KINDS] = {"mailboxes", "quota",     "annotation",
						      "seen",      "sub",       "meta",
						      "user",      "unmailbox", "unuser"};

	buf_printf(b, "%s", kinds[w->kind]);
	for (size_t i = 0; i < w->n_names; i++)
		buf_printf(b, " %.*s", SPAN_ARG(w->names[i]));
	for (size_t i = 0; i < 2; i++)
		if (w->arg[i].len)
			buf_printf(b, " %.*s", SPAN_ARG(w->arg[i]));
}

static void lines_become_work_once_and_in_order(void **state)
{
	static const struct {
		const char *lines, *work;
	} rows[] = {
		{"MAILBOX user.bob; APPEND user.bob; MAILBOX user.bob", "mailboxes user.bob; "},
		{"MAILBOX user.bob.B; MAILBOX shared; MAILBOX user.ann; MAILBOX user.bob; MAILBOX "
		 "other",
		 "mailboxes other shared; mailboxes user.ann; mailboxes user.bob user.bob.B; "},
		{"RENAME user.bob.A user.bob.B; MAILBOX user.bob.A; MAILBOX user.bob.B",
		 "mailboxes user.bob.A user.bob.B; "},
		{"RENAME user.bob user.joe",
		 "mailboxes user.bob user.joe; mailboxes user.bob user.joe; "},
		{"DOUBLEMAILBOX user.bob shared", "mailboxes shared user.bob; "},
		{"UNUSER joe; UNMAILBOX user.bob.C; USER bob; SUB ann user.ann; SEEN ann x; META "
		 "cy; QUOTA user.bob; ANNOTATION; MAILBOX user.bob",
		 "mailboxes user.bob; quota user.bob; annotation; seen ann x; sub ann user.ann; "
		 "meta cy; user bob; "
		 "unmailbox user.bob.C; unuser joe; "},
		{"SUB bob a; UNSUB bob a; SUB bob b", "sub bob a; sub bob b; "},
		{"USER bob; META bob; SEEN bob x; SUB bob y; MAILBOX user.bob; SUB ann y",
		 "mailboxes user.bob; sub ann y; user bob; "},
		{"META bob; SEEN bob x; SUB bob y; SIEVE bob", "meta bob; "},
		{"UNUSER bob; META bob; SEEN bob x; SUB bob y", "unuser bob; "},
		{"UNUSER bob; USER bob; SUB bob x", "user bob; unuser bob; "},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coalesce_line lines[16];
		struct coalesced todo;
		struct buf b = BUF_INIT;
		coalesce(lines, parse(rows[i].lines, lines), &owners, *state, &todo);
		for (size_t k = 0; k < todo.n; k++) {
			tell_work(&b, &todo.work[k]);
			buf_add_str(&b, "; ");
		}
		assert_string_equal(b.data, rows[i].work);
		buf_free(&b);
	}
}

/* Do it all, mailboxes `together`; work whose text begins as `fails` fails with that code. Tells what was done and what came of it. */
static void run(const char *text, size_t together, const char *fails, int code, struct pool *pool,
		struct buf *out)
{
	static const char *const fates[] = {"", " promoted", " back", " aside", " STOPPED"};
	struct coalesce_line lines[16];
	struct coalesced todo;
	struct agenda *b;
	const struct work *w;
	enum agenda_fate fate = AGENDA_DONE;

	coalesce(lines, parse(text, lines), &owners, pool, &todo);
	b = agenda_new(&todo, together);
	while (fate != AGENDA_STOPPED && (w = agenda_next(b))) {
		struct buf t = BUF_INIT;
		int result = w->withheld;
		tell_work(&t, w);
		if (!result && *fails && strstr(fails, t.data))
			result = code;
		fate = agenda_done(b, w, result);
		buf_printf(out, "%s%s%s; ", w->withheld ? "not " : "", t.data, fates[fate]);
		buf_free(&t);
	}
	agenda_free(&b);
}

static void what_fails_has_its_fate(void **state)
{
	static const struct {
		const char *lines, *fails;
		int code;
		const char *done;
	} rows[] = {
		{"MAILBOX user.bob; MAILBOX user.ann", "", 0,
		 "mailboxes user.ann; mailboxes user.bob; "},
		/* one bad user does not stop the others */
		{"MAILBOX user.ann; MAILBOX user.bob; SUB cy x", "mailboxes user.ann, user ann",
		 US_EMOVED,
		 "mailboxes user.ann promoted; mailboxes user.bob; sub cy x; user ann aside; "},
		{"MAILBOX user.ann; USER ann", "mailboxes user.ann", US_EMOVED,
		 "mailboxes user.ann promoted; user ann; "},
		/* locked */
		{"MAILBOX user.ann; MAILBOX user.bob", "mailboxes user.ann", US_EBUSY,
		 "mailboxes user.ann back; mailboxes user.bob; "},
		/* shared mailboxes are tried one by one */
		{"MAILBOX s1; MAILBOX s2; MAILBOX user.bob", "mailboxes s1 s2, mailboxes s1",
		 US_EREMOTE,
		 "mailboxes s1 s2 promoted; mailboxes user.bob; mailboxes s1 aside; mailboxes "
		 "s2; "},
		{"QUOTA user.bob; QUOTA shared", "quota user.bob, quota shared, user bob",
		 US_EREMOTE, "quota shared aside; quota user.bob promoted; user bob aside; "},
		{"SEEN bob x; SUB bob y", "seen bob x, sub bob y", US_EREMOTE,
		 "seen bob x promoted; sub bob y promoted; meta bob; "},
		{"META bob", "meta bob", US_EREMOTE, "meta bob promoted; user bob; "},
		{"ANNOTATION", "annotation", US_EREMOTE, "annotation aside; "},
		/* removals wait for what else is the owner's */
		{"MAILBOX user.bob; UNMAILBOX user.bob.X; UNMAILBOX user.ann.X",
		 "mailboxes user.bob, user bob", US_EMOVED,
		 "mailboxes user.bob promoted; user bob aside; unmailbox user.ann.X; not unmailbox "
		 "user.bob.X aside; "},
		{"MAILBOX user.bob; UNMAILBOX user.bob.X", "mailboxes user.bob", US_EBUSY,
		 "mailboxes user.bob back; not unmailbox user.bob.X aside; "},
		/* a removed user may have left what the new name has inherited */
		{"USER new; UNUSER old", "", 0, "user new; unuser old; meta new; "},
		{"USER new; UNUSER old", "unuser old", US_EREMOTE, "user new; unuser old aside; "},
		{"USER new; UNUSER old", "user new", US_EREMOTE, "user new aside; unuser old; "},
		{"USER new; UNUSER old", "meta new", US_EREMOTE,
		 "user new; unuser old; meta new aside; "},
		/* nothing goes on without a link */
		{"MAILBOX user.ann; MAILBOX user.bob", "mailboxes user.ann", US_ELINK,
		 "mailboxes user.ann STOPPED; "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf out = BUF_INIT;
		run(rows[i].lines, 0, rows[i].fails, rows[i].code, *state, &out);
		assert_string_equal(out.data, rows[i].done);
		buf_free(&out);
	}
}

static void mailboxes_of_several_owners_go_together(void **state)
{
	static const struct {
		const char *lines;
		size_t together;
		const char *fails;
		int code;
		const char *done;
	} rows[] = {
		{"MAILBOX user.ann; MAILBOX user.bob; MAILBOX s1; SUB cy x", 64, "", 0,
		 "mailboxes s1 user.ann user.bob; sub cy x; "},
		/* no more than that many; one owner's are never divided */
		{"MAILBOX user.ann; MAILBOX user.bob; MAILBOX user.cy", 2, "", 0,
		 "mailboxes user.ann user.bob; mailboxes user.cy; "},
		{"MAILBOX user.ann; MAILBOX user.bob.X; MAILBOX user.bob.Y; MAILBOX user.cy", 2, "",
		 0, "mailboxes user.ann; mailboxes user.bob.X user.bob.Y; mailboxes user.cy; "},
		/* of two owners, and named once */
		{"RENAME user.ann.X user.bob.X", 64, "", 0, "mailboxes user.ann.X user.bob.X; "},
		/* whoever fails, or is locked, is found by himself */
		{"MAILBOX user.ann; MAILBOX user.bob", 64,
		 "mailboxes user.ann user.bob, mailboxes user.ann", US_EMOVED,
		 "mailboxes user.ann user.bob promoted; mailboxes user.ann promoted; mailboxes "
		 "user.bob; user ann; "},
		{"MAILBOX user.ann; MAILBOX user.bob", 64, "mailboxes user.ann user.bob", US_EBUSY,
		 "mailboxes user.ann user.bob promoted; mailboxes user.ann back; mailboxes "
		 "user.bob; "},
		{"MAILBOX user.ann; MAILBOX user.bob", 64, "mailboxes user.ann user.bob", US_ELINK,
		 "mailboxes user.ann user.bob STOPPED; "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf out = BUF_INIT;
		run(rows[i].lines, rows[i].together, rows[i].fails, rows[i].code, *state, &out);
		assert_string_equal(out.data, rows[i].done);
		buf_free(&out);
	}
}

static void work_is_told_as_lines(void **state)
{
	static const char *const texts[] = {"MAILBOX a; MAILBOX b",
					    "QUOTA a",
					    "SEEN bob x",
					    "SUB bob x",
					    "META bob",
					    "USER bob",
					    "UNMAILBOX a",
					    "UNUSER bob",
					    "ANNOTATION"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct coalesce_line lines[4];
		size_t n = parse(texts[i], lines), n_back;
		struct coalesced todo;
		struct agenda *b;
		const struct coalesce_line *back;
		coalesce(lines, n, &owners, *state, &todo);
		b = agenda_new(&todo, 64);
		back = agenda_lines(b, agenda_next(b), &n_back);
		assert_int_equal(n_back, n);
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(back[k].kind, lines[k].kind);
			assert_true(span_eq(back[k].arg[0], lines[k].arg[0]));
			assert_true(span_eq(back[k].arg[1], lines[k].arg[1]));
		}
		agenda_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_with_pool(lines_become_work_once_and_in_order),
		test_with_pool(what_fails_has_its_fate),
		test_with_pool(mailboxes_of_several_owners_go_together),
		test_with_pool(work_is_told_as_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
