/* test_digest.c - the digest of a user: everything that is compared shows in it, and nothing else. */
#include "tests/unit/reconcile/states.h"

#include "server/csync/digest.h"

/* A user with one of everything; tests change it. */
struct everything {
	struct state_annotation annotations[2];
	struct state_mailbox mailboxes[2];
	struct state_quota quotas[1];
	struct span subscriptions[2];
	struct state_seen seen[1];
	struct state_sieve sieve[1];
	struct state_user user;
};

static void fill(struct everything *e)
{
	*e = (struct everything){
		.annotations = {{SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("x"), 0},
				{SPAN_LIT("/expire"), SPAN_LIT(""), SPAN_LIT("3"), 0}},
		.mailboxes = {mailbox("a", "user.bob"), mailbox("b", "user.bob.B")},
		.quotas = {{SPAN_LIT("user.bob"), {50, 100, -1, -1}, 9}},
		.subscriptions = {SPAN_LIT("user.bob"), SPAN_LIT("user.bob.B")},
		.seen = {{SPAN_LIT("z"), 1, 2, 3, SPAN_LIT("1:2")}},
		.sieve = {{SPAN_LIT("a.script"), 7, guid_n(1), true}},
	};
	e->mailboxes[0].annotations = e->annotations;
	e->mailboxes[0].n_annotations = 2;
	e->user = (struct state_user){.userid = SPAN_LIT("bob"),
				      .mailboxes = e->mailboxes,
				      .n_mailboxes = 2,
				      .quotas = e->quotas,
				      .n_quotas = 1,
				      .subscriptions = e->subscriptions,
				      .n_subscriptions = 2,
				      .seen = e->seen,
				      .n_seen = 1,
				      .sieve = e->sieve,
				      .n_sieve = 1};
}

static bool changes(struct everything *e, bool sieve_mailbox)
{
	struct everything before;
	struct sha256 a, b;

	fill(&before);
	a = digest_of_user(&before.user, sieve_mailbox);
	b = digest_of_user(&e->user, sieve_mailbox);
	fill(e);
	return !sha256_eq(&a, &b);
}

/* One change, and the digest is another. */
#define SHOWS(change)                        \
	do {                                 \
		change;                      \
		assert_true(changes(&e, 0)); \
	} while (0)
#define SHOWS_NOT(change)                     \
	do {                                  \
		change;                       \
		assert_false(changes(&e, 0)); \
	} while (0)

static void what_is_compared_shows(void **state UNUSED)
{
	struct everything e;
	struct state_mailbox *m = &e.mailboxes[1];

	fill(&e);
	SHOWS_NOT((void)0);
	SHOWS(m->name = SPAN_LIT("user.bob.C"));
	SHOWS(m->uniqueid = SPAN_LIT("c"));
	SHOWS(m->mboxtype = SPAN_LIT("c"));
	SHOWS(m->partition = SPAN_LIT("other"));
	SHOWS(m->acl = SPAN_LIT("bob\tlr\t"));
	SHOWS(m->sync_crc++);
	SHOWS(m->sync_crc_annot++);
	SHOWS(m->last_uid++);
	SHOWS(m->highestmodseq++);
	SHOWS(m->recentuid++);
	SHOWS(m->recenttime++);
	SHOWS(m->pop3_last_login++);
	SHOWS(m->pop3_show_after++);
	SHOWS(m->xconvmodseq++);
	SHOWS(m->raclmodseq++);
	SHOWS(m->foldermodseq++);
	SHOWS(m->uidvalidity++);
	SHOWS(m->options ^= MAILBOX_OPTION_SHARED_SEEN);
	SHOWS(e.annotations[0].value = SPAN_LIT("y"));
	SHOWS(e.annotations[1].entry = SPAN_LIT("/expires"));
	SHOWS(e.annotations[1].userid = SPAN_LIT("bob"));
	SHOWS(e.mailboxes[0].n_annotations = 1);
	SHOWS(e.user.n_mailboxes = 1);
	SHOWS(e.quotas[0].root = SPAN_LIT("user"));
	SHOWS(e.quotas[0].limit[STATE_NUM_FOLDERS] = 4);
	SHOWS(e.user.n_quotas = 0);
	SHOWS(e.subscriptions[1] = SPAN_LIT("user.bob.C"));
	SHOWS(e.user.n_subscriptions = 1);
	SHOWS(e.seen[0].uniqueid = SPAN_LIT("y"));
	SHOWS(e.seen[0].lastread++);
	SHOWS(e.seen[0].lastuid++);
	SHOWS(e.seen[0].lastchange++);
	SHOWS(e.seen[0].seenuids = SPAN_LIT("1:3"));
	SHOWS(e.user.n_seen = 0);
	SHOWS(e.sieve[0].filename = SPAN_LIT("b.script"));
	SHOWS(e.sieve[0].last_update++);
	SHOWS(e.sieve[0].guid = guid_n(2));
	SHOWS(e.sieve[0].active = false);
	SHOWS(e.user.n_sieve = 0);
}

static void what_is_not_compared_does_not(void **state UNUSED)
{
	struct everything e;
	struct state_mailbox *m = &e.mailboxes[1];

	fill(&e);
	SHOWS_NOT(m->mboxtype = SPAN_LIT("e"));
	SHOWS_NOT(m->last_appenddate++);
	SHOWS_NOT(m->createdmodseq++);
	SHOWS_NOT(m->deletedmodseq++);
	SHOWS_NOT(m->quotaroot = SPAN_LIT("user.bob"));
	SHOWS_NOT(e.quotas[0].modseq++);
	SHOWS_NOT(e.annotations[0].modseq++);
	SHOWS_NOT(e.user.userid = SPAN_LIT("rob"));
}

/* As mailboxes the scripts are in the mailboxes; as commands, in the list of scripts. */
static void scripts_count_once(void **state UNUSED)
{
	struct everything e;

	fill(&e);
	e.user.n_sieve = 0;
	assert_false(changes(&e, true));
	e.mailboxes[1].mboxtype = SPAN_LIT("f");
	assert_true(changes(&e, true));
	e.mailboxes[1].mboxtype = SPAN_LIT("f");
	e.mailboxes[1].highestmodseq++;
	assert_true(changes(&e, false)); /* against a plain one: it is hidden now */
}

static void texts_cannot_run_together(void **state UNUSED)
{
	struct everything e;
	struct sha256 sum = sha256_of(SPAN_LIT("")), other = sha256_of(SPAN_LIT("x"));
	struct buf a = BUF_INIT, b = BUF_INIT;

	fill(&e);
	SHOWS((e.subscriptions[0] = SPAN_LIT("user.bobuser.bob.B"), e.user.n_subscriptions = 1));
	digest_add(&a, SPAN_LIT("a"), &sum);
	digest_add(&a, SPAN_LIT("bc"), &sum);
	digest_add(&b, SPAN_LIT("ab"), &sum);
	digest_add(&b, SPAN_LIT("c"), &sum);
	assert_false(span_eq(buf_span(&a), buf_span(&b)));
	buf_clear(&b);
	digest_add(&b, SPAN_LIT("a"), &sum);
	digest_add(&b, SPAN_LIT("bc"), &other);
	assert_false(span_eq(buf_span(&a), buf_span(&b)));
	buf_free(&a);
	buf_free(&b);
}

static void sums_are_those_of_the_standard(void **state UNUSED)
{
	struct sha256 sum = sha256_of(SPAN_LIT("abc")); /* FIPS 180-4's own example */
	char hex[SHA256_HEX];

	sha256_format(&sum, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_compared_shows),
		cmocka_unit_test(what_is_not_compared_does_not),
		cmocka_unit_test(scripts_count_once),
		cmocka_unit_test(texts_cannot_run_together),
		cmocka_unit_test(sums_are_those_of_the_standard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
