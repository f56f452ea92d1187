/* metadata.c - see metadata.h. */
#include "server/imap/metadata.h"

#include <ctype.h>
#include <string.h>
#include <sys/statvfs.h>

#include "server/base/datetime.h"
#include "server/base/mem.h"
#include "server/imap/session.h"
#include "server/imap/special_use.h"
#include "server/session/notice.h"
#include "server/store/annotations.h"
#include "server/store/partition.h"
#include "server/store/quota.h"

#define VENDOR "/vendor/cmu/cyrus-imapd"

/* ---- values that are something else ---------------------------------------------------------------- */

struct reading {
	struct imap_session *s;
	const struct metadata_place *place;
	uint64_t bytes; /* of all values stored there */
};

typedef void read_fn(const struct reading *r, struct buf *out);

static void put_u64(struct buf *out, uint64_t n)
{
	buf_printf(out, "%llu", (unsigned long long)n);
}

static void put_time(struct buf *out, int64_t time)
{
	char text[DATETIME_IMAP];

	if (!time)
		return;
	datetime_format_imap((struct datetime){time, 0}, text);
	buf_add_span(out, span_trim(span_of(text)));
}

static void put_option(const struct reading *r, uint32_t option, struct buf *out)
{
	buf_add_str(out, r->place->counters.options & option ? "true" : "false");
}

static void read_annotsize(const struct reading *r, struct buf *out)
{
	put_u64(out, r->place->counters.annot_bytes + r->bytes);
}

static void read_duplicatedeliver(const struct reading *r, struct buf *out)
{
	put_option(r, MAILBOX_OPTION_DUP_DELIVER, out);
}

static void read_foldermodseq(const struct reading *r, struct buf *out)
{
	put_u64(out, r->place->access.row.foldermodseq);
}

static void read_hasalarms(const struct reading *r, struct buf *out)
{
	put_option(r, MAILBOX_OPTION_HAS_ALARMS, out);
}

static void read_lastpop(const struct reading *r, struct buf *out)
{
	put_time(out, r->place->counters.pop3_last_login);
}

static void read_lastupdate(const struct reading *r, struct buf *out)
{
	int64_t time;

	if (mailbox_last_change(r->s->host->store, &r->place->access.row, &time, NULL) == 0)
		put_time(out, time);
}

static void read_partition(const struct reading *r, struct buf *out)
{
	const struct mailbox_row *row = &r->place->access.row;

	buf_add_span(out, row->partition.len ? row->partition : row->local_partition);
}

static void read_pop3newuidl(const struct reading *r, struct buf *out)
{
	put_option(r, MAILBOX_OPTION_POP3_NEW_UIDL, out);
}

static void read_pop3showafter(const struct reading *r, struct buf *out)
{
	put_time(out, r->place->counters.pop3_show_after);
}

static void read_sharedseen(const struct reading *r, struct buf *out)
{
	put_option(r, MAILBOX_OPTION_SHARED_SEEN, out);
}

static void read_size(const struct reading *r, struct buf *out)
{
	put_u64(out, r->place->counters.bytes_live);
}

static void read_synccrcs(const struct reading *r, struct buf *out)
{
	buf_printf(out, "%u %u", r->place->counters.sync_crc, r->place->counters.sync_crc_annot);
}

static void read_uniqueid(const struct reading *r, struct buf *out)
{
	buf_add_span(out, r->place->access.row.uniqueid);
}

static void read_motd(const struct reading *r, struct buf *out)
{
	(void)notice_read(r->s->host, "motd", out);
}

static void read_shutdown(const struct reading *r, struct buf *out)
{
	(void)notice_read(r->s->host, "shutdown", out);
}

/* KiB of a partition that are free to us, and all of it. */
struct space {
	uint64_t free, total;
};

static struct space space_of(const struct partition *p)
{
	struct statvfs fs;

	if (fstatvfs(p->dir, &fs) < 0)
		return (struct space){0, 0};
	return (struct space){(uint64_t)fs.f_bavail * fs.f_frsize / 1024,
			      (uint64_t)fs.f_blocks * fs.f_frsize / 1024};
}

static void read_freespace_most(const struct reading *r, struct buf *out)
{
	struct space most = {0, 0};

	for (size_t i = 0; store_partition_at(r->s->host->store, i); i++) {
		struct space one = space_of(store_partition_at(r->s->host->store, i));

		if (!most.total ||
		    (double)one.free * (double)most.total > (double)most.free * (double)one.total)
			most = one;
	}
	buf_printf(out, "%llu;%llu", (unsigned long long)most.free, (unsigned long long)most.total);
}

/* Partitions of one file system count once. */
static struct space all_space(const struct reading *r)
{
	unsigned long seen[64];
	struct space sum = {0, 0};
	size_t n = 0;

	for (size_t i = 0; store_partition_at(r->s->host->store, i); i++) {
		const struct partition *p = store_partition_at(r->s->host->store, i);
		struct space one = space_of(p);
		struct statvfs fs = {.f_fsid = 0};
		size_t at = 0;

		(void)fstatvfs(p->dir, &fs);
		while (at < n && seen[at] != fs.f_fsid)
			at++;
		if (at < n)
			continue;
		if (n < ARRAY_SIZE(seen))
			seen[n++] = fs.f_fsid;
		sum.free += one.free;
		sum.total += one.total;
	}
	return sum;
}

static void read_freespace(const struct reading *r, struct buf *out)
{
	put_u64(out, all_space(r).free);
}

static void read_freespace_total(const struct reading *r, struct buf *out)
{
	struct space all = all_space(r);

	buf_printf(out, "%llu;%llu", (unsigned long long)all.free, (unsigned long long)all.total);
}

/* ---- the tables ------------------------------------------------------------------------------------ */

enum value_type { TEXT, LINE, SWITCH, NUMBER, DATE };

/* What a value is besides one that is stored. */
enum value_kind {
	STORED,
	READ_ONLY,
	OPTION,      /* of the mailbox: `option` */
	SHOW_AFTER,  /* of the mailbox */
	SPECIAL_USE, /* special_use.h */
	NOTICE,      /* a file below msg/ */
};

enum who { PRIVATE = 1, SHARED = 2, BOTH = 3 };

struct known {
	const char *name;
	enum who who;
	uint32_t right; /* to write what is shared */
	enum value_type type;
	enum value_kind kind;
	read_fn *read; /* NULL: it is stored */
	uint32_t option;
};

static const struct known of_mailboxes[] = {
	{"/check", BOTH, ACL_WRITE, SWITCH, STORED, NULL, 0},
	{"/checkperiod", BOTH, ACL_WRITE, NUMBER, STORED, NULL, 0},
	{"/comment", BOTH, ACL_WRITE, TEXT, STORED, NULL, 0},
	{"/sort", BOTH, ACL_WRITE, TEXT, STORED, NULL, 0},
	{"/specialuse", PRIVATE, 0, TEXT, SPECIAL_USE, NULL, 0},
	{"/thread", BOTH, ACL_WRITE, TEXT, STORED, NULL, 0},
	{VENDOR "/annotsize", SHARED, 0, NUMBER, READ_ONLY, read_annotsize, 0},
	{VENDOR "/archive", SHARED, ACL_ADMIN, NUMBER, STORED, NULL, 0},
	{VENDOR "/delete", SHARED, ACL_ADMIN, NUMBER, STORED, NULL, 0},
	{VENDOR "/duplicatedeliver", SHARED, ACL_ADMIN, SWITCH, OPTION, read_duplicatedeliver,
	 MAILBOX_OPTION_DUP_DELIVER},
	{VENDOR "/expire", SHARED, ACL_ADMIN, NUMBER, STORED, NULL, 0},
	{VENDOR "/foldermodseq", SHARED, 0, NUMBER, READ_ONLY, read_foldermodseq, 0},
	{VENDOR "/hasalarms", SHARED, 0, SWITCH, READ_ONLY, read_hasalarms, 0},
	{VENDOR "/lastpop", SHARED, 0, DATE, READ_ONLY, read_lastpop, 0},
	{VENDOR "/lastupdate", SHARED, 0, DATE, READ_ONLY, read_lastupdate, 0},
	{VENDOR "/news2mail", SHARED, ACL_ADMIN, TEXT, STORED, NULL, 0},
	{VENDOR "/partition", SHARED, 0, TEXT, READ_ONLY, read_partition, 0},
	{VENDOR "/pop3newuidl", SHARED, ACL_ADMIN, SWITCH, OPTION, read_pop3newuidl,
	 MAILBOX_OPTION_POP3_NEW_UIDL},
	{VENDOR "/pop3showafter", SHARED, ACL_ADMIN, DATE, SHOW_AFTER, read_pop3showafter, 0},
	{VENDOR "/search-fuzzy-always", SHARED, ACL_ADMIN, TEXT, STORED, NULL, 0},
	{VENDOR "/sharedseen", SHARED, ACL_ADMIN, SWITCH, OPTION, read_sharedseen,
	 MAILBOX_OPTION_SHARED_SEEN},
	{VENDOR "/sieve", SHARED, ACL_ADMIN, TEXT, STORED, NULL, 0},
	{VENDOR "/size", SHARED, 0, NUMBER, READ_ONLY, read_size, 0},
	{VENDOR "/sortorder", PRIVATE, 0, TEXT, STORED, NULL, 0},
	{VENDOR "/squat", SHARED, ACL_ADMIN, SWITCH, STORED, NULL, 0},
	{VENDOR "/synccrcs", SHARED, 0, TEXT, READ_ONLY, read_synccrcs, 0},
	{VENDOR "/uniqueid", SHARED, 0, TEXT, READ_ONLY, read_uniqueid, 0},
	{NULL, BOTH, 0, TEXT, STORED, NULL, 0},
};

static const struct known of_the_server[] = {
	{"/admin", SHARED, 0, TEXT, STORED, NULL, 0},
	{"/comment", BOTH, 0, TEXT, STORED, NULL, 0},
	{"/motd", SHARED, 0, LINE, NOTICE, read_motd, 0},
	{VENDOR "/expire", SHARED, 0, NUMBER, STORED, NULL, 0},
	{VENDOR "/freespace", SHARED, 0, NUMBER, READ_ONLY, read_freespace, 0},
	{VENDOR "/freespace/percent/most", SHARED, 0, TEXT, READ_ONLY, read_freespace_most, 0},
	{VENDOR "/freespace/total", SHARED, 0, TEXT, READ_ONLY, read_freespace_total, 0},
	{VENDOR "/shutdown", SHARED, 0, LINE, NOTICE, read_shutdown, 0},
	{VENDOR "/squat", SHARED, 0, SWITCH, STORED, NULL, 0},
	{NULL, BOTH, 0, TEXT, STORED, NULL, 0},
};

static const struct known *table_of(const struct metadata_place *place)
{
	return place->is_server ? of_the_server : of_mailboxes;
}

static const struct known *find_known(const struct metadata_place *place, struct span name)
{
	const struct known *k = table_of(place);

	while (k->name && !span_is(name, k->name))
		k++;
	return k->name ? k : NULL;
}

/* ---- names ----------------------------------------------------------------------------------------- */

static bool is_well_formed(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];

		if (c < 0x20 || c >= 0x7f || c == '*' || c == '%' ||
		    (c == '/' && (i + 1 == name.len || name.ptr[i + 1] == '/')))
			return false;
	}
	return true;
}

int metadata_name_parse(struct span text, struct pool *pool, struct metadata_name *out,
			struct us_err *err)
{
	struct metadata_name n = {.shared = span_starts_nocase(text, "/shared")};
	char *small;

	if (!n.shared && !span_starts_nocase(text, "/private"))
		return us_fail(err, US_EPROTO, "entry must begin with /shared or /private");
	n.name = span_from(text, n.shared ? strlen("/shared") : strlen("/private"));
	if (n.name.len && n.name.ptr[0] != '/')
		return us_fail(err, US_EPROTO, "entry must begin with /shared or /private");
	if (!is_well_formed(n.name))
		return us_fail(err, US_EPROTO, "Invalid metadata entry");
	small = pool_strndup(pool, n.name.ptr, n.name.len);
	for (char *c = small; *c; c++)
		*c = (char)us_lower((unsigned char)*c);
	n.name.ptr = small;
	*out = n;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* What an administrator does with a mailbox's annotations is no reading of mail. */
static bool may(const struct imap_session *s, const struct metadata_place *place, uint32_t right)
{
	return imap_is_admin(s) || (place->access.rights & right) == right;
}

int metadata_open(struct imap_session *s, struct span mailbox, struct metadata_place *out,
		  struct us_err *err)
{
	struct metadata_place place = {.is_server = !mailbox.len};
	int rc;

	if (!place.is_server) {
		rc = access_lookup(s, mailbox, 0, &place.access, err);
		if (rc == 0 && !may(s, &place, ACL_READ))
			rc = us_fail(err, US_EPERM, "no right to read it");
		if (rc == 0)
			rc = mailbox_peek(s->host->store, &place.access.row, &place.counters, err);
		if (rc < 0)
			return rc;
	}
	*out = place;
	return 0;
}

static const struct storeid *id_of(const struct metadata_place *place)
{
	return place->is_server ? NULL : &place->access.row.storeid;
}

int metadata_list(struct imap_session *s, const struct metadata_place *place,
		  struct metadata_item **out, size_t *n_out, struct us_err *err)
{
	struct reading reading = {s, place, 0};
	const struct state_annotation *all;
	struct metadata_item *items;
	size_t n_all = 0, n = 0, n_known = 0;
	int rc = annotations_list(s->host->store, id_of(place), s->pool, &all, &n_all, err);

	if (rc < 0)
		return rc;
	while (table_of(place)[n_known].name)
		n_known++;
	items = pool_alloc(s->pool, us_mul_size(n_all + n_known, sizeof(*items)));
	for (size_t i = 0; i < n_all; i++) {
		const struct known *k = find_known(place, all[i].entry);
		bool shared = !all[i].userid.len;

		reading.bytes += all[i].value.len;
		if ((shared || span_is(all[i].userid, s->identity->user)) && !(k && k->read))
			items[n++] = (struct metadata_item){{shared, all[i].entry}, all[i].value};
	}
	for (const struct known *k = table_of(place); k->name; k++) {
		struct buf value = BUF_INIT;

		if (k->read)
			k->read(&reading, &value);
		if (value.len)
			items[n++] = (struct metadata_item){{true, span_of(k->name)},
							    pool_span(s->pool, buf_span(&value))};
		buf_free(&value);
	}
	*out = items;
	*n_out = n;
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static bool is_value(enum value_type type, struct span value, int64_t *time)
{
	struct datetime when;
	uint64_t number;

	switch (type) {
	case TEXT:
		return true;
	case LINE:
		return !span_find(value, '\r') && !span_find(value, '\n') &&
		       !span_find(value, '\0');
	case SWITCH:
		return span_is_nocase(value, "true") || span_is_nocase(value, "false");
	case NUMBER:
		return value.len && isdigit((unsigned char)value.ptr[0]) &&
		       span_u64(value, UINT32_MAX, &number);
	case DATE:
		if (!datetime_parse_imap(value, &when))
			return false;
		*time = when.time;
		return true;
	}
	return false;
}

size_t metadata_longest(const struct imap_session *s, const struct metadata_place *place,
			const struct metadata_name *at)
{
	const struct known *k = find_known(place, at->name);

	return k && k->kind == NOTICE ? NOTICE_MAX
				      : store_config(s->host->store)->limits.annotation_value;
}

static int check_right(struct imap_session *s, const struct metadata_place *place,
		       const struct known *k, const struct metadata_name *at, struct us_err *err)
{
	bool fits;

	if (k)
		fits = k->kind != READ_ONLY && k->who & (at->shared ? SHARED : PRIVATE);
	else
		fits = conf_bool(s->host->conf, CONF_annotation_allow_undefined) &&
		       !span_starts(at->name, "/vendor/cmu/");
	if (fits && place->is_server)
		fits = !at->shared || imap_is_admin(s);
	else if (fits)
		fits = may(s, place, !at->shared ? ACL_READ : k ? k->right : ACL_WRITE);
	return fits ? 0 : us_fail(err, US_EPERM, "no right to write %.*s", SPAN_ARG(at->name));
}

static const char *const notices[] = {"motd", "shutdown"}; /* each the last part of its entry */

/* One command's changes, sorted by where they go. */
struct writing {
	struct imap_session *s;
	const struct metadata_place *place;
	struct state_annotation *set; /* what is stored */
	size_t n_set;
	uint32_t options_on, options_off;
	bool shows_after;
	int64_t show_after;
	bool writes_notice[ARRAY_SIZE(notices)];
	struct span notice[ARRAY_SIZE(notices)];
};

static int add_special_use(struct writing *w, const struct metadata_item *item, struct us_err *err)
{
	struct span name = w->place->access.name;
	struct buf uses = BUF_INIT;
	int rc = 0;

	if (!host_owns(w->s->host, w->s->identity, name))
		rc = us_fail(err, US_EPERM, "only an owner says what his mailboxes are for");
	if (rc == 0 && item->value.len)
		rc = special_use_check(w->s, name, item->value, &uses, err);
	if (rc == US_EINVAL)
		rc = US_EEXIST; /* told with the same code */
	if (rc == 0)
		w->set[w->n_set++].value =
			uses.len ? pool_span(w->s->pool, buf_span(&uses)) : SPAN_NULL;
	buf_free(&uses);
	return rc;
}

static void add_option(struct writing *w, const struct known *k, struct span value)
{
	bool on = value.ptr ? span_is_nocase(value, "true")
			    : k->option == MAILBOX_OPTION_POP3_NEW_UIDL; /* its default */

	w->options_on = on ? w->options_on | k->option : w->options_on & ~k->option;
	w->options_off = on ? w->options_off & ~k->option : w->options_off | k->option;
}

static int add_item(struct writing *w, const struct metadata_item *item, struct us_err *err)
{
	const struct known *k = find_known(w->place, item->at.name);
	const char *user = item->at.shared ? "" : w->s->identity->user;
	int64_t time = 0;
	int rc = check_right(w->s, w->place, k, &item->at, err);

	if (rc < 0)
		return rc;
	if (k && item->value.ptr && !is_value(k->type, item->value, &time))
		return us_fail(err, US_EINVAL, "no value for %s", k->name);
	w->set[w->n_set] = (struct state_annotation){item->at.name, span_of(user), item->value, 0};
	switch (k ? k->kind : STORED) {
	case OPTION:
		add_option(w, k, item->value);
		return 0;
	case SHOW_AFTER:
		w->shows_after = true;
		w->show_after = time;
		return 0;
	case NOTICE:
		w->writes_notice[!span_is(item->at.name, "/motd")] = true;
		w->notice[!span_is(item->at.name, "/motd")] = item->value;
		return 0;
	case SPECIAL_USE:
		return add_special_use(w, item, err);
	case STORED:
	case READ_ONLY:
		break;
	}
	w->n_set++;
	return 0;
}

static const struct state_annotation *find_there(const struct state_annotation *all, size_t n,
						 const struct state_annotation *a)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(all[i].entry, a->entry) && span_eq(all[i].userid, a->userid))
			return &all[i];
	return NULL;
}

/* Does all of it find room: by number, and in the quota of the mailbox? */
static int check_room(const struct writing *w, struct us_err *err)
{
	size_t n = 0, more = 0,
	       most = (size_t)conf_int(w->s->host->conf, CONF_annotation_count_max);
	struct quota_wanted wanted = {.annotation_bytes = 0};
	const struct state_annotation *all;
	uint64_t less = 0;
	int rc = annotations_list(w->s->host->store, id_of(w->place), w->s->pool, &all, &n, err);

	for (size_t i = 0; rc == 0 && i < w->n_set; i++) {
		const struct state_annotation *old = find_there(all, n, &w->set[i]);

		more += w->set[i].value.ptr && !old;
		wanted.annotation_bytes += w->set[i].value.len;
		less += old ? old->value.len : 0;
	}
	if (rc == 0 && more && n + more > most)
		return us_fail(err, US_ELIMIT, "%zu annotations", n + more);
	if (rc < 0 || w->place->is_server || wanted.annotation_bytes <= less)
		return rc;
	wanted.annotation_bytes -= less;
	return quota_check(w->s->host->store, w->place->access.name, &wanted, err);
}

static int change_locked(const struct writing *w, struct mailbox *m, struct us_err *err)
{
	const struct counters *c = &m->view.counters;
	const struct annotations_change change =
		{.set = w->set,
		 .n = w->n_set,
		 .has_counters = w->shows_after || w->options_on || w->options_off,
		 .options = (c->options | w->options_on) & ~w->options_off,
		 .pop3_show_after = w->shows_after ? w->show_after : c->pop3_show_after};

	if (host_rights(w->s->host, w->s->identity, buf_span(&m->name), m->row.acl) !=
	    w->place->access.rights)
		return us_fail(err, US_ECHANGED, "what he may do was changed meanwhile");
	return annotations_change(m, &change, err);
}

static int write_mailbox(const struct writing *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(w->s->host->store, w->place->access.name, &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0) {
		rc = change_locked(w, m, err);
		mailbox_unlock(m);
	}
	mailbox_close(&m);
	return rc;
}

/* The notices first: they are files, and what is more likely to fail. */
static int write_server(const struct writing *w, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(notices); i++)
		if (w->writes_notice[i])
			rc = notice_write(w->s->host, notices[i], w->notice[i], err);
	if (rc == 0 && w->n_set)
		rc = annotations_change_server(w->s->host->store, w->set, w->n_set, err);
	return rc;
}

int metadata_set(struct imap_session *s, const struct metadata_place *place,
		 const struct metadata_item *items, size_t n, struct us_err *err)
{
	struct writing w = {.s = s, .place = place};
	int rc = 0;

	w.set = pool_alloc(s->pool, us_mul_size(n, sizeof(w.set[0])));
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_item(&w, &items[i], err);
	if (rc == 0 && w.n_set)
		rc = check_room(&w, err);
	if (rc < 0)
		return rc;
	return place->is_server ? write_server(&w, err) : write_mailbox(&w, err);
}
