/* fetch_put.c - see fetch_put.h. */
#include "server/imap/fetch_put.h"

#include <sys/mman.h>

#include "server/base/datetime.h"
#include "server/imap/reply.h"
#include "server/store/mime/field.h"

/* ---- what it takes ------------------------------------------------------------------------------- */

/* Of the message itself: its record says where it is. */
static bool is_in_record(const struct fetch_section *section)
{
	return section->kind != FETCH_FIELDS && !section->section.path.len;
}

static bool is_in_cache(const struct fetch_section *section, const struct mime_cache *cache)
{
	return section->kind == FETCH_FIELDS && !section->section.path.len &&
	       section->section.text == MIME_SECTION_FIELDS &&
	       mime_cache_has_fields(cache, section->fields, section->n_fields);
}

bool fetch_needs_cache(const struct fetch_args *args)
{
	for (size_t i = 0; i < args->n_sections; i++)
		if (!is_in_record(&args->section[i]))
			return true;
	return args->items & FETCH_CACHED;
}

bool fetch_needs_file(const struct fetch_args *args, const struct mime_cache *cache)
{
	for (size_t i = 0; i < args->n_sections; i++)
		if (is_in_record(&args->section[i]) || !is_in_cache(&args->section[i], cache))
			return true;
	return false;
}

/* ---- sections ------------------------------------------------------------------------------------ */

static struct mime_range range_in_record(const struct record *r, enum mime_section_text text)
{
	uint64_t header = r->header_size < r->size ? r->header_size : r->size;

	if (text == MIME_SECTION_HEADER)
		return (struct mime_range){0, header};
	if (text == MIME_SECTION_TEXT)
		return (struct mime_range){header, r->size - header};
	return (struct mime_range){0, r->size};
}

/* US_ENOENT: the message has no such section. */
static int find_range(const struct fetch_section *section, const struct fetch_source *source,
		      struct mime_range *out, struct us_err *err)
{
	struct mime_table table;

	if (is_in_record(section)) {
		*out = range_in_record(source->record, section->section.text);
		return 0;
	}
	table = mime_cache_table(source->cache);
	return mime_section_find(&table, &section->section, out, err);
}

/* A string of that length begins; one of nothing is whole. */
static void begin_string(struct stream *out, uint64_t len)
{
	if (!len) {
		stream_write_str(out, "\"\"");
		return;
	}
	stream_write_str(out, "{");
	reply_number(out, len);
	stream_write_str(out, "}\r\n");
}

static int put_octets(struct stream *out, const struct fetch_section *section,
		      const struct fetch_source *source, struct mime_range range,
		      struct us_err *err)
{
	fetch_section_clip(section, &range);
	begin_string(out, range.size);
	return range.size ? stream_send_file(out, source->fd, range.offset, range.size, err) : 0;
}

/* ---- fields of a header --------------------------------------------------------------------------- */

/* What is shown of a header: its pieces in order, the first of them noted, all of them counted. */
#define NOTED 32
struct field_pieces {
	struct span piece[NOTED];
	size_t n; /* in all */
	uint64_t total;
};

/* Where pieces go: the part of the whole that is asked for. */
struct field_sink {
	struct stream *out;
	uint64_t at, from, to;
};

static void sink_put(struct field_sink *sink, struct span text)
{
	uint64_t begin = sink->at, end = begin + text.len;

	sink->at = end;
	if (end <= sink->from || begin >= sink->to)
		return;
	if (begin < sink->from)
		text = span_from(text, (size_t)(sink->from - begin));
	if (end > sink->to)
		text.len -= (size_t)(end - sink->to);
	stream_write_span(sink->out, text);
}

static bool is_wanted(const struct fetch_section *section, struct span name)
{
	bool listed = false;

	for (size_t i = 0; i < section->n_fields && !listed; i++)
		listed = section->fields[i].len == name.len &&
			 span_eq_nocase(section->fields[i], name);
	return listed == (section->section.text == MIME_SECTION_FIELDS);
}

/* A piece either to be noted, or to be written. */
static void pass_piece(struct field_pieces *pieces, struct field_sink *sink, struct span text)
{
	if (sink) {
		sink_put(sink, text);
		return;
	}
	if (pieces->n < NOTED)
		pieces->piece[pieces->n] = text;
	pieces->n++;
	pieces->total += text.len;
}

/* As mime_field_filter(), without a copy. */
static void walk_fields(struct span header, const struct fetch_section *section,
			struct field_pieces *pieces, struct field_sink *sink)
{
	struct mime_field field;

	while (mime_field_next(&header, &field)) {
		if (!field.name.len || !is_wanted(section, field.name))
			continue;
		pass_piece(pieces, sink, field.raw);
		if (field.raw.ptr[field.raw.len - 1] != '\n')
			pass_piece(pieces, sink, SPAN_LIT("\r\n"));
	}
	pass_piece(pieces, sink, SPAN_LIT("\r\n"));
}

/* A literal begins with its length: so the pieces are found first, and found again only where there are many. */
static void put_fields(struct stream *out, const struct fetch_section *section, struct span header)
{
	struct field_pieces pieces;
	struct field_sink sink = {.out = out};
	struct mime_range range;

	pieces.n = 0;
	pieces.total = 0;
	walk_fields(header, section, &pieces, NULL);
	range = (struct mime_range){0, pieces.total};
	fetch_section_clip(section, &range);
	sink.from = range.offset;
	sink.to = range.offset + range.size;
	begin_string(out, range.size);
	if (pieces.n > NOTED)
		walk_fields(header, section, NULL, &sink);
	else
		for (size_t i = 0; i < pieces.n; i++)
			sink_put(&sink, pieces.piece[i]);
}

/* The header is in the file. */
static int put_fields_of_file(struct stream *out, const struct fetch_section *section,
			      const struct fetch_source *source, struct mime_range range,
			      struct us_err *err)
{
	size_t length = (size_t)(range.offset + range.size);
	char *map = length ? mmap(NULL, length, PROT_READ, MAP_SHARED, source->fd, 0) : NULL;

	if (map == MAP_FAILED)
		return us_fail_errno(err, "map a message file");
	put_fields(out, section, span_make(map ? map + range.offset : "", (size_t)range.size));
	if (map)
		munmap(map, length);
	return 0;
}

/* ---- items --------------------------------------------------------------------------------------- */

static int put_section(struct stream *out, const struct fetch_section *section,
		       const struct fetch_source *source, struct us_err *err)
{
	struct mime_range range;

	stream_write_span(out, section->label);
	stream_write_str(out, " ");
	if (source->cache && is_in_cache(section, source->cache)) {
		put_fields(out, section, source->cache->headers);
		return 0;
	}
	if (find_range(section, source, &range, NULL) < 0) {
		stream_write_str(out, "NIL");
		return 0;
	}
	if (section->kind == FETCH_FIELDS)
		return put_fields_of_file(out, section, source, range, err);
	return put_octets(out, section, source, range, err);
}

static void put_date(struct stream *out, int64_t time)
{
	struct datetime when = {.time = time, .zone_s = datetime_local_zone(time)};
	char text[DATETIME_IMAP];

	datetime_format_imap(when, text);
	stream_write_str(out, "\"");
	stream_write_str(out, text);
	stream_write_str(out, "\"");
}

static void put_digest(struct stream *out, const struct record *r)
{
	char hex[GUID_HEX];

	guid_format(&r->guid, hex);
	stream_write_str(out, "DIGEST.SHA1 ");
	stream_write_str(out, hex);
}

/* THREADID is NIL where no peer gave the message a conversation (RFC 8474, 5.2). */
static void put_object_id(struct stream *out, const struct record *r, bool of_thread)
{
	char id[RECORD_OBJECTID];
	bool has = of_thread ? record_threadid(r, id) : (record_emailid(r, id), true);

	stream_write_str(out, of_thread ? "THREADID " : "EMAILID ");
	if (has)
		stream_printf(out, "(%s)", id);
	else
		stream_write_str(out, "NIL");
}

static void put_savedate(struct stream *out, const struct record *r)
{
	stream_write_str(out, "SAVEDATE ");
	if (r->savedate > 0)
		put_date(out, r->savedate);
	else
		stream_write_str(out, "NIL");
}

static void put_item(struct stream *out, enum fetch_item item, const struct fetch_source *source)
{
	switch (item) {
	case FETCH_UID:
		stream_write_str(out, "UID ");
		reply_number(out, source->record->uid);
		break;
	case FETCH_DIGEST:
		put_digest(out, source->record);
		break;
	case FETCH_INTERNALDATE:
		stream_write_str(out, "INTERNALDATE ");
		put_date(out, record_internaldate(source->record));
		break;
	case FETCH_MODSEQ:
		stream_write_str(out, "MODSEQ (");
		reply_number(out, source->record->modseq);
		stream_write_str(out, ")");
		break;
	case FETCH_EMAILID:
		put_object_id(out, source->record, /* of_thread */ false);
		break;
	case FETCH_THREADID:
		put_object_id(out, source->record, /* of_thread */ true);
		break;
	case FETCH_SAVEDATE:
		put_savedate(out, source->record);
		break;
	case FETCH_SIZE:
		stream_write_str(out, "RFC822.SIZE ");
		reply_number(out, source->record->size);
		break;
	case FETCH_ENVELOPE:
		stream_write_str(out, "ENVELOPE ");
		stream_write_span(out, source->cache->envelope);
		break;
	case FETCH_BODYSTRUCTURE:
		stream_write_str(out, "BODYSTRUCTURE ");
		stream_write_span(out, source->cache->body_structure);
		break;
	case FETCH_BODY:
		stream_write_str(out, "BODY ");
		stream_write_span(out, source->cache->body);
		break;
	case FETCH_FLAGS:
	case FETCH_CACHED:
		break;
	}
}

static void separate(struct stream *out, bool *separator)
{
	if (*separator)
		stream_write_str(out, " ");
	*separator = true;
}

int fetch_put(struct stream *out, const struct fetch_args *args, const struct fetch_source *source,
	      bool separator, struct us_err *err)
{
	int rc = 0;

	for (unsigned item = FETCH_UID; item <= FETCH_BODY; item <<= 1) {
		if (!(args->items & item))
			continue;
		separate(out, &separator);
		put_item(out, item, source);
	}
	if (args->annotations) {
		separate(out, &separator);
		annotate_put(out, args->annotations, &source->annotations);
	}
	for (size_t i = 0; i < args->n_sections && rc == 0; i++) {
		separate(out, &separator);
		rc = put_section(out, &args->section[i], source, err);
	}
	return rc;
}
