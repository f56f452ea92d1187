/* test_copy.c - what goes along with a copied message, and what does not. */
#include "tests/unit/store/rig.h"

#include "server/store/copy.h"
#include "server/store/userdata.h"

#define FROM    "user.bob"
#define TO      "user.bob.kept"
#define MESSAGE "From: a@b\r\nSubject: x\r\n\r\nhello\r\n"

static const struct copy_what everything = {FLAG_FLAGGED, true, true, SPAN_LIT("bob"), false};

/* One message with a keyword, an annotation for all, one of bob's and one of carol's. */
static void furnish(struct rig *rig)
{
	struct mailbox *m;
	struct commit *c;
	struct record r;
	unsigned bit;
	struct us_err err;

	rig_append(rig, FROM, MESSAGE, 0);
	m = rig_mailbox(rig, FROM);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("$Work"), &bit, &err), &err);
	r = *view_find(&m->view, 1);
	record_set_user_flag(&r, bit, true);
	r.modseq = commit_modseq(c);
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("for all"),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("his"),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/comment"), SPAN_LIT("carol"), SPAN_LIT("hers"),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

/* Copy the first message so many times in one commit; gives the last uid. */
static uint32_t copy(struct rig *rig, const char *to, const struct copy_what *what, unsigned times)
{
	struct mailbox *from = rig_mailbox(rig, FROM), *other = NULL, *target = from;
	struct commit *c;
	uint32_t uid = 0;
	struct us_err err;

	if (strcmp(to, FROM) != 0)
		target = other = rig_mailbox(rig, to);
	assert_ok(mailbox_lock(target, &err), &err);
	assert_ok(commit_begin(target, &c, &err), &err);
	while (times--)
		assert_ok(copy_message(c, from, view_find(&from->view, 1), what, &uid, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&other);
	mailbox_close(&from);
	return uid;
}

static bool has_keyword(struct mailbox *m, uint32_t uid, const char *name)
{
	for (unsigned i = 0; i < USER_FLAGS; i++) {
		struct span s = m->view.names.bit[i].name;
		if (s.ptr && span_eq(s, span_of(name)))
			return record_has_user_flag(view_find(&m->view, uid), i);
	}
	return false;
}

/* All of it as bob may have it, the same as the first of `from` but for what is new. */
static void check_whole(struct rig *rig, const char *name, uint32_t uid)
{
	struct mailbox *from = rig_mailbox(rig, FROM), *m = rig_mailbox(rig, name);
	const struct record *old = view_find(&from->view, 1), *new = view_find(&m->view, uid);
	const struct state_annotation *a;
	size_t n;

	assert_non_null(new);
	assert_int_equal(new->system_flags, FLAG_FLAGGED);
	assert_int_equal(new->internaldate_ns, old->internaldate_ns);
	assert_int_equal(new->size, old->size);
	assert_memory_equal(&new->guid, &old->guid, sizeof(old->guid));
	assert_true(has_keyword(m, uid, "$Work"));
	a = annots_of(&m->view.annots, uid, &n);
	assert_int_equal(n, 2);
	assert_span(a[0].userid, "");
	assert_span(a[0].value, "for all");
	assert_span(a[1].userid, "bob");
	assert_span(a[1].value, "his");
	assert_int_equal(new->annot_bytes, strlen("for allhis"));
	annots_of(&from->view.annots, 1, &n);
	assert_int_equal(n, 3);
	mailbox_close(&m);
	mailbox_close(&from);
}

static void to_another_mailbox(void **state)
{
	struct rig *rig = *state;
	unsigned other;
	struct mailbox *m;
	struct commit *c;
	struct us_err err;

	rig_create(rig, FROM);
	rig_create(rig, TO);
	furnish(rig);
	/* There the keyword's bit is somebody else's. */
	m = rig_mailbox(rig, TO);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("$Play"), &other, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
	assert_int_equal(copy(rig, TO, &everything, 1), 1);
	check_whole(rig, TO, 1);
	m = rig_mailbox(rig, TO);
	assert_false(has_keyword(m, 1, "$Play"));
	mailbox_close(&m);
}

/* What is copied from grows while we copy: enough times for every array to move. */
static void to_the_same_mailbox(void **state)
{
	struct rig *rig = *state;

	rig_create(rig, FROM);
	furnish(rig);
	assert_int_equal(copy(rig, FROM, &everything, 300), 301);
	for (uint32_t uid = 2; uid <= 301; uid++)
		check_whole(rig, FROM, uid);
}

/* Without the right to write flags, or to annotate. */
static void without_what_may_not_go(void **state)
{
	struct rig *rig = *state;
	const struct copy_what nothing = {.userid = SPAN_LIT("bob")};
	struct mailbox *m;
	size_t n;

	rig_create(rig, FROM);
	rig_create(rig, TO);
	furnish(rig);
	assert_int_equal(copy(rig, TO, &nothing, 1), 1);
	m = rig_mailbox(rig, TO);
	assert_int_equal(view_find(&m->view, 1)->system_flags, 0);
	assert_false(has_keyword(m, 1, "$Work"));
	annots_of(&m->view.annots, 1, &n);
	assert_int_equal(n, 0);
	mailbox_close(&m);
}

/* Every bit taken: the keyword is lost, the message is not. */
static void where_no_keyword_fits(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct commit *c;
	struct us_err err;

	rig_create(rig, FROM);
	rig_create(rig, TO);
	furnish(rig);
	m = rig_mailbox(rig, TO);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	for (unsigned i = 0; i < USER_FLAGS; i++) {
		char name[16];
		unsigned bit;
		snprintf(name, sizeof(name), "k%u", i);
		assert_ok(commit_flag_bit(c, span_of(name), &bit, &err), &err);
	}
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
	assert_int_equal(copy(rig, TO, &everything, 1), 1);
	m = rig_mailbox(rig, TO);
	assert_int_equal(view_find(&m->view, 1)->system_flags, FLAG_FLAGGED);
	assert_false(has_keyword(m, 1, "$Work"));
	mailbox_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(to_another_mailbox, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(to_the_same_mailbox, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(without_what_may_not_go, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(where_no_keyword_fits, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
