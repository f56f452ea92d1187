/* append_settle.c - the end of APPEND: those that are held come into their mailbox, and are answered.
 *
 *	held: one ------------------------------------> alone() --> answers
 *	      several --> together(): one commit of all -------> answers
 *			       '--> one of them cannot: alone(), each
 *
 * Invariants
 *   (1) Nobody is told OK before the commit that has his messages is durable.
 *   (2) Who fails, fails alone: a quota, a flag too many or a full disk that is met before the common commit reaches its end
 *       undoes it, and each command is done by itself, in order. A commit that fails in its end is not tried again, as it may
 *       have come to be: then all of them hear NO, as one would.
 *   (3) What the client is told stands in the order of his commands; his news come before, once for all.
 */
#include "server/base/conf.h"
#include "server/imap/append.h"
#include "server/imap/append_private.h"
#include "server/imap/session.h"
#include "server/imap/uidset.h"
#include "server/store/acl.h"
#include "server/store/commit.h"
#include "server/store/message.h"
#include "server/store/quota.h"

/* ---- one command's part of a commit ------------------------------------------------------------------ */

static int set_flags(struct commit *c, const struct target *t, const struct append_message *message,
		     struct record *r, struct us_err *err)
{
	int rc = 0;

	r->system_flags = target_flags(t, message->system);
	for (size_t i = 0; rc == 0 && t->rights & ACL_WRITE && i < message->n_keywords; i++) {
		unsigned bit;

		rc = commit_flag_bit(c, message->keyword[i], &bit, err);
		if (rc == 0)
			record_set_user_flag(r, bit, true);
	}
	return rc;
}

static int annotate(struct imap_session *s, struct commit *c,
		    const struct annotate_values *annotations, uint32_t uid, struct us_err *err)
{
	const struct annotate_source none = {NULL, 0, SPAN_NULL};

	return annotations->n ? annotate_message(s, c, &none, uid, annotations, err) : 0;
}

static int add_message(struct imap_session *s, struct commit *c, const struct target *t,
		       const struct append_message *message, struct append_body *body,
		       uint32_t *uid, struct us_err *err)
{
	struct record r = {.internaldate_ns = body->internaldate_ns};
	int rc = set_flags(c, t, message, &r, err);

	if (rc == 0)
		rc = message_append(c, &body->staged, &r, uid, err);
	return rc < 0 ? rc : annotate(s, c, &message->annotations, *uid, err);
}

static int add_command(struct imap_session *s, struct commit *c, const struct target *t,
		       struct append_command *a, struct uidset *seen, struct us_err *err)
{
	int rc = 0;

	uidset_clear(&a->uids);
	for (size_t i = 0; rc == 0 && i < a->n; i++) {
		const struct append_message *message = &a->args->message[i];
		uint32_t uid;

		rc = add_message(s, c, t, message, &a->body[i], &uid, err);
		if (rc < 0)
			break;
		uidset_add(&a->uids, uid, uid);
		if (message->system & FLAG_SEEN)
			uidset_add(seen, uid, uid);
	}
	return rc;
}

/* May he set what he sends of annotations? Counts their bytes. US_EPERM; US_ELIMIT: a value is too long; US_EQUOTA: they are too
 * many. */
static int check_annotations(struct imap_session *s, const struct target *t,
			     const struct args_append *args, uint64_t *bytes, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < args->n; i++) {
		const struct annotate_values *values = &args->message[i].annotations;

		rc = annotate_check(s, values, t->rights | ACL_READ, err);
		if (rc == 0 &&
		    values->n > (size_t)conf_int(s->host->conf, CONF_annotation_count_max))
			rc = us_fail(err, US_EQUOTA, "%zu annotations", values->n);
		for (size_t j = 0; j < values->n; j++)
			*bytes += values->item[j].value.len;
	}
	return rc;
}

/* As they are now: munging may have changed them since they were announced. */
static void count_bodies(const struct append_command *a, struct quota_wanted *wanted)
{
	wanted->messages += a->n;
	for (size_t i = 0; i < a->n; i++)
		wanted->bytes += a->body[i].staged.size;
}

/* ---- a commit -------------------------------------------------------------------------------------- */

/* Add all of the list. On failure nothing has changed. */
static int add_all(struct imap_session *s, const struct target *t, struct append_command *list,
		   size_t n, struct uidset *seen, struct commit **out, struct us_err *err)
{
	struct commit *c = NULL;
	int rc = commit_begin(t->mailbox, &c, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_command(s, c, t, &list[i], seen, err);
	if (rc < 0)
		commit_abort(&c);
	else
		*out = c;
	return rc;
}

static int tell_uids(struct imap_session *s, const struct target *t, const struct uidset *uids)
{
	struct buf text = BUF_INIT;
	int rc;

	uidset_format(uids, &text);
	rc = imap_ok(s, "[APPENDUID %u %s] Completed", t->mailbox->view.counters.uidvalidity,
		     text.data);
	buf_free(&text);
	return rc;
}

/* The answer of each, now that it is known what became of the commit. */
static void set_answers(struct imap_session *s, const struct target *t, struct append_command *list,
			size_t n, int rc, const struct us_err *err)
{
	for (size_t i = 0; i < n; i++) {
		int code = rc;

		imap_held_begin(s, &list[i].held);
		if (rc == 0)
			code = tell_uids(s, t, &list[i].uids);
		else
			code = target_fail(s, rc);
		if (code < 0) /* logged once */
			(void)imap_fail(s, code, NULL, i ? NULL : err);
		imap_held_end(s, &list[i].held);
	}
}

/* What was added becomes durable; *c is freed. */
static void finish(struct imap_session *s, struct target *t, struct append_command *list, size_t n,
		   struct commit **c, const struct uidset *seen)
{
	struct us_err err = US_ERR_INIT;
	int rc = commit_finish(c, &err);

	if (rc == 0)
		target_add_seen(t, seen);
	set_answers(s, t, list, n, rc, &err);
}

/* ---- together ---------------------------------------------------------------------------------------- */

static int check_all(struct imap_session *s, const struct target *t,
		     const struct append_command *list, size_t n, struct us_err *err)
{
	struct quota_wanted wanted = {.messages = 0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		count_bodies(&list[i], &wanted);
		rc = check_annotations(s, t, list[i].args, &wanted.annotation_bytes, err);
	}
	return rc < 0 ? rc : quota_check(s->host->store, list[0].access.name, &wanted, err);
}

/* False: it cannot be, nothing has changed, and nobody has an answer. */
static bool together(struct imap_session *s, struct append_command *list, size_t n)
{
	struct target target = {0};
	struct uidset seen = UIDSET_INIT;
	struct commit *c = NULL;
	struct us_err err = US_ERR_INIT; /* whom it concerns finds it again */
	int rc = target_open(s, &list[0].access, &target, &err);

	if (rc == 0)
		rc = check_all(s, &target, list, n, &err);
	if (rc == 0)
		rc = add_all(s, &target, list, n, &seen, &c, &err);
	if (rc == 0)
		finish(s, &target, list, n, &c, &seen);
	target_close(&target);
	uidset_free(&seen);
	return rc == 0;
}

/* ---- alone ------------------------------------------------------------------------------------------- */

/* 1: he may add them; 0: the tagged line is set; or a code. */
static int check_one(struct imap_session *s, const struct target *t, const struct append_command *a,
		     struct us_err *err)
{
	struct quota_wanted wanted = {.messages = 0};
	int rc = check_annotations(s, t, a->args, &wanted.annotation_bytes, err);

	if (rc == US_ELIMIT)
		return imap_no(s, "[ANNOTATE TOOBIG] Annotation value is too long");
	if (rc == US_EQUOTA)
		return imap_no(s, "[ANNOTATE TOOMANY] Too many annotations");
	if (rc < 0)
		return rc;
	count_bodies(a, &wanted);
	rc = quota_check(s->host->store, a->access.name, &wanted, err);
	return rc < 0 ? rc : 1;
}

/* With the target open: 0 with the tagged line set, or a code. */
static int add_one(struct imap_session *s, struct target *t, struct append_command *a,
		   struct us_err *err)
{
	struct uidset seen = UIDSET_INIT;
	struct commit *c = NULL;
	int rc = check_one(s, t, a, err);

	if (rc > 0) {
		rc = add_all(s, t, a, 1, &seen, &c, err);
		if (rc < 0)
			rc = target_fail(s, rc);
		else
			finish(s, t, a, 1, &c, &seen);
	}
	uidset_free(&seen);
	return rc;
}

static void alone(struct imap_session *s, struct append_command *a)
{
	struct target target = {0};
	struct us_err err = US_ERR_INIT;
	int rc;

	imap_held_begin(s, &a->held);
	rc = target_open(s, &a->access, &target, &err);
	if (rc == 0)
		rc = add_one(s, &target, a, &err);
	target_close(&target);
	if (rc < 0)
		(void)imap_fail(s, rc, NULL, &err);
	imap_held_end(s, &a->held);
}

/* ---- all that is held ---------------------------------------------------------------------------------- */

static void tell_news(struct imap_session *s)
{
	struct us_err err = US_ERR_INIT;

	if (!s->leaving) /* what goes wrong is in the log; the messages are there */
		(void)imap_tell_news(s, /* keep_numbers */ false, &err);
}

void append_settle(struct imap_session *s)
{
	struct append *a = s->append;

	if (a->n_held == 1 || !together(s, a->held, a->n_held))
		for (size_t i = 0; i < a->n_held; i++)
			alone(s, &a->held[i]);
	tell_news(s);
	for (size_t i = 0; i < a->n_held; i++) {
		imap_held_answer(s, &a->held[i].held);
		append_command_fini(&a->held[i]);
	}
	a->n_held = a->held_messages = 0;
	a->held_bytes = 0;
}
