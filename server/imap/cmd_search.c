/* cmd_search.c - SEARCH (RFC 3501, 6.4.4; RETURN: RFC 4731; SAVE: RFC 5182): its arguments are search_args.h's, what matches
 * search_match.h's.
 *
 * A message whose file or cache cannot be read is not found, and said to the operator: the others are.
 */
#include "server/base/conf.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/annotate_change.h"
#include "server/imap/reply.h"
#include "server/imap/search_match.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/store/cache.h"
#include "server/store/message.h"
#include "server/store/mime/mime_text.h"

/* A file up to this size is sooner read than mapped. */
#define READ_MOST 65536

/* What the program may load of a message, kept until the next. */
struct loader {
	struct mailbox *mailbox;
	struct cache_keeper keeper;
	struct buf made;
	struct span bytes; /* mapped */
	struct buf copy;   /* or read */
};

static int load_cache(void *ctx, const struct record *r, struct mime_cache *out, struct us_err *err)
{
	struct loader *l = ctx;
	struct span payload;
	int rc = message_payload(l->mailbox, r, &l->made, &payload, err);

	if (rc > 0)
		cache_keeper_add(&l->keeper, r->uid, payload);
	return rc < 0 ? rc : mime_cache_decode(payload, out, err);
}

static int read_bytes(struct loader *l, const struct record *r, struct span *out,
		      struct us_err *err)
{
	int fd = -1, rc = message_open(l->mailbox, r, &fd, err);

	buf_clear(&l->copy);
	if (rc == 0)
		rc = io_pread(fd, buf_reserve(&l->copy, READ_MOST), (size_t)r->size, 0, err);
	io_close(&fd);
	*out = span_make(l->copy.data, (size_t)r->size);
	return rc;
}

static int load_bytes(void *ctx, const struct record *r, struct span *out, struct us_err *err)
{
	struct loader *l = ctx;
	int rc;

	if (r->size <= READ_MOST)
		return read_bytes(l, r, out, err);
	message_unmap(&l->bytes);
	rc = message_map(l->mailbox, r, &l->bytes, err);
	*out = l->bytes;
	return rc;
}

/* ---- making ready -------------------------------------------------------------------------------- */

static struct mime_text *new_text(const struct conf *conf)
{
	static const struct {
		int word;
		enum mime_whitespace whitespace;
	} words[] = {
		{CONF_search_whitespace_skip, MIME_WHITESPACE_SKIP},
		{CONF_search_whitespace_merge, MIME_WHITESPACE_MERGE},
		{CONF_search_whitespace_keep, MIME_WHITESPACE_KEEP},
	};
	struct mime_text_options options = {.fold.keep_diacritics =
						    !conf_bool(conf, CONF_search_skipdiacrit),
					    .skip_html = conf_bool(conf, CONF_search_skiphtml)};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (conf_enum(conf, CONF_search_whitespace) == words[i].word)
			options.fold.whitespace = words[i].whitespace;
	return mime_text_new(&options);
}

static void resolve(void *ctx, const struct token_set *set, bool by_uid, struct uidset *out)
{
	(void)selected_resolve(ctx, set, by_uid, out, NULL); /* numbers of nothing find nothing */
}

static int bad_charset(struct imap_session *s)
{
	struct buf list = BUF_INIT;
	int rc;

	for (size_t i = 0; mime_text_charsets[i]; i++)
		buf_printf(&list, "%s%s", i ? " " : "", mime_text_charsets[i]);
	rc = imap_no(s, "[BADCHARSET (%s)] Unrecognized character set", list.data);
	buf_free(&list);
	return rc;
}

/* ---- searching ----------------------------------------------------------------------------------- */

static void note_unreadable(struct imap_session *s, const struct record *r, int rc,
			    const struct us_err *err)
{
	if (rc != US_ENOENT) /* expunged while we looked */
		log_event(LOG_ERR, "imap.message.unreadable",
			  LF_STR("mailbox", s->selected->mailbox->name.data), LF_NUM("uid", r->uid),
			  LF_ERR(err));
}

struct found {
	const struct search_args *args;
	unsigned n;
	struct uidset numbers; /* in the client's form */
	struct uidset uids;    /* where they are to be saved */
	uint32_t low, high;    /* of numbers */
	uint64_t low_modseq, high_modseq, most_modseq;
};

/* Is the first that was found all that is wanted? */
static bool is_enough(const struct found *found)
{
	return found->n && found->args->extended &&
	       !(found->args->returns & (RETURN_MAX | RETURN_ALL | RETURN_COUNT)) &&
	       found->args->returns & RETURN_MIN;
}

static void add_found(struct found *found, const struct record *r, uint32_t number)
{
	if (!found->n++) {
		found->low = number;
		found->low_modseq = r->modseq;
	}
	found->high = number;
	found->high_modseq = r->modseq;
	if (r->modseq > found->most_modseq)
		found->most_modseq = r->modseq;
	uidset_add(&found->numbers, number, number);
	if (found->args->returns & RETURN_SAVE)
		uidset_add(&found->uids, r->uid, r->uid);
}

static void find(struct imap_session *s, struct search_program *program, struct found *found)
{
	struct selected *sel = s->selected;
	struct loader loader = {.mailbox = sel->mailbox, .made = BUF_INIT, .copy = BUF_INIT};
	struct search_message m = {.load_cache = load_cache,
				   .load_bytes = load_bytes,
				   .ctx = &loader};
	struct uidset all = UIDSET_INIT;
	struct selected_walk walk;
	struct us_err err;
	uint32_t seq;

	cache_keeper_init(&loader.keeper, sel->mailbox);
	uidset_add(&all, 1, UINT32_MAX);
	walk = selected_walk(sel, &all);
	while (!is_enough(found) && (m.record = selected_next(&walk, &seq))) {
		int rc;

		if (!record_is_live(m.record))
			continue;
		m.flags = selected_flags(sel, m.record);
		m.annotations = annotate_source_of(sel, m.record->uid);
		m.recent = selected_is_recent(sel, m.record->uid);
		rc = search_matches(program, &m, &err);
		if (rc < 0)
			note_unreadable(s, m.record, rc, &err);
		if (rc > 0)
			add_found(found, m.record, s->uid_form ? m.record->uid : seq);
	}
	message_unmap(&loader.bytes);
	cache_keeper_fini(&loader.keeper);
	buf_free(&loader.made);
	buf_free(&loader.copy);
	uidset_free(&all);
}

/* ---- answering ----------------------------------------------------------------------------------- */

/* The highest modseq of what is shown (RFC 4731, 3.2; RFC 7162, 3.1.5); 0: it is not to be told. */
static uint64_t modseq_of(const struct found *found)
{
	unsigned returns = found->args->returns;

	if (!found->args->modseq || !found->n)
		return 0;
	if (!found->args->extended || returns & (RETURN_ALL | RETURN_COUNT))
		return found->most_modseq;
	if (!(returns & RETURN_MAX))
		return found->low_modseq;
	if (!(returns & RETURN_MIN) || found->high_modseq > found->low_modseq)
		return found->high_modseq;
	return found->low_modseq;
}

static void put_plain(struct imap_session *s, const struct found *found)
{
	stream_write_str(s->out, "* SEARCH");
	for (size_t i = 0; i < found->numbers.n; i++)
		for (uint64_t n = found->numbers.range[i].low; n <= found->numbers.range[i].high;
		     n++) {
			stream_write_str(s->out, " ");
			reply_number(s->out, n);
		}
	if (modseq_of(found))
		stream_printf(s->out, " (MODSEQ %llu)", (unsigned long long)modseq_of(found));
	stream_write_str(s->out, "\r\n");
}

static void put_set(struct imap_session *s, const struct uidset *set)
{
	struct buf text = BUF_INIT;

	uidset_format(set, &text);
	stream_write_span(s->out, buf_span(&text));
	buf_free(&text);
}

/* esearch-response (RFC 4466, 2.6.2). What there is none of is left out, but for COUNT. */
static void put_extended(struct imap_session *s, const struct found *found)
{
	unsigned returns = found->args->returns;

	if (!(returns & RETURN_SHOWN))
		return;
	stream_write_str(s->out, "* ESEARCH (TAG ");
	reply_string(s->out, s->tag);
	stream_printf(s->out, ")%s", s->uid_form ? " UID" : "");
	if (returns & RETURN_COUNT)
		stream_printf(s->out, " COUNT %u", found->n);
	if (found->n && returns & RETURN_MIN)
		stream_printf(s->out, " MIN %u", found->low);
	if (found->n && returns & RETURN_MAX)
		stream_printf(s->out, " MAX %u", found->high);
	if (found->n && returns & RETURN_ALL) {
		stream_write_str(s->out, " ALL ");
		put_set(s, &found->numbers);
	}
	if (modseq_of(found))
		stream_printf(s->out, " MODSEQ %llu", (unsigned long long)modseq_of(found));
	stream_write_str(s->out, "\r\n");
}

/* Where only the lowest or the highest was asked for, only that is saved (RFC 5182, 2.4). */
static void save(struct selected *sel, struct found *found)
{
	unsigned returns = found->args->returns;
	uint32_t low = uidset_next(&found->uids, 1), high;

	uidset_clear(&sel->saved);
	if (!found->n)
		return;
	high = found->uids.range[found->uids.n - 1].high;
	if (!(returns & (RETURN_MIN | RETURN_MAX)) || returns & (RETURN_ALL | RETURN_COUNT)) {
		for (size_t i = 0; i < found->uids.n; i++)
			uidset_add(&sel->saved, found->uids.range[i].low,
				   found->uids.range[i].high);
		return;
	}
	if (returns & RETURN_MIN)
		uidset_add(&sel->saved, low, low);
	if (returns & RETURN_MAX)
		uidset_add(&sel->saved, high, high);
}

static int search(struct imap_session *s, const struct search_args *args,
		  struct search_program *program)
{
	struct found found = {.args = args};
	unsigned n;

	find(s, program, &found);
	n = found.n;
	if (args->extended)
		put_extended(s, &found);
	else
		put_plain(s, &found);
	if (args->returns & RETURN_SAVE)
		save(s->selected, &found);
	uidset_free(&found.numbers);
	uidset_free(&found.uids);
	return imap_ok(s, "Completed (%u msgs in %.3f secs)", n, imap_elapsed_s(s));
}

/* A SEARCH that is answered NO saves nothing, one that is BAD leaves what was saved (RFC 5182, 2.1). */
static void forget_saved(struct imap_session *s, const struct search_args *args)
{
	if (args->returns & RETURN_SAVE)
		uidset_clear(&s->selected->saved);
}

int run_search(struct imap_session *s, const void *arg, struct us_err *err)
{
	const struct search_args *args = arg;
	struct search_context context = {&s->selected->mailbox->view.names, resolve, s->selected};
	struct mime_text *text;
	struct search_program *program = NULL;
	int rc;

	if (args->depth > (unsigned)conf_int(s->host->conf, CONF_search_nesting_max)) {
		forget_saved(s, args);
		return imap_no(s, "[LIMIT] Search criteria are nested too deep");
	}
	if (args->modseq)
		imap_enable_condstore(s, "MODSEQ search");
	text = new_text(s->host->conf);
	rc = search_program_new(args, text, &context, &program, err);
	if (rc < 0 && rc != US_EPROTO)
		forget_saved(s, args);
	if (rc == US_EINVAL) {
		rc = bad_charset(s);
	} else if (rc == US_EPROTO) {
		rc = imap_bad(s, "Search string is not in its character set");
	} else if (rc == 0) {
		rc = search(s, args, program);
	}
	search_program_free(&program);
	mime_text_free(&text);
	return rc;
}
