/* rows.c - see rows.h. */
#include "server/store/rows.h"

#include <string.h>

#include "server/base/dlist.h"
#include "server/base/mem.h"
#include "server/store/mboxname.h"

/* ---- helpers ----------------------------------------------------------------------------------- */

static void put_span_if(struct dlist_writer *w, const char *key, struct span s)
{
	if (s.len)
		dlist_put_kstr(w, key, s);
}

static void put_u64_if(struct dlist_writer *w, const char *key, uint64_t n)
{
	if (n)
		dlist_put_ku64(w, key, n);
}

static void put_names(struct dlist_writer *w, const char *key, const struct span *names, size_t n)
{
	if (!n)
		return;
	dlist_put_key(w, key);
	dlist_put_list(w);
	for (size_t i = 0; i < n; i++)
		dlist_put_str(w, names[i]);
	dlist_put_close(w);
}

static size_t get_names(const struct dlist *kv, const char *key, struct span *out)
{
	const struct dlist *list = dlist_get_list(kv, key);
	size_t n = 0;

	for (const struct dlist *d = list ? list->first : NULL; d && n < FORMER_NAMES_MAX;
	     d = d->next)
		out[n++] = d->text;
	return n;
}

static int parse_kv(struct span payload, struct pool *pool, const char *what, struct dlist **kv,
		    struct us_err *err)
{
	int rc = dlist_parse(payload, pool, kv, err);

	if (rc == 0 && (*kv)->kind != DLIST_KVLIST)
		rc = us_fail(err, US_EPROTO, "no list of keys and values");
	if (rc < 0)
		return us_fail(err, US_ECORRUPT, "%s row: %s", what, err ? err->text : "malformed");
	return 0;
}

static struct span get_span(const struct dlist *kv, const char *key)
{
	struct span s = SPAN_NULL;

	(void)dlist_get_str(kv, key, &s); /* absent stays SPAN_NULL */
	return s;
}

static uint64_t get_u64(const struct dlist *kv, const char *key)
{
	uint64_t n = 0;

	(void)dlist_get_u64(kv, key, &n); /* absent is 0 */
	return n;
}

/* ---- mailboxes --------------------------------------------------------------------------------- */

bool mboxtype_has(struct span type, char flag)
{
	return type.len > 1 && span_find(span_from(type, 1), flag) != NULL;
}

bool mailbox_row_is_real(const struct mailbox_row *row)
{
	return row->has_storeid;
}

void mailbox_row_add_former(struct mailbox_row *row, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < row->n_former; i++)
		if (!span_eq(row->former[i], name))
			row->former[n++] = row->former[i];
	if (n == FORMER_NAMES_MAX)
		memmove(row->former, row->former + 1, --n * sizeof(row->former[0]));
	row->former[n] = name;
	row->n_former = n + 1;
}

void mailbox_row_encode(const struct mailbox_row *row, struct buf *out)
{
	struct dlist_writer w = dlist_writer(out, true);
	char hex[STOREID_HEX];

	dlist_put_kvlist(&w);
	dlist_put_kstr(&w, "T", row->type.len ? row->type : SPAN_LIT("e"));
	put_span_if(&w, "I", row->uniqueid);
	if (row->has_storeid) {
		storeid_format(&row->storeid, hex);
		dlist_put_kstr(&w, "S", span_of(hex));
	}
	put_span_if(&w, "P", row->partition);
	put_span_if(&w, "L", row->local_partition);
	put_span_if(&w, "H", row->server);
	put_span_if(&w, "A", row->acl);
	put_u64_if(&w, "V", row->uidvalidity);
	put_u64_if(&w, "C", row->createdmodseq);
	put_u64_if(&w, "F", row->foldermodseq);
	put_u64_if(&w, "G", row->lastmodseq);
	put_u64_if(&w, "R", row->raclmodseq);
	put_u64_if(&w, "M", (uint64_t)row->mtime);
	put_names(&w, "N", row->former, row->n_former);
	dlist_put_close(&w);
}

int mailbox_row_decode(struct span payload, struct pool *pool, struct mailbox_row *out,
		       struct us_err *err)
{
	struct mailbox_row row = {0};
	struct dlist *kv;
	struct span hex;
	int rc = parse_kv(payload, pool, "mailbox", &kv, err);

	if (rc < 0)
		return rc;
	row.type = get_span(kv, "T");
	row.uniqueid = get_span(kv, "I");
	if (dlist_get_str(kv, "S", &hex)) {
		if (!storeid_parse(hex, &row.storeid))
			return us_fail(err, US_ECORRUPT, "mailbox row: malformed store id");
		row.has_storeid = true;
	}
	row.partition = get_span(kv, "P");
	row.local_partition = get_span(kv, "L");
	row.server = get_span(kv, "H");
	row.acl = get_span(kv, "A");
	row.uidvalidity = (uint32_t)get_u64(kv, "V");
	row.createdmodseq = get_u64(kv, "C");
	row.foldermodseq = get_u64(kv, "F");
	row.lastmodseq = get_u64(kv, "G");
	row.raclmodseq = get_u64(kv, "R");
	row.mtime = (int64_t)get_u64(kv, "M");
	row.n_former = get_names(kv, "N", row.former);
	*out = row;
	return 0;
}

/* ---- tombstones -------------------------------------------------------------------------------- */

void tombstone_row_encode(const struct tombstone_row *row, struct buf *out)
{
	struct dlist_writer w = dlist_writer(out, true);

	dlist_put_kvlist(&w);
	put_span_if(&w, "NAME", row->name);
	put_names(&w, "NAMES", row->former, row->n_former);
	put_u64_if(&w, "V", row->uidvalidity);
	put_u64_if(&w, "MODSEQ", row->modseq);
	put_u64_if(&w, "TIME", (uint64_t)row->time);
	dlist_put_close(&w);
}

int tombstone_row_decode(struct span payload, struct pool *pool, struct tombstone_row *out,
			 struct us_err *err)
{
	struct tombstone_row row = {0};
	struct dlist *kv;
	int rc = parse_kv(payload, pool, "tombstone", &kv, err);

	if (rc < 0)
		return rc;
	row.name = get_span(kv, "NAME");
	row.n_former = get_names(kv, "NAMES", row.former);
	row.uidvalidity = (uint32_t)get_u64(kv, "V");
	row.modseq = get_u64(kv, "MODSEQ");
	row.time = (int64_t)get_u64(kv, "TIME");
	*out = row;
	return 0;
}

/* ---- users ------------------------------------------------------------------------------------- */

void user_row_encode(const struct user_row *row, struct buf *out)
{
	struct dlist_writer w = dlist_writer(out, true);

	dlist_put_kvlist(&w);
	put_u64_if(&w, "MODSEQ", row->modseq);
	put_u64_if(&w, "UIDVALIDITY", row->uidvalidity);
	dlist_put_close(&w);
}

int user_row_decode(struct span payload, struct user_row *out, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct dlist *kv;
	int rc = parse_kv(payload, pool, "user", &kv, err);

	if (rc == 0)
		*out = (struct user_row){get_u64(kv, "MODSEQ"),
					 (uint32_t)get_u64(kv, "UIDVALIDITY")};
	pool_free(&pool);
	return rc;
}

/* ---- quota ------------------------------------------------------------------------------------- */

static const char *const resources[STATE_RESOURCES] = STATE_RESOURCE_NAMES;

void quota_row_encode(const struct state_quota *row, struct buf *out)
{
	struct dlist_writer w = dlist_writer(out, true);

	dlist_put_kvlist(&w);
	for (int i = 0; i < STATE_RESOURCES; i++)
		if (row->limit[i] != STATE_NO_LIMIT)
			dlist_put_ku64(&w, resources[i], (uint64_t)row->limit[i]);
	dlist_put_ku64(&w, "MODSEQ", row->modseq);
	dlist_put_close(&w);
}

int quota_row_decode(struct span payload, struct state_quota *out, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct dlist *kv;
	int rc = parse_kv(payload, pool, "quota", &kv, err);

	for (int i = 0; rc == 0 && i < STATE_RESOURCES; i++) {
		uint64_t n;
		out->limit[i] = dlist_get_u64(kv, resources[i], &n) ? (int64_t)n : STATE_NO_LIMIT;
	}
	if (rc == 0)
		out->modseq = get_u64(kv, "MODSEQ");
	pool_free(&pool);
	return rc;
}

/* ---- seen, annotations, duplicates ------------------------------------------------------------- */

void seen_row_encode(const struct state_seen *row, struct buf *out)
{
	struct dlist_writer w = dlist_writer(out, true);

	dlist_put_kvlist(&w);
	dlist_put_ku64(&w, "LASTREAD", (uint64_t)row->lastread);
	dlist_put_ku64(&w, "LASTUID", row->lastuid);
	dlist_put_ku64(&w, "LASTCHANGE", (uint64_t)row->lastchange);
	dlist_put_kstr(&w, "SEENUIDS", row->seenuids.ptr ? row->seenuids : SPAN_LIT(""));
	dlist_put_close(&w);
}

int seen_row_decode(struct span payload, struct pool *pool, struct state_seen *out,
		    struct us_err *err)
{
	struct dlist *kv;
	int rc = parse_kv(payload, pool, "seen", &kv, err);

	if (rc < 0)
		return rc;
	out->lastread = (int64_t)get_u64(kv, "LASTREAD");
	out->lastuid = (uint32_t)get_u64(kv, "LASTUID");
	out->lastchange = (int64_t)get_u64(kv, "LASTCHANGE");
	out->seenuids = get_span(kv, "SEENUIDS");
	return 0;
}

void annotation_row_encode(const struct state_annotation *row, struct buf *out)
{
	struct dlist_writer w = dlist_writer(out, true);

	dlist_put_kvlist(&w);
	dlist_put_kstr(&w, "VALUE", row->value);
	put_u64_if(&w, "MODSEQ", row->modseq);
	dlist_put_close(&w);
}

int annotation_row_decode(struct span payload, struct pool *pool, struct state_annotation *out,
			  struct us_err *err)
{
	struct dlist *kv;
	int rc = parse_kv(payload, pool, "annotation", &kv, err);

	if (rc < 0)
		return rc;
	out->value = get_span(kv, "VALUE");
	out->modseq = get_u64(kv, "MODSEQ");
	return 0;
}

void duplicate_row_encode(const struct duplicate_row *row, struct buf *out)
{
	struct dlist_writer w = dlist_writer(out, true);
	char hex[STOREID_HEX];

	storeid_format(&row->storeid, hex);
	dlist_put_kvlist(&w);
	dlist_put_kstr(&w, "S", span_of(hex));
	dlist_put_ku64(&w, "U", row->uid);
	dlist_put_ku64(&w, "M", (uint64_t)row->time);
	dlist_put_close(&w);
}

int duplicate_row_decode(struct span payload, struct duplicate_row *out, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct dlist *kv;
	int rc = parse_kv(payload, pool, "duplicate", &kv, err);

	if (rc == 0 && !storeid_parse(get_span(kv, "S"), &out->storeid))
		rc = us_fail(err, US_ECORRUPT, "duplicate row: malformed store id");
	if (rc == 0) {
		out->uid = (uint32_t)get_u64(kv, "U");
		out->time = (int64_t)get_u64(kv, "M");
	}
	pool_free(&pool);
	return rc;
}

/* ---- keys -------------------------------------------------------------------------------------- */

void tombstone_key(char kind, struct span id, struct buf *out)
{
	buf_add_char(out, kind);
	buf_add_span(out, id);
}

void tombstone_name_key(struct span name, struct span uniqueid, struct buf *out)
{
	buf_add_char(out, 'N');
	mboxname_to_key(name, out);
	buf_add_char(out, '\0');
	buf_add_span(out, uniqueid);
}

void subscription_key(struct span userid, struct span name, struct buf *out)
{
	buf_add_span(out, userid);
	buf_add_char(out, '\0');
	mboxname_to_key(name, out);
}

void seen_key(struct span userid, struct span uniqueid, struct buf *out)
{
	buf_add_span(out, userid);
	buf_add_char(out, '\0');
	buf_add_span(out, uniqueid);
}

void annotation_key(const struct storeid *id, struct span entry, struct span userid,
		    struct buf *out)
{
	buf_add_char(out, id ? 'M' : 'S');
	if (id)
		buf_add(out, id->byte, STOREID_SIZE);
	if (!entry.len)
		return;
	buf_add_span(out, entry);
	buf_add_char(out, '\0');
	buf_add_span(out, userid);
}

bool annotation_key_split(struct span key, struct span *entry, struct span *userid)
{
	size_t head = key.len && key.ptr[0] == 'M' ? 1 + STOREID_SIZE : 1;

	if (key.len <= head)
		return false;
	key = span_from(key, head);
	if (!span_find(key, '\0'))
		return false;
	(void)span_split(&key, '\0', entry); /* there is a NUL */
	*userid = key;
	return true;
}

void duplicate_key(struct span id, struct span uniqueid, struct span date, struct buf *out)
{
	buf_add_span(out, id);
	buf_add_char(out, '\0');
	buf_add_span(out, uniqueid);
	buf_add_char(out, '\0');
	buf_add_span(out, date);
}
