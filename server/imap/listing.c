/* listing.c - see listing.h. */
#include "server/imap/listing.h"

#include "server/imap/reply.h"
#include "server/session/listmatch.h"

void listing_write(struct stream *out, const char *word, const char *attributes, char separator,
		   struct span name)
{
	stream_printf(out, "* %s (%s) \"%c\" ", word, attributes, separator);
	reply_astring(out, name);
	stream_write_str(out, "\r\n");
}

void listing_begin(struct listing *l, struct stream *out, const char *word, const char *childless,
		   char separator, struct span pattern)
{
	*l = (struct listing){.out = out,
			      .word = word,
			      .childless = childless,
			      .separator = separator,
			      .pattern = pattern,
			      .before = BUF_INIT,
			      .held = BUF_INIT};
}

static void write_held(struct listing *l, bool has_children)
{
	if (l->held.len)
		listing_write(l->out, l->word, has_children ? "\\HasChildren" : l->childless,
			      l->separator, buf_span(&l->held));
	buf_clear(&l->held);
}

static bool is_below(const struct listing *l, struct span name, struct span above)
{
	return name.len > above.len && name.ptr[above.len] == l->separator &&
	       span_eq(span_make(name.ptr, above.len), above);
}

/* Was `level`, a level above the name at hand, above or equal to the name before, too? Then it was dealt with. */
static bool was_level(const struct listing *l, struct span level)
{
	struct span before = buf_span(&l->before);

	return span_eq(before, level) || is_below(l, before, level);
}

static void write_levels(struct listing *l, struct span name)
{
	for (size_t i = 1; i < name.len; i++) {
		struct span level = span_make(name.ptr, i);

		if (name.ptr[i] == l->separator && !was_level(l, level) &&
		    listmatch_fits(l->pattern, level, l->separator))
			listing_write(l->out, l->word, "\\Noselect \\HasChildren", l->separator,
				      level);
	}
}

void listing_add(struct listing *l, struct span name)
{
	bool fits = listmatch_fits(l->pattern, name, l->separator);

	if (l->held.len)
		write_held(l, is_below(l, name, buf_span(&l->held)));
	if (!fits)
		write_levels(l, name);
	else
		buf_add_span(&l->held, name);
	buf_clear(&l->before);
	buf_add_span(&l->before, name);
	l->n_seen++;
}

void listing_end(struct listing *l)
{
	write_held(l, false);
	buf_clear(&l->before);
}

void listing_free(struct listing *l)
{
	buf_free(&l->before);
	buf_free(&l->held);
}
