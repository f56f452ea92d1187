/* fold.c - see fold.h.
 *
 * Plain ASCII is folded by table, and sixteen bytes at a time where the processor can. Every other character is worked out by GLib, which takes a while, and
 * remembered in a small cache: a text uses few different ones.
 *
 * Combining marks that are kept must stand in canonical order to compare equal, so they wait until the
 * character after them shows that there are no more.
 */
#include "server/store/mime/fold.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/err.h"
#include "server/base/mem.h"

#define CACHE_SIZE 256
#define MARKS_MAX  32

/* What one character becomes. */
struct folded {
	gunichar from; /* 0: free */
	uint8_t len;
	bool has_marks; /* some of it has a combining class */
	char text[58];  /* the longest there is takes 33 bytes (U+FDFA) */
};

struct mark {
	gunichar c;
	int class;
};

struct mime_fold {
	struct mime_fold_options options;
	bool after_blank;     /* the last thing written was a blank */
	unsigned char cut[4]; /* the beginning of a character that the last piece cut */
	size_t n_cut;
	struct mark marks[MARKS_MAX];
	size_t n_marks;
	unsigned char ascii[256]; /* fill_ascii() */
	struct folded cache[CACHE_SIZE];
};

/* 0x80 to 0x9f of Windows-1252; those it does not define stand for themselves. */
static const uint16_t windows_1252[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020,
					  0x2021, 0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,
					  0x17d,  0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d,
					  0x2022, 0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a,
					  0x153,  0x9d,   0x17e,  0x178};

struct range {
	gunichar low, high;
};

static const struct range diacritics[] = {
	{0x300, 0x36f},   {0x483, 0x487},   {0x591, 0x5bd},   {0x5bf, 0x5bf}, {0x5c1, 0x5c2},
	{0x5c4, 0x5c5},   {0x5c7, 0x5c7},   {0x610, 0x61a},   {0x64b, 0x65f}, {0x670, 0x670},
	{0x6d6, 0x6dc},   {0x6df, 0x6e4},   {0x6e7, 0x6e8},   {0x6ea, 0x6ed}, {0x1ab0, 0x1aff},
	{0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f},
};

static const struct range ignorable[] = {
	{0xad, 0xad},     {0x34f, 0x34f},     {0x61c, 0x61c},     {0x180b, 0x180e},
	{0x200b, 0x200f}, {0x202a, 0x202e},   {0x2060, 0x2064},   {0xfe00, 0xfe0f},
	{0xfeff, 0xfeff}, {0xe0001, 0xe007f}, {0xe0100, 0xe01ef},
};

static bool is_in(gunichar c, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].low && c <= ranges[i].high)
			return true;
	return false;
}

/* What an ASCII byte becomes: itself in lower case, or BLANK; NO_ASCII for all others. */
enum { BLANK = ' ', NO_ASCII = 0x80 };

static void fill_ascii(unsigned char table[256])
{
	for (int c = 0; c < 256; c++)
		table[c] = (unsigned char)(c >= 0x80                              ? NO_ASCII
					   : c == ' ' || (c >= '\t' && c <= '\r') ? BLANK
										  : us_lower(c));
}

struct mime_fold *mime_fold_new(const struct mime_fold_options *options)
{
	struct mime_fold *fold = us_calloc(1, sizeof(*fold));

	if (options)
		fold->options = *options;
	fill_ascii(fold->ascii);
	return fold;
}

void mime_fold_free(struct mime_fold **fold)
{
	free(*fold);
	*fold = NULL;
}

/* ---- one character ----------------------------------------------------------------------------- */

static void add_char(struct folded *f, gunichar c)
{
	char utf8[6];
	size_t len = (size_t)g_unichar_to_utf8(c, utf8);

	us_assert(f->len + len <= sizeof(f->text));
	memcpy(f->text + f->len, utf8, len);
	f->len = (uint8_t)(f->len + len);
	f->has_marks |= g_unichar_combining_class(c) != 0;
}

/* Full case folding of one character of a decomposition. */
static void add_case_folded(struct folded *f, gunichar c)
{
	char utf8[7] = "";
	gchar *text;

	if (c == 0)
		return;
	if (c >= 0x13a0 && c <= 0x13f5) { /* Cherokee folds to these, which GLib folds away again */
		add_char(f, c);
		return;
	}
	utf8[g_unichar_to_utf8(c, utf8)] = '\0';
	text = g_utf8_casefold(utf8, -1);
	for (const gchar *p = text; *p; p = g_utf8_next_char(p))
		add_char(f, g_utf8_get_char(p));
	g_free(text);
}

static void work_out(const struct mime_fold *fold, gunichar c, struct folded *f)
{
	gunichar parts[G_UNICHAR_MAX_DECOMPOSITION_LENGTH];
	gsize n = g_unichar_fully_decompose(c, /* compatibility */ TRUE, parts, ARRAY_SIZE(parts));

	*f = (struct folded){.from = c};
	for (gsize i = 0; i < n; i++) {
		bool skip = is_in(parts[i], ignorable, ARRAY_SIZE(ignorable)) ||
			    (!fold->options.keep_diacritics &&
			     is_in(parts[i], diacritics, ARRAY_SIZE(diacritics)));
		if (!skip)
			add_case_folded(f, parts[i]);
	}
}

static const struct folded *fold_char(struct mime_fold *fold, gunichar c)
{
	struct folded *f = &fold->cache[c % CACHE_SIZE];

	if (f->from != c)
		work_out(fold, c, f);
	return f;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void flush_marks(struct mime_fold *fold, struct buf *out)
{
	for (size_t i = 0; i < fold->n_marks; i++) {
		char utf8[6];
		buf_add(out, utf8, (size_t)g_unichar_to_utf8(fold->marks[i].c, utf8));
	}
	fold->n_marks = 0;
}

/* In canonical order: by class, those of one class as they came. */
static void hold_mark(struct mime_fold *fold, gunichar c, int class, struct buf *out)
{
	size_t i;

	if (fold->n_marks == MARKS_MAX)
		flush_marks(fold, out);
	for (i = fold->n_marks++; i > 0 && fold->marks[i - 1].class > class; i--)
		fold->marks[i] = fold->marks[i - 1];
	fold->marks[i] = (struct mark){c, class};
}

static void put_blank(struct mime_fold *fold, char blank, struct buf *out)
{
	flush_marks(fold, out);
	if (fold->options.whitespace == MIME_WHITESPACE_KEEP)
		buf_add_char(out, blank);
	else if (fold->options.whitespace == MIME_WHITESPACE_MERGE && !fold->after_blank)
		buf_add_char(out, ' ');
	fold->after_blank = true;
}

static void put_folded(struct mime_fold *fold, const struct folded *f, struct buf *out)
{
	if (!f->len)
		return;
	if (!f->has_marks && !memchr(f->text, ' ', f->len)) {
		flush_marks(fold, out);
		buf_add(out, f->text, f->len);
		fold->after_blank = false;
		return;
	}
	for (const char *p = f->text; p < f->text + f->len; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		int class = g_unichar_combining_class(c);
		if (c == ' ') {
			put_blank(fold, ' ', out);
		} else if (class) {
			hold_mark(fold, c, class, out);
			fold->after_blank = false;
		} else {
			flush_marks(fold, out);
			buf_add(out, p, (size_t)(g_utf8_next_char(p) - p));
			fold->after_blank = false;
		}
	}
}

static void put_char(struct mime_fold *fold, gunichar c, struct buf *out)
{
	if (g_unichar_isspace(c) || c == 0x85)
		put_blank(fold, ' ', out);
	else
		put_folded(fold, fold_char(fold, c), out);
}

#ifdef __SSE2__
/* Sixteen bytes at a time, as long as all of them are printable ASCII and no two blanks stand together: most of a
 * text. How many bytes were passed. */
static size_t put_printable(struct span text, bool *after_blank, char *to)
{
	const __m128i space = _mm_set1_epi8(' '), before_a = _mm_set1_epi8('A' - 1),
		      behind_z = _mm_set1_epi8('Z' + 1), bit = _mm_set1_epi8(0x20);
	size_t i;

	for (i = 0; i + 16 <= text.len; i += 16) {
		__m128i in = _mm_loadu_si128((const void *)(text.ptr + i));
		unsigned blanks = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(in, space));
		/* signed: what is above 127 is below a blank too */
		unsigned others = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(in, space));
		__m128i upper =
			_mm_and_si128(_mm_cmpgt_epi8(in, before_a), _mm_cmplt_epi8(in, behind_z));

		if (others || blanks & (blanks << 1 | *after_blank))
			break;
		_mm_storeu_si128((void *)(to + i), _mm_or_si128(in, _mm_and_si128(upper, bit)));
		*after_blank = blanks >> 15;
	}
	return i;
}
#else
static size_t put_printable(struct span text, bool *after_blank, char *to)
{
	(void)text, (void)after_blank, (void)to;
	return 0;
}
#endif

/* The ASCII bytes at the start of `text`: how many there were. */
static size_t put_ascii(struct mime_fold *fold, struct span text, struct buf *out)
{
	bool keep = fold->options.whitespace == MIME_WHITESPACE_KEEP;
	bool merge = fold->options.whitespace == MIME_WHITESPACE_MERGE, after = fold->after_blank;
	char *to, *room;
	size_t i = 0;

	flush_marks(fold, out);
	to = room = buf_reserve(out, text.len);
	while (i < text.len) {
		unsigned char c;
		size_t many = merge ? put_printable(span_from(text, i), &after, to) : 0;

		to += many;
		i += many;
		/* Up to the next line end or so by the byte. */
		for (size_t stop = i + 16 < text.len ? i + 16 : text.len; i < stop; i++) {
			c = fold->ascii[(unsigned char)text.ptr[i]];
			if (c == NO_ASCII)
				goto end;
			if (c != BLANK)
				*to++ = (char)c;
			else if (keep || (merge && !after))
				*to++ = keep ? text.ptr[i] : ' ';
			after = c == BLANK;
		}
	}
end:
	fold->after_blank = after;
	out->len += (size_t)(to - room);
	*to = '\0';
	return i;
}

/* A byte that is no part of UTF-8. */
static void put_byte(struct mime_fold *fold, unsigned char byte, struct buf *out)
{
	if (byte >= 0x80)
		put_char(fold, byte < 0xa0 ? windows_1252[byte - 0x80] : byte, out);
	else
		(void)put_ascii(fold, span_make(&byte, 1), out);
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* How many bytes the character takes that begins with this byte; 0: none begins so. */
static size_t length_of(unsigned char lead)
{
	return lead < 0x80   ? 1
	       : lead < 0xc2 ? 0
	       : lead < 0xe0 ? 2
	       : lead < 0xf0 ? 3
	       : lead < 0xf5 ? 4
			     : 0;
}

/* The character at the start of `text`, not ASCII. How many bytes were used up; 0: more are needed to
 * tell. */
static size_t put_sequence(struct mime_fold *fold, struct span text, struct buf *out)
{
	size_t len = length_of((unsigned char)text.ptr[0]);
	gunichar c = len ? g_utf8_get_char_validated(text.ptr, (gssize)text.len) : (gunichar)-1;

	if (len > text.len && c == (gunichar)-2)
		return 0;
	if (c == (gunichar)-1 || c == (gunichar)-2) {
		put_byte(fold, (unsigned char)text.ptr[0], out);
		return 1;
	}
	put_char(fold, c, out);
	return len;
}

/* Complete the character that was cut, with as much of `text` as it takes. */
static size_t put_cut(struct mime_fold *fold, struct span text, struct buf *out)
{
	size_t had = fold->n_cut, taken = 0, used;

	while (fold->n_cut < sizeof(fold->cut) && taken < text.len)
		fold->cut[fold->n_cut++] = (unsigned char)text.ptr[taken++];
	used = put_sequence(fold, span_make(fold->cut, fold->n_cut), out);
	if (used == 0)
		return taken;
	if (used >= had) {
		fold->n_cut = 0;
		return used - had;
	}
	/* The first byte stood alone; what was cut goes on without it. */
	memmove(fold->cut, fold->cut + used, had - used);
	fold->n_cut = had - used;
	return 0;
}

void mime_fold_put(struct mime_fold *fold, struct span text, struct buf *out)
{
	while (fold->n_cut && text.len)
		text = span_from(text, put_cut(fold, text, out));
	while (text.len) {
		size_t used;
		if ((unsigned char)text.ptr[0] < 0x80)
			used = put_ascii(fold, text, out);
		else
			used = put_sequence(fold, text, out);
		if (!used) {
			memcpy(fold->cut, text.ptr, text.len);
			fold->n_cut = text.len;
			return;
		}
		text = span_from(text, used);
	}
}

void mime_fold_end(struct mime_fold *fold, struct buf *out)
{
	for (size_t i = 0; i < fold->n_cut; i++)
		put_byte(fold, fold->cut[i], out);
	flush_marks(fold, out);
	fold->n_cut = 0;
	fold->after_blank = false;
}
