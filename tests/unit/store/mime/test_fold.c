/* test_fold.c - texts a user takes for the same become the same, wherever they are cut. */
#include "tests/unit/test.h"

#include "server/store/mime/fold.h"

/* Fold `text` in pieces of `step` bytes. */
static void fold_in_steps(const struct mime_fold_options *options, struct span text, size_t step,
			  struct buf *out)
{
	struct mime_fold *fold = mime_fold_new(options);

	buf_clear(out);
	while (text.len) {
		size_t len = step < text.len ? step : text.len;
		mime_fold_put(fold, span_make(text.ptr, len), out);
		text = span_from(text, len);
	}
	mime_fold_end(fold, out);
	mime_fold_free(&fold);
}

static void assert_folds(const struct mime_fold_options *options, const char *text,
			 const char *expected)
{
	struct buf out = BUF_INIT;

	for (size_t step = 1; step <= strlen(text) + 1; step++) {
		fold_in_steps(options, span_of(text), step, &out);
		if (strcmp(out.data, expected) != 0)
			fail_msg("\"%s\" in steps of %zu: \"%s\", not \"%s\"", text, step, out.data,
				 expected);
	}
	buf_free(&out);
}

static void case_and_diacritics_are_dropped(void **state UNUSED)
{
	static const struct {
		const char *text, *folded;
	} rows[] = {
		{"", ""},
		{"Hello World", "hello world"},
		{"Håvard", "havard"},
		{"Ha\xcc\x8avard", "havard"}, /* decomposed */
		{"STRASSE Straße ẞ", "strasse strasse ss"},
		{"ﬁ ﬀ Ⅷ ½", "fi ff viii 1\xe2\x81\x84"
			    "2"},
		{"Ångström Å", "angstrom a"}, /* U+212B too */
		{"ΣΊΣΥΦΟΣ σίσυφος", "σισυφοσ σισυφοσ"},
		{"ЁЖИК ёжик", "ежик ежик"},
		{"Ｆｕｌｌ", "full"},
		{"İ", "i"},
		{"שָׁלוֹם", "שלום"},
		{"soft\xc2\xadhyphen zero\xe2\x80\x8bwidth \xef\xbb\xbfmark",
		 "softhyphen zerowidth mark"},
		{"😀", "😀"},
		{"中文", "中文"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_folds(NULL, rows[i].text, rows[i].folded);
	/* A voiced kana is another letter: it stays decomposed, not bare. */
	assert_folds(NULL, "が", "\xe3\x81\x8b\xe3\x82\x99");
	assert_folds(NULL, "か\xe3\x82\x99", "\xe3\x81\x8b\xe3\x82\x99");
	assert_folds(NULL, "ｶﾞ", "\xe3\x82\xab\xe3\x82\x99");
	assert_folds(NULL, "각", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8");
}

static void diacritics_can_be_kept(void **state UNUSED)
{
	const struct mime_fold_options keep = {.keep_diacritics = true};

	assert_folds(&keep, "É", "e\xcc\x81");
	assert_folds(&keep, "E\xcc\x81", "e\xcc\x81");
	/* canonical order: dot below (220) before circumflex (230), however they came */
	assert_folds(&keep, "ệ", "e\xcc\xa3\xcc\x82");
	assert_folds(&keep, "e\xcc\x82\xcc\xa3", "e\xcc\xa3\xcc\x82");
	assert_folds(&keep, "e\xcc\x82\xcc\xa3 x", "e\xcc\xa3\xcc\x82 x");
	assert_folds(&keep, "ê\xcc\xa3", "e\xcc\xa3\xcc\x82");
}

static void blanks_are_merged_or_not(void **state UNUSED)
{
	const struct mime_fold_options skip = {.whitespace = MIME_WHITESPACE_SKIP};
	const struct mime_fold_options keep = {.whitespace = MIME_WHITESPACE_KEEP};
	static const char text[] = " a\r\n\t b\xc2\xa0\xe3\x80\x80 c ";

	assert_folds(NULL, text, " a b c ");
	assert_folds(&skip, text, "abc");
	assert_folds(&keep, text, " a\r\n\t b   c ");
	assert_folds(NULL, "a\xc2\xb4s", "a s"); /* an acute alone is a blank that carries it */
}

static void what_is_not_utf8_is_windows_1252(void **state UNUSED)
{
	assert_folds(NULL, "J\xf6rg \xd6", "jorg o");
	assert_folds(NULL, "\x93quoted\x94 \x80", "\xe2\x80\x9cquoted\xe2\x80\x9d \xe2\x82\xac");
	assert_folds(NULL, "a\xe2\x82z", "aa\xe2\x80\x9az");
	assert_folds(NULL, "\xe2\x82", "a\xe2\x80\x9a");
	assert_folds(NULL, "\xf0\x9f\x98", "\xc3\xb0y ");
}

static void nuls_are_bytes_like_others(void **state UNUSED)
{
	struct buf out = BUF_INIT;

	for (size_t step = 1; step < 9; step++) {
		fold_in_steps(NULL, span_make("A\0B\xf0\0\xe2\0C", 8), step, &out);
		assert_int_equal(out.len, 9);
		assert_memory_equal(out.data, "a\0b\xc3\xb0\0a\0c", 9);
	}
	buf_free(&out);
}

static void every_character_folds_to_itself_once_folded(void **state UNUSED)
{
	struct mime_fold *fold = mime_fold_new(NULL);
	struct buf once = BUF_INIT, twice = BUF_INIT;

	for (uint32_t c = 0x80; c < 0x110000; c++) {
		char text[4];
		size_t len = 0;
		if (c >= 0xd800 && c < 0xe000)
			continue;
		if (c >= 0x10000)
			text[len++] = (char)(0xf0 | c >> 18),
			text[len++] = (char)(0x80 | (c >> 12 & 63));
		else if (c >= 0x800)
			text[len++] = (char)(0xe0 | c >> 12);
		text[len] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 63) : 0xc0 | c >> 6);
		text[len + 1] = (char)(0x80 | (c & 63));
		buf_clear(&once);
		buf_clear(&twice);
		mime_fold_put(fold, span_make(text, len + 2), &once);
		mime_fold_end(fold, &once);
		mime_fold_put(fold, buf_span(&once), &twice);
		mime_fold_end(fold, &twice);
		if (!span_eq(buf_span(&once), buf_span(&twice)))
			fail_msg("U+%04X: \"%s\", then \"%s\"", c, once.data, twice.data);
	}
	buf_free(&once);
	buf_free(&twice);
	mime_fold_free(&fold);
}

/* Long texts take another way than short ones; a byte at a time they take none but the plain one. */
static void long_texts_fold_as_short_ones(void **state UNUSED)
{
	static const char some[] = "aZ.@[`{~ \t\r\n\x7f\x01\xc3\xa4\xff";
	const struct mime_fold_options options[] = {{false, MIME_WHITESPACE_MERGE},
						    {false, MIME_WHITESPACE_SKIP},
						    {true, MIME_WHITESPACE_KEEP}};
	struct buf whole = BUF_INIT, bytes = BUF_INIT;
	char text[300];
	uint32_t seed = 1;

	for (int i = 0; i < 3000; i++) {
		/* Mostly letters and single blanks, so that the fast way is taken and left at every place. */
		for (size_t k = 0; k < sizeof(text); k++) {
			seed = seed * 1664525 + 1013904223;
			text[k] = seed >> 24 < 6 + (uint32_t)i % 60
					  ? some[(seed >> 8) % (sizeof(some) - 1)]
					  : (char)('A' + (seed >> 16) % 58);
		}
		fold_in_steps(&options[i % 3], span_make(text, sizeof(text)), sizeof(text), &whole);
		fold_in_steps(&options[i % 3], span_make(text, sizeof(text)), 1, &bytes);
		assert_int_equal(whole.len, bytes.len);
		assert_memory_equal(whole.data, bytes.data, whole.len);
	}
	buf_free(&whole);
	buf_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_and_diacritics_are_dropped),
		cmocka_unit_test(diacritics_can_be_kept),
		cmocka_unit_test(blanks_are_merged_or_not),
		cmocka_unit_test(what_is_not_utf8_is_windows_1252),
		cmocka_unit_test(nuls_are_bytes_like_others),
		cmocka_unit_test(long_texts_fold_as_short_ones),
		cmocka_unit_test(every_character_folds_to_itself_once_folded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
