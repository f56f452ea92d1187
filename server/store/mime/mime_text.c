/* mime_text.c - see mime_text.h. */
#include "server/store/mime/mime_text.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/mime/html.h"

#define PIECE        16384 /* bytes of a part that are worked on at a time */
/* Bytes of a field's value that GMime is given at a time: on "=?a?b?c=" without end it takes time squared
 * in their number, 4 s for the 256 KiB that we look at. */
#define HEADER_PIECE 4096

const char *const mime_text_charsets[] =
	{"US-ASCII",     "UTF-8",        "ISO-8859-1",  "ISO-8859-2",   "ISO-8859-5",
	 "ISO-8859-7",   "ISO-8859-9",   "ISO-8859-15", "WINDOWS-1250", "WINDOWS-1251",
	 "WINDOWS-1252", "WINDOWS-1254", "KOI8-R",      "KOI8-U",       "ISO-2022-JP",
	 "EUC-JP",       "SHIFT_JIS",    "EUC-KR",      "GB2312",       "GBK",
	 "GB18030",      "BIG5",         "UTF-7",       "UTF-16",       NULL};

struct mime_text {
	struct mime_text_options options;
	struct mime_fold *fold;
	GMimeParserOptions *parser;
	struct buf clean, decoded, utf8, seen, folded; /* one for each stage */
};

void mime_text_start(void)
{
	g_mime_init();
}

void mime_text_stop(void)
{
	g_mime_shutdown();
}

struct mime_text *mime_text_new(const struct mime_text_options *options)
{
	const char *fallback[] = {"utf-8", "windows-1252", NULL};
	struct mime_text *text = us_calloc(1, sizeof(*text));
	struct buf *const bufs[] = {&text->clean, &text->decoded, &text->utf8, &text->seen,
				    &text->folded};

	if (options)
		text->options = *options;
	text->fold = mime_fold_new(&text->options.fold);
	text->parser = g_mime_parser_options_new();
	g_mime_parser_options_set_fallback_charsets(text->parser, fallback);
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		buf_init(bufs[i], 0);
	return text;
}

void mime_text_free(struct mime_text **text)
{
	if (!*text)
		return;
	mime_fold_free(&(*text)->fold);
	g_mime_parser_options_free((*text)->parser);
	buf_free(&(*text)->clean);
	buf_free(&(*text)->decoded);
	buf_free(&(*text)->utf8);
	buf_free(&(*text)->seen);
	buf_free(&(*text)->folded);
	free(*text);
	*text = NULL;
}

/* ---- fields ------------------------------------------------------------------------------------ */

/* One line without NULs, as GMime wants it. */
static void clean_value(struct span value, struct buf *out)
{
	char *to;

	buf_clear(out);
	to = buf_reserve(out, value.len);
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] != '\r' && value.ptr[i] != '\n')
			to[out->len++] = value.ptr[i] ? value.ptr[i] : ' ';
	to[out->len] = '\0';
}

/* Could there be an encoded word? */
static bool has_encoded_word(struct span value)
{
	const char *at;

	while ((at = span_find(value, '='))) {
		value = span_from(value, (size_t)(at - value.ptr) + 1);
		if (value.len && value.ptr[0] == '?')
			return true;
	}
	return false;
}

void mime_text_fold(struct mime_text *text, struct span utf8, struct buf *out)
{
	mime_fold_put(text->fold, utf8, out);
	mime_fold_end(text->fold, out);
}

/* How much of the value goes to GMime next: all, or up to a blank, where no encoded word is cut. */
static size_t header_piece(struct span value)
{
	size_t len = HEADER_PIECE;

	if (value.len <= len)
		return value.len;
	while (len > HEADER_PIECE / 2 && value.ptr[len] != ' ')
		len--;
	return value.ptr[len] == ' ' ? len : HEADER_PIECE;
}

typedef void put_fn(struct mime_text *text, struct span utf8, struct buf *out);

static void put_folded(struct mime_text *text, struct span utf8, struct buf *out)
{
	mime_fold_put(text->fold, utf8, out);
}

static void put_plain(struct mime_text *text UNUSED, struct span utf8, struct buf *out)
{
	buf_add_span(out, utf8);
}

/* `piece` ends with a NUL. */
static void put_decoded(struct mime_text *text, const char *piece, put_fn *put, struct buf *out)
{
	char *decoded = g_mime_utils_header_decode_text(text->parser, piece);

	put(text, span_of(decoded), out);
	g_free(decoded);
}

static void decode(struct mime_text *text, struct span value, put_fn *put, struct buf *out)
{
	if (value.len > MIME_TEXT_HEADER_MAX)
		value.len = MIME_TEXT_HEADER_MAX;
	clean_value(span_trim(value), &text->clean);
	value = buf_span(&text->clean);
	if (!has_encoded_word(value)) {
		put(text, value, out);
		return;
	}
	while (value.len) {
		size_t len = header_piece(value);
		char *piece = (char *)value.ptr, kept = piece[len];
		piece[len] = '\0';
		put_decoded(text, piece, put, out);
		piece[len] = kept;
		value = span_from(value, len);
	}
}

void mime_text_header(struct mime_text *text, struct span value, struct buf *out)
{
	decode(text, value, put_folded, out);
	mime_fold_end(text->fold, out);
}

void mime_text_decode(struct mime_text *text, struct span value, struct buf *out)
{
	decode(text, value, put_plain, out);
}

/* ---- charsets ---------------------------------------------------------------------------------- */

/* Charsets whose bytes fold.c reads by itself: UTF-8, and what is often mislabelled. */
static bool needs_no_conversion(struct span charset)
{
	return charset.len == 0 || span_is_nocase(charset, "us-ascii") ||
	       span_is_nocase(charset, "ascii") || span_is_nocase(charset, "utf-8") ||
	       span_is_nocase(charset, "utf8");
}

static bool is_charset_name(struct span name)
{
	static const char marks[] = "-_.:+()";

	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!g_ascii_isalnum(c) && !(c && strchr(marks, c)))
			return false;
	}
	return name.len > 0 && name.len < 64;
}

/* iconv from that charset to UTF-8; (iconv_t)-1: there is no such charset. ISO-8859-1 is read as
 * Windows-1252, which it usually is: the difference are control characters nobody sends. */
static iconv_t open_charset(struct span charset)
{
	char name[64];
	const char *known;

	if (!is_charset_name(charset))
		return (iconv_t)-1;
	memcpy(name, charset.ptr, charset.len);
	name[charset.len] = '\0';
	known = g_mime_charset_iconv_name(name);
	if (span_is_nocase(span_of(known), "iso-8859-1"))
		known = "windows-1252";
	return g_mime_iconv_open("UTF-8", known);
}

/* What a conversion is to do where the charset has no such bytes. */
enum on_bad { BAD_IS_ERROR, BAD_IS_REPLACED };

/* Convert what there is of *in, leaving a character that was cut, and append it to *out. False: bad
 * bytes, BAD_IS_ERROR. */
static bool convert(iconv_t cd, struct span *in, enum on_bad on_bad, struct buf *out)
{
	while (in->len) {
		char *from = (char *)in->ptr, *to;
		size_t left = in->len, room = PIECE, before = room;
		size_t rc;

		to = buf_reserve(out, room);
		rc = iconv(cd, &from, &left, &to, &room);
		out->len += before - room;
		out->data[out->len] = '\0';
		*in = span_from(*in, in->len - left);
		if (rc != (size_t)-1 || errno == EINVAL)
			break;
		if (errno == E2BIG)
			continue;
		if (on_bad == BAD_IS_ERROR)
			return false;
		buf_add_str(out, "\xef\xbf\xbd"); /* U+FFFD */
		*in = span_from(*in, 1);
	}
	return true;
}

int mime_text_convert(struct span in, struct span charset, struct buf *out, struct us_err *err)
{
	size_t from = out->len;
	iconv_t cd;
	bool ok;

	if (needs_no_conversion(charset)) {
		buf_add_span(out, in);
		return 0;
	}
	cd = open_charset(charset);
	if (cd == (iconv_t)-1)
		return us_fail(err, US_EINVAL, "unknown charset %.*s", SPAN_ARG(charset));
	ok = convert(cd, &in, BAD_IS_ERROR, out) && !in.len;
	g_mime_iconv_close(cd);
	if (ok)
		return 0;
	buf_truncate(out, from);
	return us_fail(err, US_EPROTO, "text is not in %.*s", SPAN_ARG(charset));
}

/* ---- parts ------------------------------------------------------------------------------------- */

/* One part on its way through the stages. */
struct passage {
	struct mime_text *text;
	GMimeFilter *transfer; /* NULL: the bytes are as they are */
	iconv_t charset;       /* (iconv_t)-1: none needed, or none known */
	bool strips;
	struct mime_html html;
};

static GMimeContentEncoding gmime_encoding(enum mime_encoding encoding)
{
	switch (encoding) {
	case MIME_ENCODING_QUOTED_PRINTABLE:
		return GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
	case MIME_ENCODING_BASE64:
		return GMIME_CONTENT_ENCODING_BASE64;
	case MIME_ENCODING_UUENCODE:
		return GMIME_CONTENT_ENCODING_UUENCODE;
	default:
		return GMIME_CONTENT_ENCODING_DEFAULT;
	}
}

static void begin_passage(struct passage *p, struct mime_text *text, const struct mime_part *part)
{
	GMimeContentEncoding encoding = gmime_encoding(part->encoding);
	struct span charset = span_trim(mime_param(part->params, "charset"));

	p->text = text;
	p->transfer = encoding == GMIME_CONTENT_ENCODING_DEFAULT
			      ? NULL
			      : g_mime_filter_basic_new(encoding, /* encode */ FALSE);
	p->charset = needs_no_conversion(charset) ? (iconv_t)-1 : open_charset(charset);
	p->strips = span_is_nocase(part->subtype, "html");
	mime_html_init(&p->html);
	buf_clear(&text->decoded);
}

/* The last stages: from UTF-8, or what may be it, to search form. */
static int finish_piece(struct passage *p, struct span utf8, bool last, mime_text_put *put,
			void *ctx)
{
	struct mime_text *text = p->text;

	buf_clear(&text->folded);
	if (p->strips) {
		buf_clear(&text->seen);
		mime_html_put(&p->html, utf8, &text->seen);
		if (last)
			mime_html_end(&p->html, &text->seen);
		utf8 = buf_span(&text->seen);
	}
	mime_fold_put(text->fold, utf8, &text->folded);
	if (last)
		mime_fold_end(text->fold, &text->folded);
	return text->folded.len ? put(ctx, buf_span(&text->folded)) : 0;
}

static void end_passage(struct passage *p)
{
	if (p->charset != (iconv_t)-1)
		g_mime_iconv_close(p->charset);
	if (p->transfer)
		g_object_unref(p->transfer);
}

/* Append the transfer-decoded form of `raw` to text->decoded, where a cut character may be waiting. */
static void decode_transfer(struct passage *p, struct span raw, bool last)
{
	char nothing[1], *out;
	size_t len, space;

	g_mime_filter_filter(p->transfer, (char *)raw.ptr, raw.len, 0, &out, &len, &space);
	buf_add(&p->text->decoded, out, len);
	if (!last)
		return;
	g_mime_filter_complete(p->transfer, nothing, 0, 0, &out, &len, &space);
	buf_add(&p->text->decoded, out, len);
}

static int pass_piece(struct passage *p, struct span raw, bool last, mime_text_put *put, void *ctx)
{
	struct mime_text *text = p->text;
	struct span rest;

	if (!p->transfer && p->charset == (iconv_t)-1)
		return finish_piece(p, raw, last, put, ctx);
	if (p->transfer)
		decode_transfer(p, raw, last);
	else
		buf_add_span(&text->decoded, raw);
	rest = buf_span(&text->decoded);
	if (p->charset == (iconv_t)-1) {
		int rc = finish_piece(p, rest, last, put, ctx);
		buf_clear(&text->decoded);
		return rc;
	}
	buf_clear(&text->utf8);
	(void)convert(p->charset, &rest, BAD_IS_REPLACED, &text->utf8);
	buf_remove(&text->decoded, 0, text->decoded.len - rest.len);
	return finish_piece(p, buf_span(&text->utf8), last, put, ctx);
}

int mime_text_part(struct mime_text *text, struct span message, const struct mime_part *part,
		   mime_text_put *put, void *ctx)
{
	struct span body = span_make(message.ptr + part->body_offset, part->body_size);
	struct passage passage;
	struct buf rest = BUF_INIT;
	int rc = 0;

	if (part->kind != MIME_TEXT ||
	    (text->options.skip_html && span_is_nocase(part->subtype, "html")))
		return 0;
	begin_passage(&passage, text, part);
	while (body.len && rc == 0) {
		size_t len = body.len < PIECE ? body.len : PIECE;
		rc = pass_piece(&passage, span_make(body.ptr, len), len == body.len, put, ctx);
		body = span_from(body, len);
	}
	end_passage(&passage);
	mime_fold_end(text->fold, &rest); /* in case put() ended it early */
	buf_free(&rest);
	return rc;
}
