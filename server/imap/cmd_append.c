/* cmd_append.c - APPEND (RFC 3501, 6.3.11; APPENDUID: RFC 4315): the message lies in the stage when this runs.
 *
 * What is not a message as the store keeps them is refused in Cyrus's words. 8-bit characters in a header are refused or
 * made X, as the configuration says.
 */
#include <sys/mman.h>

#include "server/base/conf.h"
#include "server/base/mem.h"
#include "server/imap/append.h"
#include "server/imap/append_private.h"
#include "server/imap/session.h"
#include "server/imap/uidset.h"
#include "server/store/acl.h"
#include "server/store/commit.h"
#include "server/store/message.h"
#include "server/store/mime/check.h"
#include "server/store/quota.h"

/* SP words "{n}" CRLF, the octets being elsewhere, and nothing behind them. */
int parse_append(struct parse *p, void **out, struct us_err *err)
{
	struct args_append *args = pool_alloc(p->pool, sizeof(*args));
	struct scan words = p->s;
	int rc;

	if (p->frame->streamed_at != FRAMER_NO_STREAM)
		words.text.len = p->frame->streamed_at;
	rc = append_parse_words(&words, p->pool, args, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || p->frame->streamed_at == FRAMER_NO_STREAM || !scan_ok_at_end(&words))
		return us_fail(err, US_EPROTO, "Missing required argument to Append command");
	p->s.at = p->frame->streamed_at;
	(void)scan_until(&p->s, '\n');
	(void)scan_byte(&p->s);
	rc = parse_end(p, err);
	if (rc == 0)
		*out = args;
	return rc;
}

/* ---- is it a message? ---------------------------------------------------------------------------- */

/* Stage the message anew, with an X for each 8-bit character of its header. `bytes` are ours to change. */
static int stage_munged(struct append *a, char *bytes, size_t len, struct us_err *err)
{
	struct staged munged;
	int rc = staged_begin(a->stage, NULL, &munged, err);

	if (rc < 0)
		return rc;
	(void)mime_munge8bit(bytes, len);
	rc = staged_write(&munged, bytes, len, err);
	staged_drop(rc < 0 ? &munged : &a->staged, /* remove */ true);
	if (rc == 0)
		a->staged = munged;
	return rc;
}

/* 1: it is one now; 0: the tagged line is set; or a code. */
static int check_message(struct imap_session *s, char *bytes, size_t len, struct us_err *err)
{
	const struct conf *conf = s->host->conf;
	struct mime_faults faults;
	enum mime_fault first;
	int rc = 0;

	(void)mime_check(span_make(bytes, len), &faults);
	first = mime_check_first(&faults, conf_bool(conf, CONF_reject8bit));
	if (first != MIME_FAULTS)
		return imap_no(s, "%s", mime_fault_text(first));
	if (faults.found[MIME_FAULT_8BIT_HEADER] && conf_bool(conf, CONF_munge8bit))
		rc = stage_munged(s->append, bytes, len, err);
	return rc < 0 ? rc : 1;
}

/* Look at what was staged, in a mapping that changes no file. */
static int check_staged(struct imap_session *s, struct us_err *err)
{
	const struct staged *staged = &s->append->staged;
	size_t len = (size_t)staged->size;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, staged->fd, 0);
	int rc;

	if (map == MAP_FAILED)
		return us_fail_errno(err, "map a staged message");
	rc = check_message(s, map, len, err);
	munmap(map, len);
	return rc;
}

/* ---- adding it ----------------------------------------------------------------------------------- */

static int set_flags(struct commit *c, const struct target *t, const struct args_append *args,
		     struct record *r, struct us_err *err)
{
	int rc = 0;

	r->system_flags = target_flags(t, args->system);
	for (size_t i = 0; rc == 0 && t->rights & ACL_WRITE && i < args->n_keywords; i++) {
		unsigned bit;

		rc = commit_flag_bit(c, args->keyword[i], &bit, err);
		if (rc == 0)
			record_set_user_flag(r, bit, true);
	}
	return rc;
}

static int add_message(struct target *t, const struct args_append *args, struct staged *staged,
		       int64_t internaldate_ns, uint32_t *uid, struct us_err *err)
{
	struct record r = {.internaldate_ns = internaldate_ns};
	struct commit *c = NULL;
	int rc = commit_begin(t->mailbox, &c, err);

	if (rc == 0)
		rc = set_flags(c, t, args, &r, err);
	if (rc == 0)
		rc = message_append(c, staged, &r, uid, err);
	if (rc < 0)
		commit_abort(&c);
	else
		rc = commit_finish(&c, err);
	return rc;
}

/* With the target open. */
static int append_to(struct imap_session *s, struct target *t, const struct args_append *args,
		     struct us_err *err)
{
	struct staged *staged = &s->append->staged;
	struct quota_wanted wanted = {.bytes = staged->size, .messages = 1};
	int64_t ns = store_internaldate_ns(args->has_date ? args->date.time : 0);
	struct uidset uids = UIDSET_INIT;
	uint32_t uid = 0;
	int rc = quota_check(s->host->store, s->append->access.name, &wanted, err);

	if (rc == 0)
		rc = staged_end(staged, ns, err);
	if (rc == 0)
		rc = add_message(t, args, staged, ns, &uid, err);
	if (rc < 0)
		return target_fail(s, rc);
	if (args->system & FLAG_SEEN) {
		uidset_add(&uids, uid, uid);
		rc = target_add_seen(t, &uids, err);
		uidset_free(&uids);
	}
	if (rc < 0)
		return rc;
	return imap_ok(s, "[APPENDUID %u %u] Completed", t->mailbox->view.counters.uidvalidity,
		       uid);
}

int run_append(struct imap_session *s, const void *arg, struct us_err *err)
{
	struct target target = {0};
	int rc = s->framer.frame.streamed_code;

	if (rc < 0)
		return us_fail(err, rc, "%s", s->framer.err.text);
	us_assert(s->append && s->append->is_staged); /* parse_append() saw it pass */
	rc = check_staged(s, err);
	if (rc <= 0)
		return rc;
	rc = target_open(s, &s->append->access, &target, err);
	if (rc == 0)
		rc = append_to(s, &target, arg, err);
	target_close(&target);
	return rc;
}
