/* test_crash.c - every kind of order, with the process dying at every point it passes, a torn write there, a full or a failing
 * disk: afterwards the state is that of before or that of behind the order, and the same order again makes it that of behind.
 *
 * "The same order" is what a client would do: a new connection, the bodies sent again, the order.
 */
#include "tests/unit/store/deaths.h"

#include "tests/unit/csync/peer.h"

#include <dirent.h>

#include "server/base/io.h"
#include "server/store/store.h"

/* ---- orders ------------------------------------------------------------------------------------------ */

struct order {
	const char *name;
	void (*run)(
		struct peer *p); /* ends in the order that counts; its answer stays in p->answer */
	bool steps;              /* several commits: between them the state is neither */
	bool masked;    /* carries no modseq or time of its own: numbers are not compared */
	int again;      /* also a good answer, when it had been carried out already */
	unsigned least; /* deaths there must be at least */
};

static const struct span keywords[] = {SPAN_LIT("$Forwarded"), SPAN_LIT("Label")};
static const struct state_annotation notes[] = {
	{SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("note"), 5},
	{SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("private"), 6},
};
static const struct state_annotation own[] = {
	{SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("of the mailbox"), 0}};

/* Bodies may be refused here, where a disk is full: the order that needs them says so. */
static void body(struct peer *p, const char *text)
{
	struct guid guid = guid_of(span_of(text));
	char hex[GUID_HEX];
	char *line;

	guid_format(&guid, hex);
	line = us_asprintf("APPLY MESSAGE (%%{default %s %zu}\r\n%s)", hex, strlen(text), text);
	peer_say(p, line);
	free(line);
}

/* What every store has before: bob with three messages and a folder, shared things, a script. */
static struct box bob(void)
{
	struct box b = box_new("user.bob", "uniqueid-bob");
	struct state_record *r = box_add(&b, "one", FLAG_SEEN);

	r->keywords = keywords;
	r->n_keywords = 2;
	r->annotations = notes;
	r->n_annotations = 2;
	box_add(&b, "two", 0)->expunged = true;
	box_add(&b, "three", FLAG_FLAGGED);
	b.m.annotations = own;
	b.m.n_annotations = 1;
	b.m.highestmodseq = 10;
	return b;
}

static void prepare(struct rig *rig)
{
	static const char *const orders[] = {
		"APPLY QUOTA %(ROOT user.bob LIMIT 5 MODSEQ 2)",
		"APPLY SUB %(USERID bob MBOXNAME user.bob)",
		"APPLY SEEN %(USERID bob UNIQUEID x LASTREAD 1 LASTUID 1 LASTCHANGE 1 SEENUIDS 1)",
		"APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /old USERID \"\" VALUE x)",
		"APPLY SIEVE %(USERID dave FILENAME a.script LAST_UPDATE 1 CONTENT keep)",
	};
	struct box b = bob(), folder = box_new("user.bob.folder", "uniqueid-folder");
	struct peer p;

	peer_join(&p, rig);
	body(&p, "one");
	body(&p, "three");
	body(&p, "in the folder");
	assert_string_equal(peer_apply(&p, &b), OK);
	box_add(&folder, "in the folder", 0);
	assert_string_equal(peer_apply(&p, &folder), OK);
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		assert_said(&p, orders[i], OK);
	peer_leave(&p);
}

static void new_mailbox(struct peer *p)
{
	struct box b = box_new("user.carol", "uniqueid-carol");

	body(p, "four");
	body(p, "five");
	box_add(&b, "four", 0)->keywords = keywords;
	b.r[0].n_keywords = 1;
	box_add(&b, "five", FLAG_DRAFT);
	b.m.annotations = own;
	b.m.n_annotations = 1;
	peer_apply(p, &b);
}

/* Something of everything in one update. */
static void update(struct peer *p)
{
	struct box b = bob();

	body(p, "four");
	b.r[0].n_keywords = 1;
	b.r[0].n_annotations = 1;
	box_touch(&b, &b.r[0]);
	b.r[2].expunged = true;
	box_touch(&b, &b.r[2]);
	box_add(&b, "four", 0);
	b.m.last_uid = 9;
	b.m.acl = SPAN_LIT("anyone\tlr\t");
	b.m.foldermodseq = b.m.highestmodseq;
	b.m.n_annotations = 0;
	peer_apply(p, &b);
}

static void only_flags(struct peer *p)
{
	struct box b = bob();

	b.r[0].system_flags = FLAG_ANSWERED;
	box_touch(&b, &b.r[0]);
	peer_apply(p, &b);
}

static void many_messages(struct peer *p)
{
	struct box b = bob();
	char text[20][16];

	for (int i = 0; i < 20; i++) {
		snprintf(text[i], sizeof(text[i]), "many %d", i);
		body(p, text[i]);
		box_add(&b, text[i], 0);
	}
	peer_apply(p, &b);
}

/* More than the spool keeps in memory, and more than a frame of the journal holds. */
static void records_by_way_of_a_file(struct peer *p)
{
	struct buf line = BUF_INIT;

	buf_add_str(&line,
		    "APPLY MAILBOX %(UNIQUEID u MBOXNAME user.erin SYNC_CRC 0 SYNC_CRC_ANNOT "
		    "12345678 LAST_UID 6000 HIGHESTMODSEQ 99 RECENTUID 0 RECENTTIME 0 "
		    "LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1000 PARTITION default "
		    "ACL \"\" OPTIONS P RECORD (");
	for (int i = 1; i <= 6000; i++)
		buf_printf(&line,
			   "%%(UID %d MODSEQ 50 LAST_UPDATED %d FLAGS (\\Expunged k%d) "
			   "INTERNALDATE "
			   "1 SIZE 1 GUID 1111111111111111111111111111111111111111) ",
			   i, i, i % 7);
	buf_add_str(&line, "))\r\n");
	peer_send(p, buf_span(&line));
	buf_free(&line);
}

/* Another mailbox takes the name, by FORCE. */
static void replace(struct peer *p)
{
	struct box b = box_new("user.bob", "uniqueid-other");

	peer_say(p, "APPLY FORCE %()");
	body(p, "four");
	box_add(&b, "four", 0);
	peer_apply(p, &b);
}

static void set_back(struct peer *p)
{
	struct box b = bob();

	peer_say(p, "APPLY FORCE %()");
	b.m.highestmodseq = 7;
	peer_apply(p, &b);
}

static void reserve_and_update(struct peer *p)
{
	struct box b = bob();

	peer_say(p, "APPLY RESERVE %(PARTITION default MBOXNAME (user.bob user.bob.folder) GUID "
		    "(3b2b3f0fb9b8f6a6fd2ff8b2f5b4a0ba6c0b2d5e))");
	body(p, "in the folder"); /* it is there: a second one under the same name */
	box_add(&b, "in the folder", 0);
	peer_apply(p, &b);
}

static void reserve_elsewhere(struct peer *p)
{
	struct box b = box_new("user.carol", "uniqueid-carol");
	struct guid guid = guid_of(SPAN_LIT("in the folder"));
	char hex[GUID_HEX];
	char *line;

	guid_format(&guid, hex);
	line = us_asprintf("APPLY RESERVE %%(PARTITION p2 MBOXNAME (user.bob.folder) GUID (%s))",
			   hex);
	peer_say(p, line);
	free(line);
	b.m.partition = SPAN_LIT("p2");
	box_add(&b, "in the folder", 0);
	peer_apply(p, &b);
}

#define SAY(name, command)               \
	static void name(struct peer *p) \
	{                                \
		peer_say(p, command);    \
	}

SAY(entry, "APPLY MAILBOX %(UNIQUEID i MBOXNAME user.bob.mid MBOXTYPE ei HIGHESTMODSEQ 20 "
	   "CREATEDMODSEQ 20 FOLDERMODSEQ 20)")
SAY(rename_it,
    "APPLY RENAME %(OLDMBOXNAME user.bob.folder NEWMBOXNAME user.bob.new PARTITION default "
    "UIDVALIDITY 1000)")
SAY(rename_with_uidvalidity, "APPLY RENAME %(OLDMBOXNAME user.bob.folder NEWMBOXNAME user.bob.new "
			     "PARTITION default UIDVALIDITY 1001)")
SAY(move_it,
    "APPLY RENAME %(OLDMBOXNAME user.bob NEWMBOXNAME user.bob PARTITION p2 UIDVALIDITY 1000)")
SAY(unmailbox, "APPLY UNMAILBOX user.bob")
SAY(unuser, "APPLY UNUSER bob")
SAY(expunge, "APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID uniqueid-bob UID (1 2 3))")
SAY(quota, "APPLY QUOTA %(ROOT user.bob LIMIT 9 STORAGE 9 MESSAGE 3 MODSEQ 7)")
SAY(unquota, "APPLY UNQUOTA user.bob")
SAY(sub, "APPLY SUB %(USERID bob MBOXNAME user.bob.x)")
SAY(unsub, "APPLY UNSUB %(USERID bob MBOXNAME user.bob)")
SAY(seen, "APPLY SEEN %(USERID bob UNIQUEID x LASTREAD 9 LASTUID 9 LASTCHANGE 9 SEENUIDS 1:9)")
SAY(annotation, "APPLY ANNOTATION %(MBOXNAME \"\" ENTRY /new USERID bob VALUE y)")
SAY(unannotation, "APPLY UNANNOTATION %(MBOXNAME \"\" ENTRY /old USERID \"\")")
SAY(annotate_mailbox, "APPLY ANNOTATION %(MBOXNAME user.bob ENTRY /new USERID \"\" VALUE y)")
SAY(sieve, "APPLY SIEVE %(USERID dave FILENAME a.script LAST_UPDATE 1 CONTENT discard)")
SAY(first_sieve, "APPLY SIEVE %(USERID erin FILENAME a.script LAST_UPDATE 1 CONTENT discard)")
SAY(activate, "APPLY ACTIVATE_SIEVE %(USERID dave FILENAME a.bc)")
SAY(unsieve, "APPLY UNSIEVE %(USERID dave FILENAME a.script)")

static const struct order orders[] = {
	{"a new mailbox", new_mailbox, .steps = true, .least = 20},
	{"an update", update, .least = 10},
	{"only flags", only_flags, .least = 2},
	{"many messages", many_messages, .least = 10},
	{"records by way of a file", records_by_way_of_a_file, .steps = true, .least = 15},
	{"replace", replace, .steps = true, .least = 20},
	{"set back", set_back, .least = 5},
	{"reserve, update", reserve_and_update, .least = 8},
	{"reserve elsewhere", reserve_elsewhere, .steps = true, .least = 20},
	{"entry", entry, .least = 1},
	{"rename", rename_it, .again = US_ENOENT, .least = 2},
	{"rename with another uidvalidity", rename_with_uidvalidity, .steps = true,
	 .again = US_ENOENT, .least = 4},
	{"another partition", move_it, .least = 10},
	{"UNMAILBOX", unmailbox, .again = US_ENOENT, .least = 2},
	{"UNUSER", unuser, .steps = true, .least = 6},
	{"EXPUNGE", expunge, .least = 2},
	{"QUOTA", quota, .least = 2},
	{"UNQUOTA", unquota, .least = 2},
	{"SUB", sub, .least = 1},
	{"UNSUB", unsub, .least = 1},
	{"SEEN", seen, .least = 1},
	{"ANNOTATION of the server", annotation, .least = 1},
	{"UNANNOTATION", unannotation, .least = 1},
	{"ANNOTATION of a mailbox", annotate_mailbox, .masked = true, .least = 2},
	{"SIEVE", sieve, .masked = true, .least = 5},
	{"the first SIEVE", first_sieve, .steps = true, .masked = true, .least = 10},
	{"ACTIVATE_SIEVE", activate, .masked = true, .least = 2},
	{"UNSIEVE", unsieve, .masked = true, .again = US_EREMOTE, .least = 2},
};

/* ---- the whole state as text --------------------------------------------------------------------------- */

/* Every run of hex digits and dashes with a digit in it becomes "#". */
static void mask(struct buf *text)
{
	struct buf out = BUF_INIT;
	size_t at = 0;

	while (at < text->len) {
		size_t len = strspn(text->data + at, "0123456789abcdef-");
		if (len && strcspn(text->data + at, "0123456789") < len)
			buf_add_char(&out, '#');
		else
			buf_add(&out, text->data + at, len);
		at += len;
		if (at < text->len)
			buf_add_char(&out, text->data[at++]);
	}
	buf_clear(text);
	buf_add_span(text, buf_span(&out));
	buf_free(&out);
}

static char *whole_state(struct rig *rig, bool masked)
{
	static const char *const questions[] = {
		"GET USER bob",
		"GET META bob",
		"GET USER carol",
		"GET USER erin",
		"GET META dave",
		"GET FETCH_SIEVE %(USERID dave FILENAME a.script)",
		"GET FETCH_SIEVE %(USERID erin FILENAME a.script)",
		"GET QUOTA user.bob",
		"GET ANNOTATION \"\"",
		"GET FULLMAILBOX user.bob",
		"GET FULLMAILBOX user.bob.folder",
		"GET FULLMAILBOX user.bob.new",
		"GET FULLMAILBOX user.carol",
		"GET FULLMAILBOX user.erin",
		"GET UNIQUEIDS (uniqueid-bob uniqueid-other uniqueid-carol uniqueid-folder u i)",
	};
	struct buf all = BUF_INIT;
	struct peer p;

	peer_join(&p, rig);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		peer_say(&p, questions[i]);
		if (masked ||
		    strstr(questions[i], "dave")) /* scripts have the time of their coming */
			mask(&p.answer);
		buf_printf(&all, "%s\n%s", questions[i], p.answer.data);
	}
	peer_leave(&p);
	return buf_steal(&all, NULL);
}

/* Every live message has its body, every counter is what the records say. */
static void check_mailbox(struct rig *rig, const char *name)
{
	struct mailbox *m;
	struct view_walk walk;
	const struct record *r;

	if (mailbox_open(rig->store, span_of(name), &m, NULL) < 0)
		return;
	rig_check_counters(m);
	walk = view_walk(&m->view, 1);
	while ((r = view_next_live(&m->view, &walk))) {
		struct guid guid;
		struct buf text = BUF_INIT;
		char file[16];
		message_file_name(r->uid, file);
		assert_int_equal(io_read_file(m->dir, file, 1 << 20, &text, NULL), 0);
		guid = guid_of(buf_span(&text));
		assert_true(guid_eq(&guid, &r->guid));
		buf_free(&text);
	}
	mailbox_close(&m);
}

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* What the dead connection staged goes with the next that stages. */
static void check_stage(struct rig *rig)
{
	char path[120];
	struct peer p;

	peer_join(&p, rig);
	peer_body(&p, "x");
	peer_leave(&p);
	snprintf(path, sizeof(path), "%s/stage", rig->spool);
	assert_int_equal(entries(path), 0);
}

/* ---- dying ---------------------------------------------------------------------------------------------- */

/* deaths.h's functions have no argument for these. */
static const struct order *order;
static char *before, *after;
static bool refusing; /* disks fail, nobody dies */

static int carry_out(struct rig *rig, struct us_err *err UNUSED)
{
	struct peer p;
	int code;

	peer_join(&p, rig);
	order->run(&p);
	code = peer_code(&p);
	/* Whatever it was answered, the connection goes on, in step. (The metadata are this process's own: after a failure of
	 * their disk it has none any more, and says so.) */
	if (strcmp(peer_say(&p, "GET USER nobody"), OK) != 0)
		assert_string_equal(p.answer.data, UNKNOWN_ERROR);
	peer_leave(&p);
	return code;
}

static const char *const names[] = {"user.bob",        "user.bob.folder", "user.bob.new",
				    "user.carol",      "user.erin",       "user.dave.#sieve",
				    "user.erin.#sieve"};

/* A commit's metadata half may be missing: the next holder of the mailbox's lock completes it. */
static void complete(struct rig *rig)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct mailbox *m;
		struct us_err err;
		if (mailbox_open(rig->store, span_of(names[i]), &m, NULL) < 0)
			continue;
		assert_ok(mailbox_lock(m, &err), &err);
		mailbox_close(&m);
	}
}

/* As an operator would after a disk that failed. */
static void recover(struct rig *rig)
{
	struct partition *p;
	struct us_err err;

	for (size_t i = 0; (p = store_partition_at(rig->store, i)); i++)
		assert_ok(partition_recover(p, &err), &err);
}

static void check(struct rig *rig, bool died, const char *point)
{
	char *state;
	struct us_err err;
	int code;

	recover(rig);
	complete(rig);
	state = whole_state(rig, order->masked);
	if (!died) {
		after = state;
		assert_string_not_equal(before, after);
		return;
	}
	if (!order->steps && strcmp(state, before) != 0 && strcmp(state, after) != 0)
		fail_msg("%s, %s: neither before nor after:\n%s\nbefore:\n%s", order->name, point,
			 state, before);
	free(state);
	code = carry_out(rig, &err);
	if (code < 0 && code != order->again)
		fail_msg("%s, %s: again: %d", order->name, point, code);
	state = whole_state(rig, order->masked);
	if (strcmp(state, after) != 0)
		fail_msg("%s, %s: again:\n%s\nnot\n%s", order->name, point, state, after);
	free(state);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		check_mailbox(rig, names[i]);
	check_stage(rig);
}

static void walk(enum failpoint_action action)
{
	const struct deaths d = {prepare, carry_out, check};
	unsigned all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		struct rig rig;
		unsigned n;

		order = &orders[i];
		rig_new(&rig);
		prepare(&rig);
		before = whole_state(&rig, order->masked);
		rig_free(&rig);
		n = deaths_everywhere(&d, action);
		if (!refusing && n < order->least)
			fail_msg("%s: only %u deaths", order->name, n);
		if (refusing)
			assert_int_equal(n, 0);
		all += n;
		free(before);
		free(after);
	}
	if (!refusing)
		print_message("%u deaths\n", all);
}

static void killed(void **state UNUSED)
{
	refusing = false;
	walk(FAILPOINT_KILL);
}

static void torn(void **state UNUSED)
{
	refusing = false;
	walk(FAILPOINT_TORN);
}

static void full_disk(void **state UNUSED)
{
	refusing = true;
	walk(FAILPOINT_ENOSPC);
}

static void failing_disk(void **state UNUSED)
{
	refusing = true;
	walk(FAILPOINT_EIO);
}

/* A torn write is a death as well, and a failing disk refuses as a full one does: with US_LONG each is walked by itself, too. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(torn),
		cmocka_unit_test(failing_disk),
	};
	const struct CMUnitTest longer[] = {
		cmocka_unit_test(killed),
		cmocka_unit_test(full_disk),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (getenv("US_LONG"))
		failed += cmocka_run_group_tests(longer, NULL, NULL);
	return failed;
}
