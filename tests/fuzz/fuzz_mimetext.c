/* fuzz_mimetext.c - any bytes as a message that is searched: decoding, HTML and folding stay in bounds,
 * and the two that are ours give the same wherever their input is cut. */
#include <stdint.h>
#include <stdlib.h>

#include "server/base/err.h"
#include "server/store/mime/html.h"
#include "server/store/mime/matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Before main(), which may be libFuzzer's or ours: GMime does not start twice. */
__attribute__((constructor)) static void start(void)
{
	mime_text_start();
}

static void fold_and_strip(struct span text, size_t step, const struct mime_fold_options *options,
			   struct buf *folded, struct buf *stripped)
{
	struct mime_fold *fold = mime_fold_new(options);
	struct mime_html html;

	mime_html_init(&html);
	while (text.len) {
		struct span piece = span_make(text.ptr, step < text.len ? step : text.len);
		mime_fold_put(fold, piece, folded);
		mime_html_put(&html, piece, stripped);
		text = span_from(text, piece.len);
	}
	mime_fold_end(fold, folded);
	mime_html_end(&html, stripped);
	mime_fold_free(&fold);
}

static void check_cuts(struct span text)
{
	struct mime_fold_options options = {.keep_diacritics = text.len % 2,
					    .whitespace = (enum mime_whitespace)(text.len % 3)};
	struct buf whole[2] = {BUF_INIT, BUF_INIT}, cut[2] = {BUF_INIT, BUF_INIT};

	fold_and_strip(text, text.len, &options, &whole[0], &whole[1]);
	fold_and_strip(text, 1 + text.len % 5, &options, &cut[0], &cut[1]);
	for (int i = 0; i < 2; i++) {
		us_assert(span_eq(buf_span(&whole[i]), buf_span(&cut[i])));
		buf_free(&whole[i]);
		buf_free(&cut[i]);
	}
}

static int keep_first(void *ctx, struct span piece)
{
	struct buf *first = ctx;

	if (!first->len)
		buf_add(first, piece.ptr, piece.len < 20 ? piece.len : 20);
	return 0;
}

/* What a part was seen to hold must be found in it, by its folded form, if that folds to itself. */
static void check_search(struct mime_text *text, const struct mime_tree *tree)
{
	for (uint32_t i = 0; i < tree->n_parts; i++) {
		struct buf first = BUF_INIT, again = BUF_INIT;
		struct mime_matcher *m = NULL;

		(void)mime_text_part(text, tree->message, tree->parts[i], keep_first, &first);
		mime_text_fold(text, buf_span(&first), &again);
		if (span_eq(buf_span(&first), buf_span(&again))) {
			us_assert(mime_matcher_new(text, buf_span(&first), SPAN_NULL, &m, NULL) ==
				  0);
			us_assert(mime_matcher_part(m, tree->message, tree->parts[i]));
			mime_matcher_free(&m);
		}
		buf_free(&first);
		buf_free(&again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mime_text *text;
	struct mime_matcher *m = NULL;
	struct pool *pool = pool_new();
	struct mime_tree *tree = mime_scan(span_make(data, size), NULL, pool);

	text = mime_text_new(NULL);
	check_cuts(tree->message);
	check_search(text, tree);
	us_assert(mime_matcher_new(text, SPAN_LIT("needle"), SPAN_LIT("UTF-8"), &m, NULL) == 0);
	us_assert(!mime_matcher_body(m, tree) || mime_matcher_text(m, tree));
	mime_matcher_free(&m);
	mime_text_free(&text);
	pool_free(&pool);
	return 0;
}
