/* test_html.c - what a reader of an HTML part sees, however it is cut. */
#include "tests/unit/test.h"

#include "server/store/mime/html.h"

static void strip_in_steps(struct span text, size_t step, struct buf *out)
{
	struct mime_html h;

	buf_clear(out);
	mime_html_init(&h);
	while (text.len) {
		size_t len = step < text.len ? step : text.len;
		mime_html_put(&h, span_make(text.ptr, len), out);
		text = span_from(text, len);
	}
	mime_html_end(&h, out);
}

static void html_becomes_text(void **state UNUSED)
{
	static const struct {
		const char *html, *text;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"<b>two</b> words", "two words"},
		{"in<b>side</b>a<SPAN class='x'>w</SPAN>ord", "insideaword"},
		{"one<br>two<p>three</p>four<br/>five", "one two three four five"},
		{"<td>a</td><td>b</td>", " a  b "},
		{"a < b > c <3 <", "a < b > c <3 <"},
		{"<a href=\"x>y\" title='>'>link</a>", "link"},
		{"<a href=x>link</a>", "link"},
		{"<a b = \"x\" c>d", "d"},
		{"<p title=it's>x</p>", " x "},
		{"&amp;&lt;&gt;&quot;", "&<>\""},
		{"a&nbsp;b&nbsp", "a\xc2\xa0"
				  "b\xc2\xa0"},
		{"&eacute;&Eacute;&euro;&hellip;", "éÉ€…"},
		{"&#233;&#xE9;&#XE9;&#128512;", "ééé😀"},
		{"&#146;", "\x92"}, /* folding reads it as Windows-1252 */
		{"&#0;&#xd800;&#1114112;&#x;&#;&;&", "&#0;&#xd800;&#1114112;&#x;&#;&;&"},
		{"&unknown; &toolongtobeone; &AMP;", "&unknown; &toolongtobeone; &AMP;"},
		{"a&b&lt&amp", "a&b<&"},
		{"x<!-- no -- > <b> -->y", "x y"},
		{"x<!-->y", "x y"},
		{"x<!--->y-->z", "x y-->z"},
		{"<!DOCTYPE html><?xml a?>x", "  x"},
		{"a<script>if (a < b && \"</b>\") '<'</script>b", "a b"},
		{"a<STYLE type=x>p { }</</style >b", "a b"},
		{"a<style>never closed", "a "},
		{"<script", ""},
		{"a</", "a"},
		{"</script>x", " x"},
		{"<title>T</title><body>x", " T  x"},
		{"<averyveryverylongname>x", " x"},
	};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t step = 1; step <= strlen(rows[i].html) + 1; step++) {
			strip_in_steps(span_of(rows[i].html), step, &out);
			if (strcmp(out.data, rows[i].text) != 0)
				fail_msg("\"%s\" in steps of %zu: \"%s\", not \"%s\"", rows[i].html,
					 step, out.data, rows[i].text);
		}
	}
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(html_becomes_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
