/* listing.c - see listing.h. */
#include "server/imap/listing.h"

#include "server/imap/reply.h"
#include "server/session/listmatch.h"

static void write_line(struct stream *out, const char *word, const char *attributes, char separator,
		       struct span name, bool childinfo)
{
	stream_printf(out, "* %s (%s) \"%c\" ", word, attributes, separator);
	reply_astring(out, name);
	stream_write_str(out, childinfo ? " (CHILDINFO (\"SUBSCRIBED\"))\r\n" : "\r\n");
}

void listing_write(struct stream *out, const char *word, const char *attributes, char separator,
		   struct span name)
{
	write_line(out, word, attributes, separator, name, false);
}

void listing_begin(struct listing *l, struct stream *out, const struct listing_options *options)
{
	*l = (struct listing){.o = *options,
			      .out = out,
			      .before = BUF_INIT,
			      .held = BUF_INIT,
			      .uses = BUF_INIT};
}

static bool fits(const struct listing *l, struct span name)
{
	for (size_t i = 0; i < l->o.n_patterns; i++)
		if (listmatch_fits(l->o.patterns[i], name, l->o.separator))
			return true;
	return false;
}

static struct listing_item describe(const struct listing *l, struct span name, bool is_level)
{
	struct listing_item item = {.nonexistent = is_level};

	if (l->o.describe)
		l->o.describe(l->o.ctx, name, is_level, &item);
	return item;
}

static void add_attribute(struct buf *out, struct span attribute)
{
	if (out->len && attribute.len)
		buf_add_char(out, ' ');
	buf_add_span(out, attribute);
}

static void write_item(struct listing *l, struct span name, const struct listing_item *item,
		       bool childinfo)
{
	bool of_old = l->o.levels == LISTING_LEVELS_NOSELECT;
	struct buf attributes = BUF_INIT;

	if (item->nonexistent)
		add_attribute(&attributes,
			      of_old ? SPAN_LIT("\\Noselect") : SPAN_LIT("\\NonExistent"));
	if (item->subscribed)
		add_attribute(&attributes, SPAN_LIT("\\Subscribed"));
	add_attribute(&attributes,
		      item->has_children ? SPAN_LIT("\\HasChildren") : span_of(l->o.childless));
	add_attribute(&attributes, item->uses);
	write_line(l->out, l->o.word, attributes.data, l->o.separator, name, childinfo);
	buf_free(&attributes);
	if (l->o.wrote && !item->nonexistent)
		l->o.wrote(l->o.ctx, name);
}

static void write_held(struct listing *l)
{
	if (l->held.len && !l->item.left_out) {
		l->item.uses = buf_span(&l->uses);
		write_item(l, buf_span(&l->held), &l->item, l->childinfo);
	}
	buf_clear(&l->held);
}

static bool is_below(const struct listing *l, struct span name, struct span above)
{
	return name.len > above.len && name.ptr[above.len] == l->o.separator &&
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
	bool childinfo = l->o.levels == LISTING_LEVELS_SUBSCRIBED;

	for (size_t i = 1; i < name.len && l->o.levels != LISTING_LEVELS_UNTOLD; i++) {
		struct span level = span_make(name.ptr, i);
		struct listing_item item;

		if (name.ptr[i] != l->o.separator || was_level(l, level) || !fits(l, level))
			continue;
		item = describe(l, level, true);
		item.has_children |= !l->o.children_known;
		write_item(l, level, &item, childinfo);
	}
}

void listing_add(struct listing *l, struct span name)
{
	bool is_shown = fits(l, name);

	if (l->held.len && is_below(l, name, buf_span(&l->held))) {
		l->item.has_children |= !l->o.children_known;
		l->childinfo = l->o.levels == LISTING_LEVELS_SUBSCRIBED;
	}
	write_held(l);
	if (is_shown) {
		buf_add_span(&l->held, name);
		l->item = describe(l, name, false);
		l->childinfo = false;
		buf_clear(&l->uses);
		buf_add_span(&l->uses, l->item.uses);
	} else {
		write_levels(l, name);
	}
	buf_clear(&l->before);
	buf_add_span(&l->before, name);
	l->n_seen++;
}

void listing_end(struct listing *l)
{
	write_held(l);
	buf_clear(&l->before);
}

void listing_free(struct listing *l)
{
	buf_free(&l->before);
	buf_free(&l->held);
	buf_free(&l->uses);
}
