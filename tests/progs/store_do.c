/* store_do.c - do to a store, without any protocol, what the lines on standard input say: it fills stores for tests of
 * tools, and shows all that a mailbox holds.
 *
 *	store_do -C imapd.conf [-u user] <lines
 *
 *	create NAME [IDENTIFIER RIGHTS]...	a mailbox; internal names everywhere
 *	append NAME FILE [FLAG]...		the file as a message; prints "uid N"
 *	flags NAME UID [FLAG]...		exactly these; \Seen and so on, or keywords
 *	expunge NAME UID [AGE]			the record stays, expunged AGE seconds ago
 *	age NAME UID AGE			came so many seconds ago
 *	mark NAME ID UID AGE			as if ID had been delivered so long ago
 *	unlink NAME LOW HIGH			expunged records leave, with their files
 *	annotate NAME UID ENTRY USER VALUE	of a message; USER "-": shared; VALUE "-": removed
 *	mailboxannotation NAME ENTRY USER VALUE
 *	quota ROOT [RESOURCE LIMIT]...		all limits; RESOURCE as on the wire
 *	unquota ROOT
 *	acl NAME [IDENTIFIER RIGHTS]...		exactly this
 *	subscribe USER NAME, unsubscribe USER NAME
 *	seen USER UNIQUEID LASTUID UIDS		seen state in a mailbox of somebody else
 *	serverannotation ENTRY USER VALUE
 *	removeuser USER				all of him, for good
 *	rename FROM TO, delete NAME, trash NAME (delete as a replica does), remove NAME (for good)
 *	compact NAME
 *	cache NAME UID				have its cached form made and kept; prints "cached LENGTH"
 *	entry NAME TYPE				a row without a directory
 *	show NAME				prints lines "mailbox ...", "flagname ...", "record ...", "annotation ..."
 *	list					prints "name NAME TYPE" for each row
 *
 * Each line is answered by "OK" or "NO <why>" after what it prints. The exit status is 1 if there was a NO.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/base/process.h"
#include "server/session/host.h"
#include "server/store/annotations.h"
#include "server/store/cache.h"
#include "server/store/commit.h"
#include "server/store/compact.h"
#include "server/store/folder.h"
#include "server/store/message.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/quota.h"
#include "server/store/rows.h"
#include "server/store/userdata.h"

#define MOST_WORDS 140

struct words {
	size_t n;
	struct span w[MOST_WORDS]; /* NUL-terminated too */
};

static struct span word(const struct words *w, size_t i)
{
	return i < w->n ? w->w[i] : SPAN_NULL;
}

static struct span dash_is(struct span s, struct span meaning)
{
	return span_is(s, "-") ? meaning : s;
}

static uint64_t number(const struct words *w, size_t i)
{
	uint64_t n = 0;

	(void)span_u64(word(w, i), UINT64_MAX, &n); /* 0 finds no message */
	return n;
}

/* ---- mailboxes ----------------------------------------------------------------------------------- */

static void put_acl(const struct words *w, struct buf *acl)
{
	for (size_t i = 2; i + 1 < w->n; i += 2)
		buf_printf(acl, "%.*s\t%.*s\t", SPAN_ARG(w->w[i]), SPAN_ARG(w->w[i + 1]));
}

static int do_create(struct store *store, const struct words *w, struct us_err *err)
{
	struct folder_create options = {.acl = SPAN_LIT("anyone\tlrs\t"),
					.options = MAILBOX_OPTION_POP3_NEW_UIDL};
	struct buf acl = BUF_INIT;
	int rc;

	put_acl(w, &acl);
	if (acl.len)
		options.acl = buf_span(&acl);
	rc = folder_create(store, word(w, 1), &options, err);
	buf_free(&acl);
	return rc;
}

static int do_entry(struct store *store, const struct words *w, struct us_err *err)
{
	struct folder_create options = {.type = word(w, 2), .acl = SPAN_LIT("anyone\tlrs\t")};

	return folder_create(store, word(w, 1), &options, err);
}

static int do_rename(struct store *store, const struct words *w, struct us_err *err)
{
	return folder_rename(store, word(w, 1), word(w, 2), word(w, 3), 0, err);
}

static int do_delete(struct store *store, const struct words *w, struct us_err *err)
{
	return folder_delete_delayed(store, word(w, 1), NULL, err);
}

static int do_trash(struct store *store, const struct words *w, struct us_err *err)
{
	return folder_delete(store, word(w, 1), FOLDER_DELETE_TRASH, err);
}

static int do_remove(struct store *store, const struct words *w, struct us_err *err)
{
	return folder_delete(store, word(w, 1), FOLDER_DELETE_NOW, err);
}

static int list_one(void *ctx UNUSED, struct span name, const struct mailbox_row *row,
		    struct us_err *err UNUSED)
{
	printf("name %.*s %.*s\n", SPAN_ARG(name), SPAN_ARG(row->type));
	return 0;
}

static int do_list(struct store *store, const struct words *w UNUSED, struct us_err *err)
{
	return folder_list(store, SPAN_NULL, list_one, NULL, err);
}

/* ---- a locked mailbox with a commit ---------------------------------------------------------------- */

typedef int change_fn(struct mailbox *m, struct commit *c, const struct words *w,
		      struct us_err *err);

static int change(struct store *store, const struct words *w, change_fn *fn, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	int rc = mailbox_open(store, word(w, 1), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0)
		rc = fn(m, c, w, err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_close(&m);
	return rc;
}

static const struct {
	const char *name;
	uint32_t bit;
} system_flags[] = {{"\\Answered", FLAG_ANSWERED},
		    {"\\Flagged", FLAG_FLAGGED},
		    {"\\Deleted", FLAG_DELETED},
		    {"\\Draft", FLAG_DRAFT},
		    {"\\Seen", FLAG_SEEN}};

static int set_flag(struct commit *c, struct record *r, struct span name, struct us_err *err)
{
	unsigned bit;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (span_is(name, system_flags[i].name)) {
			r->system_flags |= system_flags[i].bit;
			return 0;
		}
	rc = commit_flag_bit(c, name, &bit, err);
	if (rc == 0)
		record_set_user_flag(r, bit, true);
	return rc;
}

static int set_flags(struct commit *c, struct record *r, const struct words *w, size_t from,
		     struct us_err *err)
{
	int rc = 0;

	r->system_flags = 0;
	r->user_flags[0] = r->user_flags[1] = 0;
	for (size_t i = from; rc == 0 && i < w->n; i++)
		rc = set_flag(c, r, w->w[i], err);
	return rc;
}

/* That many seconds ago. */
static int64_t ago(const struct words *w, size_t i)
{
	return store_now() - (int64_t)number(w, i);
}

static int put_changed(struct mailbox *m, struct commit *c, const struct words *w, bool expunge,
		       struct us_err *err)
{
	const struct record *old = view_find(&m->view, (uint32_t)number(w, 2));
	struct record r;
	int rc = 0;

	if (!old)
		return us_fail(err, US_ENOENT, "no such message");
	r = *old;
	r.modseq = commit_modseq(c);
	r.last_updated = expunge ? ago(w, 3) : store_now();
	if (expunge)
		r.internal_flags |= RECORD_EXPUNGED;
	else
		rc = set_flags(c, &r, w, 3, err);
	return rc < 0 ? rc : commit_put(c, &r, err);
}

static int change_age(struct mailbox *m, struct commit *c, const struct words *w,
		      struct us_err *err)
{
	const struct record *old = view_find(&m->view, (uint32_t)number(w, 2));
	struct record r;

	if (!old)
		return us_fail(err, US_ENOENT, "no such message");
	r = *old;
	r.savedate = ago(w, 3);
	r.internaldate_ns = r.savedate * 1000000000;
	return commit_put(c, &r, err);
}

static int change_flags(struct mailbox *m, struct commit *c, const struct words *w,
			struct us_err *err)
{
	return put_changed(m, c, w, false, err);
}

static int change_expunge(struct mailbox *m, struct commit *c, const struct words *w,
			  struct us_err *err)
{
	return put_changed(m, c, w, true, err);
}

static int change_unlink(struct mailbox *m UNUSED, struct commit *c, const struct words *w,
			 struct us_err *err)
{
	return commit_unlink(c, (uint32_t)number(w, 2), (uint32_t)number(w, 3), err);
}

static int change_annotate(struct mailbox *m, struct commit *c, const struct words *w,
			   struct us_err *err)
{
	const struct record *old = view_find(&m->view, (uint32_t)number(w, 2));
	struct record r;
	int rc;

	if (!old)
		return us_fail(err, US_ENOENT, "no such message");
	r = *old;
	r.modseq = commit_modseq(c);
	rc = commit_put(c, &r, err);
	return rc < 0 ? rc
		      : commit_annotate(c, r.uid, word(w, 3), dash_is(word(w, 4), SPAN_LIT("")),
					dash_is(word(w, 5), SPAN_NULL), r.modseq, err);
}

static int do_flags(struct store *store, const struct words *w, struct us_err *err)
{
	return change(store, w, change_flags, err);
}

static int do_expunge(struct store *store, const struct words *w, struct us_err *err)
{
	return change(store, w, change_expunge, err);
}

static int do_age(struct store *store, const struct words *w, struct us_err *err)
{
	return change(store, w, change_age, err);
}

static int do_mark(struct store *store, const struct words *w, struct us_err *err)
{
	struct duplicate_row mark = {.uid = (uint32_t)number(w, 3), .time = ago(w, 4)};
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct mailbox *m = NULL;
	struct meta_batch batch;
	int rc = mailbox_open(store, word(w, 1), &m, err);

	if (rc < 0)
		return rc;
	mark.storeid = m->row.storeid;
	duplicate_key(word(w, 2), m->row.uniqueid, SPAN_LIT("today"), &key);
	duplicate_row_encode(&mark, &payload);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_DUPLICATES, buf_span(&key), buf_span(&payload));
	rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	buf_free(&payload);
	mailbox_close(&m);
	return rc;
}

static int do_unlink(struct store *store, const struct words *w, struct us_err *err)
{
	return change(store, w, change_unlink, err);
}

static int do_annotate(struct store *store, const struct words *w, struct us_err *err)
{
	return change(store, w, change_annotate, err);
}

/* ---- messages -------------------------------------------------------------------------------------- */

static int stage_file(struct stage *stage, const char *path, struct staged *out, struct us_err *err)
{
	struct buf text = BUF_INIT;
	int rc = io_read_file(AT_FDCWD, path, (size_t)1 << 30, &text, err);

	if (rc == 0)
		rc = staged_begin(stage, NULL, out, err);
	if (rc == 0)
		rc = staged_write(out, text.data ? text.data : "", text.len, err);
	if (rc == 0)
		rc = staged_end(out, store_now_ns(), err);
	buf_free(&text);
	return rc;
}

static int append_staged(struct mailbox *m, struct staged *staged, const struct words *w,
			 struct us_err *err)
{
	struct record r = {.internaldate_ns = store_now_ns()};
	struct commit *c = NULL;
	uint32_t uid = 0;
	int rc = mailbox_lock(m, err);

	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0)
		rc = set_flags(c, &r, w, 3, err);
	if (rc == 0)
		rc = message_append(c, staged, &r, &uid, err);
	if (rc == 0)
		commit_counters(c)->last_append = store_now();
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	if (rc == 0)
		printf("uid %u\n", uid);
	return rc;
}

static int do_append(struct store *store, const struct words *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct stage *stage = NULL;
	struct staged staged = {.fd = -1};
	int rc = mailbox_open(store, word(w, 1), &m, err);

	if (rc == 0)
		rc = stage_open(m->partition, &stage, err);
	if (rc == 0)
		rc = stage_file(stage, word(w, 2).ptr, &staged, err);
	if (rc == 0)
		rc = append_staged(m, &staged, w, err);
	mailbox_close(&m);
	staged_drop(&staged, false);
	stage_close(&stage);
	return rc;
}

static int do_compact(struct store *store, const struct words *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(store, word(w, 1), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = compact(m, err);
	mailbox_close(&m);
	return rc;
}

static int do_cache(struct store *store, const struct words *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	const struct record *r = NULL;
	struct cache_keeper keeper;
	struct buf made = BUF_INIT;
	struct span payload = SPAN_NULL;
	int rc = mailbox_open(store, word(w, 1), &m, err);

	if (rc == 0) {
		r = view_find(&m->view, (uint32_t)number(w, 2));
		rc = r ? message_payload(m, r, &made, &payload, err)
		       : us_fail(err, US_ENOENT, "no such message");
	}
	if (rc > 0) {
		cache_keeper_init(&keeper, m);
		cache_keeper_add(&keeper, r->uid, payload);
		cache_keeper_fini(&keeper);
	}
	if (rc >= 0)
		printf("cached %zu\n", payload.len);
	buf_free(&made);
	mailbox_close(&m);
	return rc < 0 ? rc : 0;
}

/* ---- beside mailboxes ------------------------------------------------------------------------------ */

static int do_mailboxannotation(struct store *store, const struct words *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(store, word(w, 1), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = annotation_set(m, word(w, 2), dash_is(word(w, 3), SPAN_LIT("")),
				    dash_is(word(w, 4), SPAN_NULL), err);
	mailbox_close(&m);
	return rc;
}

static int do_acl(struct store *store, const struct words *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct buf acl = BUF_INIT;
	int rc = mailbox_open(store, word(w, 1), &m, err);

	put_acl(w, &acl);
	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = folder_set_acl(m, buf_span(&acl), err);
	mailbox_close(&m);
	buf_free(&acl);
	return rc;
}

static int do_quota(struct store *store, const struct words *w, struct us_err *err)
{
	static const char *const names[STATE_RESOURCES] = {"STORAGE", "MESSAGE",
							   "X-ANNOTATION-STORAGE", "X-NUM-FOLDERS"};
	struct state_quota quota = {.root = word(w, 1)};

	for (int i = 0; i < STATE_RESOURCES; i++) {
		quota.limit[i] = STATE_NO_LIMIT;
		for (size_t k = 2; k + 1 < w->n; k += 2)
			if (span_is(w->w[k], names[i]))
				quota.limit[i] = (int64_t)number(w, k + 1);
	}
	return quota_set(store, &quota, err);
}

static int do_subscribe(struct store *store, const struct words *w, struct us_err *err)
{
	return subscription_set(store, word(w, 1), word(w, 2), true, err);
}

static int do_unsubscribe(struct store *store, const struct words *w, struct us_err *err)
{
	return subscription_set(store, word(w, 1), word(w, 2), false, err);
}

static int do_seen(struct store *store, const struct words *w, struct us_err *err)
{
	struct state_seen seen = {.uniqueid = word(w, 2),
				  .lastread = store_now(),
				  .lastuid = (uint32_t)number(w, 3),
				  .lastchange = store_now(),
				  .seenuids = word(w, 4)};

	return seen_set(store, word(w, 1), &seen, err);
}

static int do_serverannotation(struct store *store, const struct words *w, struct us_err *err)
{
	return annotation_set_server(store, word(w, 1), dash_is(word(w, 2), SPAN_LIT("")),
				     dash_is(word(w, 3), SPAN_NULL), err);
}

static int do_unquota(struct store *store, const struct words *w, struct us_err *err)
{
	return quota_remove(store, word(w, 1), err);
}

static int do_removeuser(struct store *store, const struct words *w, struct us_err *err)
{
	return user_remove(store, word(w, 1), FOLDER_DELETE_NOW, err);
}

/* ---- show ------------------------------------------------------------------------------------------ */

static void show_counters(struct mailbox *m)
{
	const struct counters *c = &m->view.counters;
	char hex[STOREID_HEX];

	storeid_format(&m->row.storeid, hex);
	printf("mailbox name=%s storeid=%s uniqueid=%.*s", m->name.data, hex,
	       SPAN_ARG(m->row.uniqueid));
#define SHOW(field) printf(" " #field "=%" PRIu64, (uint64_t)c->field)
	SHOW(uidvalidity);
	SHOW(last_uid);
	SHOW(createdmodseq);
	SHOW(deletedmodseq);
	SHOW(exists);
	SHOW(unseen);
	SHOW(answered);
	SHOW(flagged);
	SHOW(deleted);
	SHOW(options);
	SHOW(bytes_live);
	SHOW(bytes_deleted);
	SHOW(bytes_expunged);
	SHOW(annot_bytes);
	SHOW(records);
	SHOW(recentuid);
	SHOW(first_unseen_uid);
	SHOW(first_unseen_seq);
	SHOW(sync_crc);
	SHOW(sync_crc_annot);
#undef SHOW
	printf(" highestmodseq=%" PRIu64 " rowuidvalidity=%u\n", mailbox_highestmodseq(m),
	       m->row.uidvalidity);
}

static void show_flags(const struct mailbox *m, const struct record *r)
{
	const char *comma = "";

	printf(" flags=");
	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (r->system_flags & system_flags[i].bit) {
			printf("%s%s", comma, system_flags[i].name);
			comma = ",";
		}
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (record_has_user_flag(r, bit)) {
			struct span name = m->view.names.bit[bit].name;
			printf("%s%.*s", comma, SPAN_ARG(name.ptr ? name : SPAN_LIT("?")));
			comma = ",";
		}
}

static void show_record(const struct mailbox *m, const struct record *r)
{
	char hex[GUID_HEX];

	guid_format(&r->guid, hex);
	printf("record uid=%u", r->uid);
	show_flags(m, r);
	printf(" expunged=%d unlinked=%d modseq=%" PRIu64 " createdmodseq=%" PRIu64 " size=%" PRIu64
	       " header_size=%u guid=%s internaldate_ns=%lld savedate=%lld sentdate=%lld "
	       "gmtime=%lld "
	       "body_crc=%08x cached=%d\n",
	       r->internal_flags & RECORD_EXPUNGED ? 1 : 0,
	       r->internal_flags & RECORD_UNLINKED ? 1 : 0, r->modseq, r->createdmodseq, r->size,
	       r->header_size, hex, (long long)r->internaldate_ns, (long long)r->savedate,
	       (long long)r->sentdate, (long long)r->gmtime, r->body_crc, r->cache_version != 0);
}

static void show_annotations(const struct mailbox *m, uint32_t uid)
{
	const struct state_annotation *items;
	size_t n;

	items = annots_of(&m->view.annots, uid, &n);
	for (size_t i = 0; i < n; i++)
		printf("annotation uid=%u entry=%.*s user=%.*s modseq=%" PRIu64 " value=%.*s\n",
		       uid, SPAN_ARG(items[i].entry), SPAN_ARG(items[i].userid), items[i].modseq,
		       SPAN_ARG(items[i].value));
}

static int do_show(struct store *store, const struct words *w, struct us_err *err)
{
	struct view_walk walk;
	const struct record *r;
	struct mailbox *m;
	int rc = mailbox_open(store, word(w, 1), &m, err);

	if (rc < 0)
		return rc;
	show_counters(m);
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (m->view.names.bit[bit].name.ptr)
			printf("flagname bit=%u name=%.*s\n", bit,
			       SPAN_ARG(m->view.names.bit[bit].name));
	walk = view_walk(&m->view, 1);
	while ((r = view_next(&m->view, &walk))) {
		show_record(m, r);
		show_annotations(m, r->uid);
	}
	rc = m->view.corrupt ? us_fail(err, US_ECORRUPT, "a record's checksum is wrong") : 0;
	mailbox_close(&m);
	return rc;
}

/* ---- lines ------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(struct store *store, const struct words *w, struct us_err *err);
} commands[] = {
	{"acl", do_acl},
	{"age", do_age},
	{"annotate", do_annotate},
	{"append", do_append},
	{"cache", do_cache},
	{"compact", do_compact},
	{"create", do_create},
	{"delete", do_delete},
	{"entry", do_entry},
	{"expunge", do_expunge},
	{"flags", do_flags},
	{"list", do_list},
	{"mark", do_mark},
	{"mailboxannotation", do_mailboxannotation},
	{"quota", do_quota},
	{"remove", do_remove},
	{"removeuser", do_removeuser},
	{"rename", do_rename},
	{"seen", do_seen},
	{"serverannotation", do_serverannotation},
	{"show", do_show},
	{"subscribe", do_subscribe},
	{"trash", do_trash},
	{"unlink", do_unlink},
	{"unquota", do_unquota},
	{"unsubscribe", do_unsubscribe},
};

static int do_line(struct store *store, const struct words *w, struct us_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (span_is(w->w[0], commands[i].name))
			return commands[i].run(store, w, err);
	return us_fail(err, US_EINVAL, "no such command");
}

static void split(char *line, struct words *w)
{
	char *save = NULL;

	w->n = 0;
	for (char *at = strtok_r(line, " \n", &save); at && w->n < MOST_WORDS;
	     at = strtok_r(NULL, " \n", &save))
		w->w[w->n++] = span_of(at);
}

static int do_lines(struct store *store)
{
	struct words w;
	char *line = NULL;
	size_t cap = 0;
	struct us_err err;
	int status = 0;

	while (getline(&line, &cap, stdin) > 0) {
		split(line, &w);
		if (!w.n)
			continue;
		if (do_line(store, &w, &err) < 0) {
			printf("NO %s\n", err.text);
			status = 1;
		} else {
			printf("OK\n");
		}
		fflush(stdout);
	}
	free(line);
	return status;
}

int main(int argc, char **argv)
{
	const char *path = NULL, *user = NULL;
	struct conf *conf = NULL;
	struct host host = {0};
	struct us_err err;
	int letter, rc;

	failpoint_init();
	while ((letter = getopt(argc, argv, "C:u:")) != -1) {
		if (letter == 'C')
			path = optarg;
		else if (letter == 'u')
			user = optarg;
		else
			return 64;
	}
	rc = conf_load(path, "store_do", &conf, &err);
	if (rc == 0)
		rc = process_leave_root(user ? user : conf_str(conf, CONF_cyrus_user), NULL, &err);
	if (rc < 0)
		us_fatal(us_err_exit(rc), "%s", err.text);
	conf_open_log(conf, "store_do");
	if (host_open(conf, "store_do", HOST_STORE_WRITE | HOST_TOOL, &host, &err) < 0)
		us_fatal(us_err_exit(err.code), "%s", err.text);
	rc = do_lines(host.store);
	host_close(&host);
	conf_free(&conf);
	return rc;
}
