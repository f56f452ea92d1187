/* test_update.c - APPLY MAILBOX: every step of csync-protocol 7.5, in its order; the record table; what is written, and that
 * nothing is when something is refused. */
#include "tests/unit/csync/peer.h"

#include "server/store/annotations.h"

/* ---- what arrives is what is there ------------------------------------------------------------------ */

static void a_new_mailbox_is_what_was_sent(void **state)
{
	struct peer *p = *state;
	struct box b = box_new("user.bob", "uniqueid-bob");
	const struct span keywords[] = {SPAN_LIT("$Forwarded"), SPAN_LIT("MixedCase")};
	const struct state_annotation notes[] = {
		{SPAN_LIT("/altsubject"), SPAN_LIT(""), SPAN_LIT("NIL"), 5},
		{SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("line\r\ntwo \xc3\xa9"), 4},
	};
	const struct state_annotation own[] = {
		{SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("of the mailbox"), 0}};
	struct state_record *r;

	peer_body(p, "one");
	peer_body(p, "three");
	r = box_add(&b, "one", FLAG_SEEN | FLAG_ANSWERED);
	r->keywords = keywords;
	r->n_keywords = 2;
	r->thrid = 0xa10d6610afd4128;
	r->annotations = notes;
	r->n_annotations = 2;
	box_add(&b, "two", FLAG_DELETED)->expunged = true;
	box_add(&b, "three", FLAG_DRAFT);
	b.m.annotations = own;
	b.m.n_annotations = 1;
	b.m.recentuid = 2;
	b.m.recenttime = 1795472231;
	b.m.pop3_last_login = 7;
	b.m.pop3_show_after = 8;
	b.m.xconvmodseq = 9;
	b.m.raclmodseq = 11;
	b.m.options = MAILBOX_OPTION_POP3_NEW_UIDL | MAILBOX_OPTION_SHARED_SEEN;
	b.m.foldermodseq = 3;
	assert_string_equal(peer_apply(p, &b), OK);
	assert_string_equal(p->rig->heard.data,
			    "MAILBOX user.bob\nAPPEND user.bob\nMAILBOX user.bob\n");
	peer_must_have(p, &b);
}

/* Which is what reconstruct dates a message by, if nothing else is left. */
static void files_are_as_old_as_their_messages(void **state)
{
	struct peer *p = *state;
	struct box b = box_new("user.bob", "uniqueid-bob");
	struct mailbox *m;
	struct stat st;
	char name[16];

	peer_body(p, "one");
	peer_body(p, "two");
	box_add(&b, "one", 0);
	box_add(&b, "two", 0)->internaldate = 1769940777;
	assert_string_equal(peer_apply(p, &b), OK);
	m = rig_mailbox(p->rig, "user.bob");
	for (uint32_t uid = 1; uid <= 2; uid++) {
		message_file_name(uid, name);
		assert_int_equal(fstatat(m->dir, name, &st, 0), 0);
		assert_int_equal(st.st_mtim.tv_sec, b.r[uid - 1].internaldate);
	}
	mailbox_close(&m);
}

static void a_delta_is_applied(void **state)
{
	struct peer *p = *state;
	struct box all = peer_three(p), delta;
	const struct span keywords[] = {SPAN_LIT("Important")};

	peer_body(p, "four");
	all.r[0].keywords = keywords;
	all.r[0].n_keywords = 1;
	all.r[0].system_flags = FLAG_FLAGGED;
	box_touch(&all, &all.r[0]);
	box_add(&all, "four", 0);
	all.m.acl = SPAN_LIT("anyone\tlr\t");
	all.m.foldermodseq = all.m.highestmodseq;
	all.m.has_since = true;
	all.m.since_modseq = 10;
	all.m.since_crc = all.m.sync_crc;
	all.m.since_crc_annot = all.m.sync_crc_annot;
	box_settle(&all);
	delta = all;
	delta.r[1] = all.r[2]; /* uid 2 is not in it */
	delta.m.n_records = 2;
	buf_clear(&p->rig->heard);
	assert_string_equal(peer_put(p, &delta), OK);
	assert_string_equal(p->rig->heard.data, "APPEND user.bob\nMAILBOX user.bob\n");
	peer_must_have(p, &all);
	assert_string_equal(peer_put(p, &delta), CHANGED); /* it is not at modseq 10 any more */
	delta.m.has_since = false;
	assert_string_equal(peer_put(p, &delta), OK); /* again is well */
	peer_must_have(p, &all);
}

static void keywords_keep_the_spelling_of_their_first_use(void **state)
{
	struct peer *p = *state;
	struct box b = box_new("user.bob", "uniqueid-bob");
	const struct span first[] = {SPAN_LIT("Label")}, second[] = {SPAN_LIT("lABEL")};

	peer_body(p, "one");
	peer_body(p, "two");
	box_add(&b, "one", 0)->keywords = first;
	box_add(&b, "two", 0)->keywords = second;
	b.r[0].n_keywords = b.r[1].n_keywords = 1;
	assert_string_equal(peer_apply(p, &b), OK);
	b.r[1].keywords = first;
	peer_must_have(p, &b);
}

/* Zero is what an older peer has: nothing is filled in. */
static void fields_that_are_zero_stay_zero(void **state)
{
	struct peer *p = *state;
	struct box b = box_new("user.bob", "uniqueid-bob");
	struct state_record *r;

	peer_body(p, "one");
	r = box_add(&b, "one", 0);
	r->savedate = r->last_updated = r->internaldate = 0;
	r->createdmodseq = 0;
	assert_string_equal(peer_apply(p, &b), OK);
	peer_must_have(p, &b);
}

static void annotations_are_replaced_as_a_set(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);
	struct state_annotation set[] = {
		{SPAN_LIT("/a"), SPAN_LIT(""), SPAN_LIT("1"), 3},
		{SPAN_LIT("/a"), SPAN_LIT("bob"), SPAN_LIT("2"), 3},
		{SPAN_LIT("/b"), SPAN_LIT(""), SPAN_LIT("3"), 3},
		{SPAN_LIT("/c"), SPAN_LIT(""), SPAN_LIT("4"), 3},
	};
	static const unsigned subsets[] = {0xf, 0x5, 0xa, 0x0, 0x6, 0x9, 0x1};

	b.r[0].annotations = b.m.annotations = set;
	for (size_t i = 0; i < ARRAY_SIZE(subsets); i++) {
		struct state_annotation some[4], own[4];
		size_t n = 0;
		for (unsigned k = 0; k < 4; k++)
			if (subsets[i] >> k & 1) {
				some[n] = set[k];
				own[n] = set[k];
				own[n++].modseq = 0;
			}
		b.r[0].annotations = some;
		b.m.annotations = own;
		b.r[0].n_annotations = b.m.n_annotations = n;
		box_touch(&b, &b.r[0]);
		assert_string_equal(peer_apply(p, &b), OK);
		peer_must_have(p, &b);
	}
}

static void many_messages_in_one_order(void **state)
{
	struct peer *p = *state;
	struct box b = box_new("user.bob", "uniqueid-bob");
	char text[60][16];

	for (int i = 0; i < 60; i++) {
		snprintf(text[i], sizeof(text[i]), "text %d", i % 50); /* some twice */
		peer_body(p, text[i]);
		box_add(&b, text[i], i % 3 ? FLAG_SEEN : 0);
	}
	assert_string_equal(peer_apply(p, &b), OK);
	peer_must_have(p, &b);
}

/* UIDs that came and went on the other side without a record left. */
static void gaps_raise_deletedmodseq(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);
	struct mailbox *m = rig_mailbox(p->rig, "user.bob");

	assert_int_equal(m->view.counters.deletedmodseq, 10);
	mailbox_close(&m);
	peer_body(p, "four");
	box_add(&b, "four", 0);
	assert_string_equal(peer_apply(p, &b), OK);
	m = rig_mailbox(p->rig, "user.bob");
	assert_int_equal(m->view.counters.deletedmodseq, 10); /* no gap this time */
	mailbox_close(&m);
	b.m.last_uid = 9;
	b.m.highestmodseq = 40;
	assert_string_equal(peer_apply(p, &b), OK);
	m = rig_mailbox(p->rig, "user.bob");
	assert_int_equal(m->view.counters.deletedmodseq, 40);
	mailbox_close(&m);
	peer_must_have(p, &b);
}

/* ---- the header is judged ------------------------------------------------------------------------------ */

/* In the order of the protocol: with several things wrong the first decides. The replica is at modseq 10, uidvalidity
 * 1000, last uid 3. */
static void header_checks_in_their_order(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);
	const struct {
		uint64_t since, highest;
		uint32_t uidvalidity, last_uid;
		const char *type, *answer;
		bool bad_body, forced; /* forced: FORCE lets it pass */
	} rows[] = {
		{9, 10, 1000, 3, "", CHANGED, false, false},
		{11, 10, 1000, 3, "", CHANGED, false, false},
		{11, 9, 999, 2, "c", CHANGED, true, false},
		{10, 9, 999, 2, "c", UNKNOWN_ERROR, true, false},
		{0, 9, 1000, 3, "", CHECKSUM, false, true},
		{0, 10, 999, 3, "", CHECKSUM, false, true},
		{0, 10, 1000, 2, "", CHECKSUM, false, true},
		{0, 9, 1000, 3, "", CHECKSUM, true, false},
		{0, 10, 1000, 3, "", UNKNOWN_ERROR, true, false},
		{10, 10, 1000, 3, "", OK, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct box x = b;
		if (rows[i].bad_body)
			box_add(&x, "never sent", 0)->uid = 4;
		x.m.has_since = rows[i].since != 0;
		x.m.since_modseq = rows[i].since;
		x.m.highestmodseq = rows[i].highest;
		x.m.uidvalidity = rows[i].uidvalidity;
		x.m.last_uid = rows[i].last_uid;
		x.m.mboxtype = span_of(rows[i].type);
		if (strcmp(peer_apply(p, &x), rows[i].answer) != 0)
			fail_msg("row %zu: %s", i, p->answer.data);
		peer_must_have(p, &b);
	}
	assert_said(p, "APPLY FORCE %()", OK);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct box x = b;
		if (!rows[i].forced)
			continue;
		x.m.highestmodseq = rows[i].highest;
		x.m.uidvalidity = rows[i].uidvalidity;
		x.m.last_uid = rows[i].last_uid;
		assert_string_equal(peer_apply(p, &x), OK);
		peer_must_have(p, &x);
	}
	/* It was this connection's. */
	peer_disconnect(p);
	peer_connect(p);
	b.m.highestmodseq = 9;
	assert_string_equal(peer_apply(p, &b), CHECKSUM);
}

static void since_looks_at_the_sums_too(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

	b.m.has_since = true;
	b.m.since_modseq = 10;
	b.m.since_crc = b.m.sync_crc ^ 1;
	b.m.since_crc_annot = b.m.sync_crc_annot;
	assert_string_equal(peer_put(p, &b), CHANGED);
	b.m.since_crc = 0;
	b.m.since_crc_annot ^= 1;
	assert_string_equal(peer_put(p, &b), CHANGED);
	b.m.since_crc_annot = 0;
	assert_string_equal(peer_put(p, &b), OK);
	/* Of a mailbox that is not there nothing can be said. */
	b = box_new("user.bob.new", "uniqueid-new");
	b.m.has_since = true;
	b.m.since_modseq = 1;
	assert_string_equal(peer_apply(p, &b), CHANGED);
	peer_must_lack(p, "user.bob.new");
}

static void a_reader_sees_what_force_lowered(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);
	struct mailbox *reader = rig_mailbox(p->rig, "user.bob");
	struct us_err err;

	assert_said(p, "APPLY FORCE %()", OK);
	b.m.highestmodseq = 7;
	b.m.last_uid = 2;
	assert_string_equal(peer_apply(p, &b), OK);
	assert_int_equal(mailbox_refresh(reader, &err), 1);
	assert_int_equal(mailbox_highestmodseq(reader), 7);
	assert_int_equal(reader->view.counters.last_uid, 2);
	assert_int_equal(reader->view.counters.deletedmodseq, 7);
	mailbox_close(&reader);
}

/* ---- the record table ------------------------------------------------------------------------------------ */

enum sent { NOTHING, ALIVE, EXPUNGED };

/* The replica has uid 1 alive at modseq 2, uid 2 expunged at modseq 3, nothing at uid 3, and UIDs up to 3. */
static void record_table(void **state UNUSED)
{
	static const struct {
		uint32_t uid;
		enum sent sent;
		uint64_t modseq;
		bool other_guid, staged, force;
		const char *answer;
	} rows[] = {
		/* R exists, both expunged */
		{2, EXPUNGED, 3, false, false, false, OK},
		{2, EXPUNGED, 2, true, false, false, OK},
		/* R exists, GUIDs differ */
		{1, ALIVE, 20, true, true, false, CHECKSUM},
		{1, EXPUNGED, 20, true, true, false, CHECKSUM},
		{1, ALIVE, 20, true, true, true, CHECKSUM},
		{2, ALIVE, 20, true, true, false, CHECKSUM},
		/* R.modseq > M.modseq */
		{1, ALIVE, 1, false, false, false, CHECKSUM},
		{1, ALIVE, 1, false, false, true, OK},
		/* R expunged, M not */
		{2, ALIVE, 20, false, false, false, CHECKSUM},
		{2, ALIVE, 20, false, false, true, CHECKSUM},
		/* R exists otherwise */
		{1, ALIVE, 2, false, false, false, OK},
		{1, ALIVE, 20, false, false, false, OK},
		{1, EXPUNGED, 20, false, false, false, OK},
		/* no R, M.uid <= last_uid */
		{3, EXPUNGED, 20, false, false, false, OK},
		{3, ALIVE, 20, false, true, false, CHECKSUM},
		/* no R, M.uid > last_uid */
		{4, ALIVE, 20, false, true, false, OK},
		{4, ALIVE, 20, false, false, false, UNKNOWN_ERROR},
		{4, EXPUNGED, 20, false, false, false, OK},
		{4, EXPUNGED, 20, false, true, false, OK},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct peer *p = peer_new();
		struct box b = peer_three(p), order, after;
		struct state_record r = {.uid = rows[i].uid}, *old = box_find(&b, rows[i].uid);
		const char *text = rows[i].other_guid ? "another"
				   : rows[i].uid == 1 ? "one"
				   : rows[i].uid == 2 ? "two"
						      : "new";
		bool skip = (rows[i].uid == 2 || rows[i].uid == 3) && rows[i].sent == EXPUNGED;

		if (old)
			r = *old;
		r.guid = guid_of(span_of(text));
		r.size = strlen(text);
		r.modseq = rows[i].modseq;
		r.system_flags = FLAG_DRAFT;
		r.expunged = rows[i].sent == EXPUNGED;
		if (rows[i].staged)
			peer_body(p, text);
		if (rows[i].force)
			assert_said(p, "APPLY FORCE %()", OK);
		/* What the client has after its change, and thinks that both will have. */
		after = b;
		if (!skip && old)
			*box_find(&after, r.uid) = r;
		else if (!skip)
			after.r[after.m.n_records++] = r;
		after.m.highestmodseq = 20;
		after.m.last_uid = rows[i].uid == 4 ? 4 : 3;
		box_settle(&after);
		order = after;
		order.r[0] = r;
		order.m.n_records = 1;
		if (strcmp(peer_put(p, &order), rows[i].answer) != 0)
			fail_msg("row %zu: %s", i, p->answer.data);
		peer_must_have(p, peer_code(p) == 0 ? &after : &b);
		peer_free(p);
	}
}

/* What a QRESYNC client of the replica needs: the expunge it ordered without a modseq gets one. */
static void expunged_on_both_sides_takes_the_higher_modseq(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

	assert_said(p, "APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID uniqueid-bob UID (1))", OK);
	b.r[0].expunged = true;
	peer_must_have(p, &b);
	b.r[0].system_flags = FLAG_DELETED; /* not taken */
	box_touch(&b, &b.r[0]);
	assert_string_equal(peer_apply(p, &b), OK);
	b.r[0].system_flags = FLAG_SEEN;
	peer_must_have(p, &b);
}

static void a_record_above_highestmodseq_raises_it(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

	b.r[0].modseq = 90;
	assert_string_equal(peer_apply(p, &b), OK);
	b.m.highestmodseq = 90;
	peer_must_have(p, &b);
}

static void bad_records_are_met_where_they_stand(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

#define HEAD                                                                             \
	"APPLY MAILBOX %(UNIQUEID uniqueid-bob MBOXNAME user.bob SYNC_CRC 0 LAST_UID 9 " \
	"HIGHESTMODSEQ 99 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 " \
	"UIDVALIDITY 1000 PARTITION default ACL \"\" OPTIONS P "
#define RECORD(uid)                                                                   \
	"%(UID " uid " MODSEQ 50 LAST_UPDATED 1 FLAGS () INTERNALDATE 1 SIZE 1 GUID " \
	"1111111111111111111111111111111111111111)"
	assert_said(p, HEAD "RECORD (%(UID 9)))", PROTOCOL);
	assert_said(p, HEAD "RECORD (%(UID 8) " RECORD("1") "))", PROTOCOL);
	assert_said(p, HEAD "RECORD (" RECORD("1") " %(UID 8)))",
		    CHECKSUM); /* it is another message */
	assert_said(p, HEAD "RECORD (" RECORD("9") " " RECORD("8") "))",
		    UNKNOWN_ERROR); /* no body */
	assert_said(p, HEAD "SINCE_MODSEQ 5 RECORD (%(UID 9)))", CHANGED);
	assert_said(p, "APPLY MAILBOX %(MBOXNAME user.bob RECORD (%(UID 1)))", BAD_PARAMETERS);
	assert_said(p, "APPLY MAILBOX (x)", BAD_PARAMETERS);
	assert_said(p, "APPLY MAILBOX %(UNIQUEID x RECORD (x)",
		    "BAD IMAP_PROTOCOL_ERROR Failed to parse APPLY line\r\n");
	peer_must_have(p, &b);
}

/* ---- sums at the end --------------------------------------------------------------------------------------- */

static void a_wrong_sum_leaves_what_was_written(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);
	struct box wrong;

	b.r[0].system_flags = FLAG_FLAGGED;
	box_touch(&b, &b.r[0]);
	box_settle(&b);
	wrong = b;
	wrong.m.sync_crc ^= 1;
	assert_string_equal(peer_put(p, &wrong), CHECKSUM);
	peer_must_have(p, &b);
	wrong.m.sync_crc = 0;
	wrong.m.sync_crc_annot ^= 1;
	assert_string_equal(peer_put(p, &wrong), CHECKSUM);
	wrong.m.sync_crc_annot = 0;
	assert_string_equal(peer_put(p, &wrong), OK); /* zero: do not care */
	wrong.partial = true;
	assert_string_equal(peer_put(p, &wrong), OK);
	peer_must_have(p, &b);
}

/* ---- which mailbox ------------------------------------------------------------------------------------------- */

static void a_clash_of_names_or_uniqueids(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p), x = b;

	x.m.uniqueid = SPAN_LIT("another");
	assert_string_equal(peer_apply(p, &x), MOVED); /* ours is not empty */
	x = b;
	x.m.name = SPAN_LIT("user.bob.elsewhere");
	assert_string_equal(peer_apply(p, &x), MOVED); /* the uniqueid is in use */
	peer_must_lack(p, "user.bob.elsewhere");
	x = box_new("user.bob.empty", "first");
	assert_string_equal(peer_apply(p, &x), OK);
	x.m.uniqueid = SPAN_LIT("second");
	assert_string_equal(peer_apply(p, &x), OK); /* an empty one gives way */
	peer_must_have(p, &x);
	assert_said(p, "GET UNIQUEIDS (first)", OK);
	x.m.uniqueid = b.m.uniqueid;
	assert_string_equal(peer_apply(p, &x), MOVED);
	assert_said(p, "APPLY FORCE %()", OK);
	b.m.uniqueid = SPAN_LIT("third");
	peer_body(p, "one");
	assert_string_equal(peer_apply(p, &b), OK); /* FORCE: any gives way */
	peer_must_have(p, &b);
}

/* Nothing goes before it is known that the other can come. */
static void what_gives_way_stays_if_the_other_cannot_come(void **state)
{
	struct peer *p = *state;
	struct box old = peer_three(p), b;

	assert_said(p, "APPLY FORCE %()", OK);
	b = box_new("user.bob", "another");
	box_add(&b, "never sent", 0);
	assert_string_equal(peer_apply(p, &b), UNKNOWN_ERROR);
	peer_must_have(p, &old);
	b = box_new("user.bob.new", "new");
	box_add(&b, "never sent", 0);
	assert_string_equal(peer_apply(p, &b), UNKNOWN_ERROR);
	peer_must_lack(p, "user.bob.new");
}

static void entries_without_records(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p);

#define ENTRY                                                                          \
	"APPLY MAILBOX %(UNIQUEID i MBOXNAME user.bob.a MBOXTYPE ei HIGHESTMODSEQ 20 " \
	"CREATEDMODSEQ 20 FOLDERMODSEQ 20)"
	assert_said(p, ENTRY, OK);
	assert_said(p, ENTRY, OK);
	assert_non_null(strstr(peer_say(p, "GET UNIQUEIDS (i)"), "MBOXNAME user.bob.a"));
	assert_non_null(strstr(peer_say(p, "GET MAILBOXES (user.bob.a)"),
			       "* MAILBOX %(UNIQUEID i MBOXNAME user.bob.a MBOXTYPE ei SYNC_CRC 0 "
			       "LAST_UID 0 "));
	assert_non_null(strstr(p->answer.data, "UIDVALIDITY 0 PARTITION NIL ACL \"\" OPTIONS \"\" "
					       "CREATEDMODSEQ 20 FOLDERMODSEQ 20)\r\n"));
	/* Not where a mailbox is, and not under a uniqueid that is in use. */
	assert_said(p, "APPLY MAILBOX %(UNIQUEID j MBOXNAME user.bob MBOXTYPE ei)", UNKNOWN_ERROR);
	assert_said(p, "APPLY MAILBOX %(UNIQUEID uniqueid-bob MBOXNAME user.bob.z MBOXTYPE ei)",
		    MOVED);
	assert_said(p, "APPLY MAILBOX %(UNIQUEID j MBOXNAME user.bob MBOXTYPE ed)", OK);
	peer_must_have(p, &b);
	/* A mailbox takes the place of an entry. */
	b = box_new("user.bob.a", "real");
	assert_string_equal(peer_apply(p, &b), OK);
	peer_must_have(p, &b);
	assert_said(p, "GET UNIQUEIDS (i)", OK);
}

static void scripts_need_the_capability(void **state)
{
	struct peer *p = *state;
	struct box b = box_new("user.bob.#sieve", "scripts"), x;

	b.m.mboxtype = SPAN_LIT("f");
	assert_string_equal(peer_apply(p, &b), BAD_PARAMETERS);
	assert_said(p, "APPLY CAPABILITIES (SIEVE-MAILBOX)", "* ENABLED (SIEVE-MAILBOX)\r\n" OK);
	peer_body(p, "script");
	box_add(&b, "script", FLAG_FLAGGED);
	assert_string_equal(peer_apply(p, &b), OK);
	peer_must_have(p, &b);
	/* Scripts born here give way to those that arrive. */
	x = b;
	x.m.uniqueid = SPAN_LIT("other scripts");
	assert_string_equal(peer_apply(p, &x), OK);
	peer_must_have(p, &x);
}

/* ---- refusals ------------------------------------------------------------------------------------------------- */

static void nothing_happens_when_the_observer_refuses(void **state)
{
	struct peer *p = *state;
	struct box b = peer_three(p), x = b;

	peer_body(p, "four");
	box_add(&x, "four", 0);
	p->rig->refuse = US_EIO;
	assert_string_equal(peer_apply(p, &x), UNKNOWN_ERROR);
	p->rig->refuse = 0;
	peer_must_have(p, &b);
	assert_string_equal(peer_apply(p, &x), OK); /* the body is still staged */
	peer_must_have(p, &x);
}

static void bodies_are_forgotten_by_restart(void **state)
{
	struct peer *p = *state;
	struct box b = box_new("user.bob", "uniqueid-bob");

	peer_body(p, "one");
	csync_restart(p->cs);
	box_add(&b, "one", 0);
	assert_string_equal(peer_apply(p, &b), UNKNOWN_ERROR);
	peer_must_lack(p, "user.bob");
}

/* More records than the spool may hold: refused, and the connection is in step. */
static void more_than_the_spool_may_hold(void **state)
{
	struct peer *p = *state;
	struct buf line = BUF_INIT;

	buf_add_str(&line, HEAD "RECORD (");
	for (int i = 1; i < 8000; i++)
		buf_printf(&line,
			   "%%(UID %d MODSEQ 50 LAST_UPDATED 1 FLAGS (\\Expunged) INTERNALDATE 1 "
			   "SIZE 1 GUID 1111111111111111111111111111111111111111) ",
			   i);
	buf_add_str(&line, "))\r\n");
	assert_string_equal(peer_send(p, buf_span(&line)), UNKNOWN_ERROR);
	peer_must_lack(p, "user.bob");
	buf_free(&line);
}

static void records_by_way_of_the_spool_file(void **state)
{
	struct peer *p = *state;
	struct buf line = BUF_INIT;
	struct mailbox *m;

	buf_add_str(&line, "APPLY MAILBOX %(UNIQUEID u MBOXNAME user.bob SYNC_CRC 0 SYNC_CRC_ANNOT "
			   "12345678 LAST_UID 3000 HIGHESTMODSEQ 99 RECENTUID 0 RECENTTIME 0 "
			   "LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1000 PARTITION default "
			   "ACL \"\" OPTIONS P RECORD (");
	for (int i = 1; i <= 3000; i++)
		buf_printf(&line,
			   "%%(UID %d MODSEQ 50 LAST_UPDATED %d FLAGS (\\Expunged k%d) "
			   "INTERNALDATE "
			   "1 SIZE 1 GUID 1111111111111111111111111111111111111111) ",
			   i, i, i % 7);
	buf_add_str(&line, "))\r\n");
	assert_string_equal(peer_send(p, buf_span(&line)), OK);
	m = rig_mailbox(p->rig, "user.bob");
	rig_check_counters(m);
	assert_int_equal(m->view.counters.records, 3000);
	assert_int_equal(view_find(&m->view, 2999)->last_updated, 2999);
	mailbox_close(&m);
	buf_free(&line);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_new_mailbox_is_what_was_sent),
		TEST(files_are_as_old_as_their_messages),
		TEST(a_delta_is_applied),
		TEST(keywords_keep_the_spelling_of_their_first_use),
		TEST(fields_that_are_zero_stay_zero),
		TEST(annotations_are_replaced_as_a_set),
		TEST(many_messages_in_one_order),
		TEST(gaps_raise_deletedmodseq),
		TEST(header_checks_in_their_order),
		TEST(since_looks_at_the_sums_too),
		TEST(a_reader_sees_what_force_lowered),
		cmocka_unit_test(record_table),
		TEST(expunged_on_both_sides_takes_the_higher_modseq),
		TEST(a_record_above_highestmodseq_raises_it),
		TEST(bad_records_are_met_where_they_stand),
		TEST(a_wrong_sum_leaves_what_was_written),
		TEST(a_clash_of_names_or_uniqueids),
		TEST(what_gives_way_stays_if_the_other_cannot_come),
		TEST(entries_without_records),
		TEST(scripts_need_the_capability),
		TEST(nothing_happens_when_the_observer_refuses),
		TEST(bodies_are_forgotten_by_restart),
		TEST(more_than_the_spool_may_hold),
		TEST(records_by_way_of_the_spool_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
