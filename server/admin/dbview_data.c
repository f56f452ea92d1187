/* dbview_data.c - the other databases of a Cyrus (dbview.h): annotations, deliveries, quotas, subscriptions, seen state. */
#include "server/admin/dbview_private.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/dlist.h"
#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/rows.h"
#include "server/store/userdata.h"

/* ---- annotations.db -------------------------------------------------------------------------------
 *
 *	value	u32 length of the text, u32 0 (both in network order), text NUL "text/plain" NUL, u64 time: 0,
 *		u64 modseq, u8 flags: 0
 * To set, the bare text will do. */

static void annotation_value(const struct state_annotation *a, struct buf *out)
{
	uint32_t head[2] = {htobe32((uint32_t)a->value.len), 0};
	uint64_t tail[2] = {0, htobe64(a->modseq)};

	buf_add(out, head, sizeof(head));
	buf_add_span(out, a->value);
	buf_add(out, "\0text/plain", sizeof("\0text/plain"));
	buf_add(out, tail, sizeof(tail));
	buf_add_char(out, '\0');
}

static struct span annotation_text(struct span value)
{
	uint32_t len;

	if (value.len < 8)
		return value;
	memcpy(&len, value.ptr, 4);
	len = be32toh(len);
	return len <= value.len - 8 && memcmp(value.ptr + 4, "\0\0\0\0", 4) == 0
		       ? span_make(value.ptr + 8, len)
		       : value;
}

struct telling {
	struct dbview *view;
	dbview_fn *fn;
	void *ctx;
	struct us_err *err;
};

static int tell_annotations(struct telling *t, const struct storeid *id, struct span uniqueid)
{
	const struct state_annotation *all;
	struct buf key = BUF_INIT, value = BUF_INIT;
	size_t n;
	int rc = annotations_list(t->view->store, id, t->view->pool, &all, &n, t->err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_clear(&key);
		buf_clear(&value);
		buf_add_span(&key, uniqueid);
		buf_add_char(&key, '\0');
		buf_add_span(&key, all[i].entry);
		buf_add_char(&key, '\0');
		buf_add_span(&key, all[i].userid);
		buf_add_char(&key, '\0');
		annotation_value(&all[i], &value);
		rc = t->fn(t->ctx, buf_span(&key), buf_span(&value), t->err);
	}
	buf_free(&key);
	buf_free(&value);
	return rc;
}

static int tell_of_mailbox(void *ctx, struct span uniqueid, struct span name,
			   const struct meta_stamp *stamp UNUSED)
{
	struct telling *t = ctx;
	struct mailbox_row row;
	int rc;

	pool_clear(t->view->pool);
	rc = mailbox_row_get(t->view->store, name, t->view->pool, &row, NULL, NULL, t->err);
	return rc > 0 && row.has_storeid ? tell_annotations(t, &row.storeid, uniqueid)
					 : (rc < 0 ? rc : 0);
}

static int each_annotation(struct dbview *view, struct span prefix UNUSED, dbview_fn *fn, void *ctx,
			   struct us_err *err)
{
	struct telling t = {view, fn, ctx, err};
	int rc = tell_annotations(&t, NULL, SPAN_LIT(""));

	return rc ? rc
		  : meta_range(store_meta(view->store), META_BY_UNIQUEID, SPAN_NULL, SPAN_NULL, 0,
			       tell_of_mailbox, &t, err);
}

static int set_mailbox_annotation(struct dbview *view, struct span uniqueid, struct span entry,
				  struct span userid, struct span value, struct us_err *err)
{
	struct buf name = BUF_INIT;
	struct mailbox *m = NULL;
	int rc = mailbox_name_of_uniqueid(view->store, uniqueid, &name, err);

	if (rc == 0)
		rc = us_fail(err, US_ENOENT, "no mailbox has that uniqueid");
	if (rc > 0)
		rc = mailbox_open(view->store, buf_span(&name), &m, err);
	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = annotation_set(m, entry, userid, value, err);
	mailbox_close(&m);
	buf_free(&name);
	return rc;
}

/* value.ptr NULL: remove. */
static int put_annotation(struct dbview *view, struct span key, struct span value,
			  struct us_err *err)
{
	struct span uniqueid, entry, userid;

	if (!span_split(&key, '\0', &uniqueid) || !span_split(&key, '\0', &entry) || !entry.len)
		return us_fail(err, US_EINVAL,
			       "a key is uniqueid, entry and user, each with a NUL");
	if (!span_split(&key, '\0', &userid))
		userid = SPAN_LIT("");
	if (uniqueid.len)
		return set_mailbox_annotation(view, uniqueid, entry, userid, value, err);
	return annotation_set_server(view->store, entry, userid, value, err);
}

static int set_annotation(struct dbview *view, struct span key, struct span value,
			  struct us_err *err)
{
	return put_annotation(view, key, annotation_text(value), err);
}

static int del_annotation(struct dbview *view, struct span key, struct us_err *err)
{
	return put_annotation(view, key, SPAN_NULL, err);
}

const struct dbview_kind dbview_annotations = {each_annotation, NULL, set_annotation,
					       del_annotation, META_ANNOTATIONS};

/* ---- deliver.db -----------------------------------------------------------------------------------
 *
 *	key	message id NUL mailbox NUL date NUL	value	time_t, unsigned long uid: as this machine has them */

static int tell_delivery(void *ctx, struct span key, struct span payload,
			 const struct meta_stamp *stamp UNUSED)
{
	struct telling *t = ctx;
	struct buf out = BUF_INIT, name = BUF_INIT;
	struct duplicate_row row;
	struct span id = SPAN_NULL, uniqueid = SPAN_NULL;
	uint64_t value[2];
	int rc = duplicate_row_decode(payload, &row, t->err);

	(void)span_split(&key, '\0', &id);
	(void)span_split(&key, '\0', &uniqueid);
	if (rc == 0)
		rc = mailbox_name_of_uniqueid(t->view->store, uniqueid, &name, t->err);
	if (rc >= 0) {
		buf_add_span(&out, id);
		buf_add_char(&out, '\0');
		buf_add_span(&out, rc > 0 ? buf_span(&name) : uniqueid);
		buf_add_char(&out, '\0');
		buf_add_span(&out, key);
		buf_add_char(&out, '\0');
		value[0] = (uint64_t)row.time;
		value[1] = row.uid;
		rc = t->fn(t->ctx, buf_span(&out), span_make(value, sizeof(value)), t->err);
	}
	buf_free(&out);
	buf_free(&name);
	return rc;
}

static int each_delivery(struct dbview *view, struct span prefix UNUSED, dbview_fn *fn, void *ctx,
			 struct us_err *err)
{
	struct telling t = {view, fn, ctx, err};

	return meta_range(store_meta(view->store), META_DUPLICATES, SPAN_NULL, SPAN_NULL, 0,
			  tell_delivery, &t, err);
}

const struct dbview_kind dbview_deliver = {each_delivery, NULL, NULL, NULL, META_DUPLICATES};

/* ---- quotas -------------------------------------------------------------------------------------
 *
 *	%(S (used limit) M (used limit) AS (used limit) NF (used limit) MODSEQ n), a limit being left out if there is none;
 * used: bytes, messages, bytes, mailboxes. To set, what is used is not looked at. */

static const char *const resource_keys[STATE_RESOURCES] = {"S", "M", "AS", "NF"};

static int tell_quota(void *ctx, const struct state_quota *quota, struct us_err *err)
{
	struct telling *t = ctx;
	struct quota_usage usage;
	struct buf value = BUF_INIT;
	int rc = quota_usage(t->view->store, quota->root, &usage, err);

	if (rc < 0)
		return rc;
	usage.used[STATE_STORAGE] = usage.bytes;
	usage.used[STATE_ANNOTATION_STORAGE] = usage.annotation_bytes;
	buf_add_str(&value, "%(");
	for (int i = 0; i < STATE_RESOURCES; i++) {
		buf_printf(&value, "%s (%llu", resource_keys[i], (unsigned long long)usage.used[i]);
		if (quota->limit[i] != STATE_NO_LIMIT)
			buf_printf(&value, " %lld", (long long)quota->limit[i]);
		buf_add_str(&value, ") ");
	}
	buf_printf(&value, "MODSEQ %llu)", (unsigned long long)quota->modseq);
	rc = t->fn(t->ctx, quota->root, buf_span(&value), err);
	buf_free(&value);
	return rc;
}

static int each_quota(struct dbview *view, struct span prefix UNUSED, dbview_fn *fn, void *ctx,
		      struct us_err *err)
{
	struct telling t = {view, fn, ctx, err};

	return quota_list(view->store, SPAN_NULL, tell_quota, &t, err);
}

static int set_quota(struct dbview *view, struct span key, struct span value, struct us_err *err)
{
	struct state_quota quota = {.root = key};
	struct dlist *kv;

	if (dlist_parse(value, view->pool, &kv, err) < 0 || kv->kind != DLIST_KVLIST)
		return us_fail(err, US_EINVAL, "the value is no list of keys and values");
	for (int i = 0; i < STATE_RESOURCES; i++) {
		const struct dlist *pair = dlist_get_list(kv, resource_keys[i]);
		uint64_t limit;
		quota.limit[i] = STATE_NO_LIMIT;
		if (pair && pair->n_children == 2 && dlist_u64(pair->first->next, &limit) &&
		    limit <= INT64_MAX)
			quota.limit[i] = (int64_t)limit;
	}
	return quota_set(view->store, &quota, err);
}

static int del_quota(struct dbview *view, struct span key, struct us_err *err)
{
	int rc = quota_remove(view->store, key, err);

	return rc == US_ENOENT ? 0 : rc;
}

const struct dbview_kind dbview_quota = {each_quota, NULL, set_quota, del_quota, META_QUOTA};

/* ---- subscriptions ----------------------------------------------------------------------------- */

static int each_sub(struct dbview *view, struct span prefix UNUSED, dbview_fn *fn, void *ctx,
		    struct us_err *err)
{
	const struct span *names;
	size_t n;
	int rc = subscriptions_list(view->store, buf_span(&view->userid), view->pool, &names, &n,
				    err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = fn(ctx, names[i], SPAN_LIT(""), err);
	return rc;
}

static int set_sub(struct dbview *view, struct span key, struct span value UNUSED,
		   struct us_err *err)
{
	return subscription_set(view->store, buf_span(&view->userid), key, true, err);
}

static int del_sub(struct dbview *view, struct span key, struct us_err *err)
{
	return subscription_set(view->store, buf_span(&view->userid), key, false, err);
}

const struct dbview_kind dbview_sub = {each_sub, NULL, set_sub, del_sub, META_SUBSCRIPTIONS};

/* Version 2: a record of its own says so; "user.bob.a" of bob himself is N INBOX <1F> a. */
#define SUB2_VERSION_KEY SPAN_LIT("\x1fVER\x1f")

/* The part of an own name behind the INBOX, "" for that itself; false: another's. */
static bool own_part(const struct dbview *view, struct span name, struct span *part)
{
	struct buf inbox = BUF_INIT;
	bool own;

	mboxname_user_inbox(buf_span(&view->userid), &inbox);
	own = span_starts(name, inbox.data) &&
	      (name.len == inbox.len || name.ptr[inbox.len] == '.');
	*part = span_from(name, inbox.len);
	buf_free(&inbox);
	return own;
}

static int each_sub2(struct dbview *view, struct span prefix UNUSED, dbview_fn *fn, void *ctx,
		     struct us_err *err)
{
	const struct span *names;
	struct buf key = BUF_INIT;
	size_t n;
	int rc = subscriptions_list(view->store, buf_span(&view->userid), view->pool, &names, &n,
				    err);

	if (rc == 0)
		rc = fn(ctx, SUB2_VERSION_KEY, SPAN_LIT("2"), err);
	/* INBOX is before all in the order of keys. */
	for (int own = 1; own >= 0; own--)
		for (size_t i = 0; rc == 0 && i < n; i++) {
			struct span part;
			if (own_part(view, names[i], &part) != own)
				continue;
			buf_clear(&key);
			buf_add_str(&key, own ? "NINBOX" : "N");
			dbview_name_out(own ? part : names[i], &key);
			rc = fn(ctx, buf_span(&key), SPAN_LIT(""), err);
		}
	buf_free(&key);
	return rc;
}

static int put_sub2(struct dbview *view, struct span key, bool on, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc;

	if (span_eq(key, SUB2_VERSION_KEY))
		return 0; /* it is what it is */
	if (key.len < 2 || key.ptr[0] != 'N')
		return us_fail(err, US_EINVAL, "a key is N and a name");
	if (span_is(key, "NINBOX") || span_starts(key, "NINBOX\x1f")) {
		mboxname_user_inbox(buf_span(&view->userid), &name);
		dbview_name_in(span_from(key, strlen("NINBOX")), &name);
	} else {
		dbview_name_in(span_from(key, 1), &name);
	}
	rc = subscription_set(view->store, buf_span(&view->userid), buf_span(&name), on, err);
	buf_free(&name);
	return rc;
}

static int set_sub2(struct dbview *view, struct span key, struct span value UNUSED,
		    struct us_err *err)
{
	return put_sub2(view, key, true, err);
}

static int del_sub2(struct dbview *view, struct span key, struct us_err *err)
{
	return put_sub2(view, key, false, err);
}

const struct dbview_kind dbview_sub2 = {each_sub2, NULL, set_sub2, del_sub2, META_SUBSCRIPTIONS};

/* ---- seen state ----------------------------------------------------------------------------------
 *
 *	1 lastread lastuid lastchange uids */

static int each_seen(struct dbview *view, struct span prefix UNUSED, dbview_fn *fn, void *ctx,
		     struct us_err *err)
{
	const struct state_seen *all;
	size_t n;
	int rc = seen_list(view->store, buf_span(&view->userid), view->pool, &all, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct buf value = BUF_INIT;
		buf_printf(&value, "1 %lld %u %lld %.*s", (long long)all[i].lastread,
			   all[i].lastuid, (long long)all[i].lastchange, SPAN_ARG(all[i].seenuids));
		rc = fn(ctx, all[i].uniqueid, buf_span(&value), err);
		buf_free(&value);
	}
	return rc;
}

static bool next_number(struct span *rest, uint64_t max, uint64_t *out)
{
	struct span word;

	return span_word(rest, &word) && span_u64(word, max, out);
}

static int set_seen(struct dbview *view, struct span key, struct span value, struct us_err *err)
{
	struct state_seen seen = {.uniqueid = key};
	uint64_t version, read, uid, change;

	if (!next_number(&value, 1, &version) || !next_number(&value, INT64_MAX, &read) ||
	    !next_number(&value, UINT32_MAX, &uid) || !next_number(&value, INT64_MAX, &change))
		return us_fail(err, US_EINVAL,
			       "the value is not \"1 lastread lastuid lastchange uids\"");
	seen.lastread = (int64_t)read;
	seen.lastuid = (uint32_t)uid;
	seen.lastchange = (int64_t)change;
	seen.seenuids = span_trim(value);
	return seen_set(view->store, buf_span(&view->userid), &seen, err);
}

const struct dbview_kind dbview_seen = {each_seen, NULL, set_seen, NULL, META_SEEN};
