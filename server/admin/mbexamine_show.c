/* mbexamine_show.c - what index and cache of a mailbox say, in the words of Cyrus's mbexamine. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "server/admin/header_text.h"
#include "server/admin/mbexamine.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/store/mime/nstring.h"

/* ---- the mailbox --------------------------------------------------------------------------------------------- */

/* "Tue Dec  1 05:19:42 2026", in the machine's zone. */
static void print_time(const char *what, int64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm tm;
	char text[64];

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	printf("  %s: (%" PRId64 ") %s\n", what, seconds, text);
}

static void print_keywords(const struct flag_names *names)
{
	unsigned n = 0;

	printf("  User Flags: ");
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (names->bit[bit].name.ptr) {
			printf("%.*s ", SPAN_ARG(names->bit[bit].name));
			n++;
		}
	puts(n ? "" : "[none]");
}

static void print_options(uint32_t options)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} all[] = {{MAILBOX_OPTION_POP3_NEW_UIDL, "POP3_NEW_UIDL"},
		   {MAILBOX_OPTION_SHARED_SEEN, "IMAP_SHAREDSEEN"},
		   {MAILBOX_OPTION_DUP_DELIVER, "IMAP_DUPDELIVER"},
		   {MAILBOX_OPTION_HAS_ALARMS, "IMAP_HAS_ALARMS"}};

	printf("  Mailbox Options:%s", options ? "" : " NONE");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (options & all[i].bit)
			printf(" %s", all[i].name);
	putchar('\n');
}

static void print_header(const struct mailbox *m)
{
	const struct counters *c = &m->view.counters;
	const struct index_header *h = m->view.base.header;

	puts(" Mailbox Header Info:");
	mbexamine_print_path(m);
	printf("  Mailbox ACL: %.*s\n", SPAN_ARG(m->row.acl));
	printf("  Unique ID: %.*s\n", SPAN_ARG(m->row.uniqueid));
	print_keywords(&m->view.names);
	puts("\n Index Header Info:");
	printf("  Generation Number: %u\n  Minor Version: %u\n", h->generation, h->version);
	printf("  Header Size: %zu bytes  Record Size: %u bytes\n", sizeof(*h), h->record_size);
	printf("  Number of Messages: %u  Mailbox Size: %" PRIu64
	       " bytes  Annotations Size: %" PRIu64 " bytes\n",
	       c->exists, c->bytes_live, c->annot_bytes);
	print_time("Last Append Date", c->last_append);
	printf("  UIDValidity: %u  Last UID: %u\n", c->uidvalidity, c->last_uid);
	printf("  Deleted: %u  Answered: %u  Flagged: %u\n", c->deleted, c->answered, c->flagged);
	print_options(c->options);
	print_time("Last POP3 Login", c->pop3_last_login);
	printf("  Highest Mod Sequence: %" PRIu64 "\n", mailbox_highestmodseq(m));
}

/* ---- a message ------------------------------------------------------------------------------------------------ */

static void print_system_flags(uint32_t flags)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} all[] = {{FLAG_SEEN, "SEEN"},
		   {FLAG_DRAFT, "DRAFT"},
		   {FLAG_DELETED, "DELETED"},
		   {FLAG_FLAGGED, "FLAGGED"},
		   {FLAG_ANSWERED, "ANSWERED"}};

	/* What is shown is there: none of the internal flags is set. */
	printf("      > INTERNALFLAGS:      > SYSTEMFLAGS:");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (flags & all[i].bit)
			printf(" FLAG_%s", all[i].name);
	putchar('\n');
}

static void print_record(const struct record *r, unsigned seqnum)
{
	char hex[GUID_HEX];

	guid_format(&r->guid, hex);
	printf("%06u> UID:%08u   INT_DATE:%" PRId64 " SENTDATE:%" PRId64 " SAVEDATE:%" PRId64
	       " SIZE:%-6" PRIu64 "\n",
	       seqnum, r->uid, record_internaldate(r), r->sentdate, r->savedate, r->size);
	printf("      > HDRSIZE:%-6u LASTUPD :%" PRId64 " SYSFLAGS:%08X", r->header_size,
	       r->last_updated, r->system_flags);
	printf("      > CACHEVER:%-2u GUID:%s MODSEQ:%" PRIu64 "  THRID: %" PRIx64 "\n",
	       r->cache_version, hex, r->modseq, r->cid);
	print_system_flags(r->system_flags);
	printf("      > USERFLAGS: %08X %08X %08X %08X\n", (unsigned)(r->user_flags[1] >> 32),
	       (unsigned)r->user_flags[1], (unsigned)(r->user_flags[0] >> 32),
	       (unsigned)r->user_flags[0]);
}

/* A stranger's bytes: no control but line ends. */
static void print_item(const char *name, struct span text)
{
	printf(" %s>{%zu}", name, text.len);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool control = (c < ' ' && c != '\r' && c != '\n' && c != '\t') || c == 0x7f;
		putchar(control ? '?' : c);
	}
	putchar('\n');
}

static void print_addresses(struct mbexamine *w, const char *name, const struct mime_words *values)
{
	struct buf text = BUF_INIT;

	header_text_addresses(w->text, values, &text);
	print_item(name, buf_span(&text));
	buf_free(&text);
}

static void print_subject(struct mbexamine *w, struct span subject)
{
	struct buf text = BUF_INIT, shown = BUF_INIT;

	header_text_plain(w->text, subject, &text);
	nstring_put(&shown, subject.ptr ? buf_span(&text) : SPAN_NULL);
	print_item("Subjct", buf_span(&shown));
	buf_free(&text);
	buf_free(&shown);
}

static void print_fields(struct mbexamine *w, const struct mime_envelope *e)
{
	struct mime_words from = {.text = e->from};

	print_addresses(w, "From", e->from.ptr ? &from : NULL);
	print_addresses(w, "To", e->to);
	print_addresses(w, "Cc", e->cc);
	print_addresses(w, "Bcc", e->bcc);
	print_subject(w, e->subject);
}

static void print_cache(struct mbexamine *w, const struct mime_cache *cache)
{
	struct pool *pool = pool_new();
	const struct mime_envelope *e = mbexamine_fields(cache, pool);

	print_item("Envel", cache->envelope);
	print_item("BdyStr", cache->body_structure);
	print_item("Body", cache->body);
	print_item("CacHdr", cache->headers);
	if (e)
		print_fields(w, e);
	pool_free(&pool);
}

static bool is_wanted(const struct mbexamine *w, const struct record *r, unsigned seqnum)
{
	return w->wanted == WANTED_ALL || w->number == (w->wanted == WANTED_UID ? r->uid : seqnum);
}

static unsigned print_messages(struct mbexamine *w, struct mailbox *m)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	struct mime_cache cache;
	unsigned seqnum = 0, n = 0;

	while ((r = view_next_live(&m->view, &walk))) {
		if (!is_wanted(w, r, ++seqnum))
			continue;
		print_record(r, seqnum);
		if (mbexamine_cached(m, r, &cache))
			print_cache(w, &cache);
		n++;
	}
	return n;
}

void mbexamine_show(struct mbexamine *w, struct mailbox *m)
{
	print_header(m);
	puts("\n Message Info:");
	if (!print_messages(w, m) && w->wanted != WANTED_ALL) {
		puts("Desired message not found");
		mbexamine_found(w);
	}
	if (m->view.corrupt) {
		struct us_err err;
		us_fail(&err, US_ECORRUPT, "%s: a record's checksum is wrong", m->name.data);
		tool_warn(&w->tool, &err);
		mbexamine_found(w);
	}
}
