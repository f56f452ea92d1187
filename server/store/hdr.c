/* hdr.c - see hdr.h. */
#include "server/store/hdr.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "server/base/dlist.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/mailbox.h"
#include "server/store/quota.h"

#define HDR_FILE "mbox.hdr"
#define FIRST    "understudy-mailbox 1\n"
#define SUM      "crc32c "
#define MOST     ((size_t)64 << 20)

/* ---- text -------------------------------------------------------------------------------------- */

static void put_annotations(struct dlist_writer *w, const struct hdr *h)
{
	dlist_put_key(w, "ANNOTATIONS");
	dlist_put_list(w);
	for (size_t i = 0; i < h->n_annotations; i++) {
		dlist_put_kvlist(w);
		dlist_put_kstr(w, "ENTRY", h->annotations[i].entry);
		dlist_put_kstr(w, "USERID", h->annotations[i].userid);
		dlist_put_kstr(w, "VALUE", h->annotations[i].value);
		dlist_put_close(w);
	}
	dlist_put_close(w);
}

static void put_spans(struct dlist_writer *w, const char *key, const struct span *items, size_t n)
{
	dlist_put_key(w, key);
	dlist_put_list(w);
	for (size_t i = 0; i < n; i++)
		dlist_put_str(w, items[i]);
	dlist_put_close(w);
}

static void put_quota(struct dlist_writer *w, const struct hdr *h)
{
	struct buf row = BUF_INIT;

	if (!h->has_quota)
		return;
	quota_row_encode(&h->quota, &row);
	dlist_put_key(w, "QUOTA");
	dlist_put_str(w, buf_span(&row)); /* the row's text, as a string */
	buf_free(&row);
}

void hdr_encode(const struct hdr *h, struct buf *out)
{
	size_t before = out->len;
	struct dlist_writer w = dlist_writer(out, true);
	char hex[STOREID_HEX];

	storeid_format(&h->row.storeid, hex);
	buf_add_str(out, FIRST);
	dlist_put_kvlist(&w);
	dlist_put_kstr(&w, "STOREID", span_of(hex));
	dlist_put_kstr(&w, "UNIQUEID", h->row.uniqueid);
	dlist_put_kstr(&w, "NAME", h->name);
	dlist_put_kstr(&w, "TYPE", h->row.type);
	dlist_put_kstr(&w, "PARTITION", h->row.partition);
	dlist_put_kstr(&w, "LOCALPARTITION", h->row.local_partition);
	dlist_put_ku64(&w, "UIDVALIDITY", h->row.uidvalidity);
	dlist_put_kstr(&w, "ACL", h->row.acl);
	dlist_put_ku64(&w, "CREATEDMODSEQ", h->row.createdmodseq);
	dlist_put_ku64(&w, "FOLDERMODSEQ", h->row.foldermodseq);
	dlist_put_ku64(&w, "LASTMODSEQ", h->row.lastmodseq);
	dlist_put_ku64(&w, "OPTIONS", h->options);
	dlist_put_ku64(&w, "LASTUID", h->last_uid);
	dlist_put_ku64(&w, "HIGHESTMODSEQ", h->highestmodseq);
	put_spans(&w, "FLAGS", h->flags, h->n_flags);
	put_spans(&w, "NAMES", h->row.former, h->row.n_former);
	put_annotations(&w, h);
	put_quota(&w, h);
	dlist_put_ku64(&w, "ROWVERSION", h->row_version);
	dlist_put_ku64(&w, "SERIAL", h->row_serial);
	dlist_put_close(&w);
	buf_add_char(out, '\n');
	buf_printf(out, SUM "%08x\n", us_crc32c(0, out->data + before, out->len - before));
}

static int damaged(struct us_err *err, const char *what)
{
	return us_fail(err, US_ECORRUPT, HDR_FILE ": %s", what);
}

/* Cut off first line and sum; what is left is the dlist. */
static int check_frame(struct span *text, struct us_err *err)
{
	size_t tail = strlen(SUM) + 9, head = strlen(FIRST);
	char expected[32];

	if (text->len < head + tail || !span_starts(*text, FIRST))
		return damaged(err, "wrong first line");
	snprintf(expected, sizeof(expected), SUM "%08x\n",
		 us_crc32c(0, text->ptr, text->len - tail));
	if (!span_is(span_from(*text, text->len - tail), expected))
		return damaged(err, "wrong checksum");
	text->len -= tail + 1; /* and the line end before it */
	*text = span_from(*text, head);
	return 0;
}

static size_t get_spans(const struct dlist *kv, const char *key, struct span *out, size_t most)
{
	const struct dlist *list = dlist_get_list(kv, key);
	size_t n = 0;

	for (const struct dlist *d = list ? list->first : NULL; d && n < most; d = d->next)
		out[n++] = d->text;
	return n;
}

static void get_annotations(const struct dlist *kv, struct pool *pool, struct hdr *h)
{
	const struct dlist *list = dlist_get_list(kv, "ANNOTATIONS");
	struct state_annotation *items;

	if (!list)
		return;
	items = pool_alloc(pool, us_mul_size(list->n_children, sizeof(*items)));
	for (const struct dlist *d = list->first; d; d = d->next) {
		struct state_annotation *a = &items[h->n_annotations];
		if (dlist_get_str(d, "ENTRY", &a->entry) &&
		    dlist_get_str(d, "USERID", &a->userid) && dlist_get_str(d, "VALUE", &a->value))
			h->n_annotations++;
	}
	h->annotations = items;
}

int hdr_decode(struct span text, struct pool *pool, struct hdr *out, struct us_err *err)
{
	struct hdr h = {0};
	struct dlist *kv;
	struct span s;
	int rc = check_frame(&text, err);

	if (rc == 0)
		rc = dlist_parse(text, pool, &kv, err);
	if (rc < 0)
		return rc;
	if (!dlist_get_str(kv, "STOREID", &s) || !storeid_parse(s, &h.row.storeid) ||
	    !dlist_get_str(kv, "UNIQUEID", &h.row.uniqueid) ||
	    !dlist_get_str(kv, "NAME", &h.name) ||
	    !dlist_get_u32(kv, "UIDVALIDITY", &h.row.uidvalidity) ||
	    !dlist_get_u64(kv, "ROWVERSION", &h.row_version))
		return damaged(err, "a required key is missing");
	h.row.has_storeid = true;
	(void)dlist_get_u64(kv, "SERIAL", &h.row_serial); /* early ones have none: 0 */
	(void)dlist_get_str(kv, "TYPE", &h.row.type);     /* NIL is none */
	(void)dlist_get_str(kv, "PARTITION", &h.row.partition);
	(void)dlist_get_str(kv, "LOCALPARTITION", &h.row.local_partition);
	(void)dlist_get_str(kv, "ACL", &h.row.acl);
	(void)dlist_get_u64(kv, "CREATEDMODSEQ", &h.row.createdmodseq);
	(void)dlist_get_u64(kv, "FOLDERMODSEQ", &h.row.foldermodseq);
	(void)dlist_get_u64(kv, "LASTMODSEQ", &h.row.lastmodseq);
	(void)dlist_get_u32(kv, "OPTIONS", &h.options);
	(void)dlist_get_u32(kv, "LASTUID", &h.last_uid);
	(void)dlist_get_u64(kv, "HIGHESTMODSEQ", &h.highestmodseq);
	h.n_flags = get_spans(kv, "FLAGS", h.flags, USER_FLAGS);
	h.row.n_former = get_spans(kv, "NAMES", h.row.former, FORMER_NAMES_MAX);
	get_annotations(kv, pool, &h);
	h.has_quota = dlist_get_str(kv, "QUOTA", &s) && quota_row_decode(s, &h.quota, NULL) == 0;
	*out = h;
	return 0;
}

/* ---- the file ---------------------------------------------------------------------------------- */

int hdr_read(int dir, struct pool *pool, struct hdr *out, struct us_err *err)
{
	struct buf text = BUF_INIT;
	int rc = io_read_file(dir, HDR_FILE, MOST, &text, err);

	if (rc == 0)
		rc = hdr_decode(buf_span(&text), pool, out, err);
	buf_free(&text);
	return rc;
}

/* Each at the place of its bit. */
static void fill_flags(struct hdr *h, const struct flag_names *names)
{
	for (unsigned bit = 0; names && bit < USER_FLAGS; bit++)
		if (names->bit[bit].name.ptr) {
			h->flags[bit] = names->bit[bit].name;
			h->n_flags = bit + 1;
		}
}

int hdr_write(struct store *store, int dir, struct span name, const struct flag_names *names,
	      const struct counters *counters, struct us_err *err)
{
	struct io_replace_points points = {FP("store.hdr.write"), FP("store.hdr.sync"),
					   FP("store.hdr.rename"), FP("store.hdr.sync_name")};
	struct pool *pool = pool_new();
	struct hdr h = {.name = name,
			.options = counters->options,
			.last_uid = counters->last_uid,
			.highestmodseq = counters->highestmodseq};
	struct buf text = BUF_INIT;
	int rc;

	mailbox_row_forget(store, name);
	rc = mailbox_row_get(store, name, pool, &h.row, &h.row_version, &h.row_serial, err);
	if (rc > 0)
		rc = annotations_list(store, &h.row.storeid, pool, &h.annotations, &h.n_annotations,
				      err);
	if (rc == 0)
		rc = quota_get(store, name, &h.quota, err);
	if (rc >= 0) {
		h.has_quota = rc > 0;
		fill_flags(&h, names);
		hdr_encode(&h, &text);
		rc = io_replace(&points, dir, HDR_FILE, text.data, text.len, 0600, err);
	}
	buf_free(&text);
	pool_free(&pool);
	return rc;
}
