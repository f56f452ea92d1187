/* html.c - see html.h.
 *
 *	TEXT --"<"--> LESS --letter or "/"--> NAME --> TAG <--> EQUALS --quote--> VALUE
 *	              LESS --"!" or "?"--> DECL --"--"--> COMMENT
 *	TEXT --"&"--> ENTITY
 *	and from each back to TEXT. In hidden text (script, style) only "<" counts.
 */
#include "server/store/mime/html.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

/* The names of HTML 4, in the order of strcmp. */
struct entity {
	char name[9];
	uint16_t code;
};
static const struct entity entities[] = {
	{"AElig", 198},   {"Aacute", 193},  {"Acirc", 194},   {"Agrave", 192},  {"Alpha", 913},
	{"Aring", 197},   {"Atilde", 195},  {"Auml", 196},    {"Beta", 914},    {"Ccedil", 199},
	{"Chi", 935},     {"Dagger", 8225}, {"Delta", 916},   {"ETH", 208},     {"Eacute", 201},
	{"Ecirc", 202},   {"Egrave", 200},  {"Epsilon", 917}, {"Eta", 919},     {"Euml", 203},
	{"Gamma", 915},   {"Iacute", 205},  {"Icirc", 206},   {"Igrave", 204},  {"Iota", 921},
	{"Iuml", 207},    {"Kappa", 922},   {"Lambda", 923},  {"Mu", 924},      {"Ntilde", 209},
	{"Nu", 925},      {"OElig", 338},   {"Oacute", 211},  {"Ocirc", 212},   {"Ograve", 210},
	{"Omega", 937},   {"Omicron", 927}, {"Oslash", 216},  {"Otilde", 213},  {"Ouml", 214},
	{"Phi", 934},     {"Pi", 928},      {"Prime", 8243},  {"Psi", 936},     {"Rho", 929},
	{"Scaron", 352},  {"Sigma", 931},   {"THORN", 222},   {"Tau", 932},     {"Theta", 920},
	{"Uacute", 218},  {"Ucirc", 219},   {"Ugrave", 217},  {"Upsilon", 933}, {"Uuml", 220},
	{"Xi", 926},      {"Yacute", 221},  {"Yuml", 376},    {"Zeta", 918},    {"aacute", 225},
	{"acirc", 226},   {"acute", 180},   {"aelig", 230},   {"agrave", 224},  {"alefsym", 8501},
	{"alpha", 945},   {"amp", 38},      {"and", 8743},    {"ang", 8736},    {"aring", 229},
	{"asymp", 8776},  {"atilde", 227},  {"auml", 228},    {"bdquo", 8222},  {"beta", 946},
	{"brvbar", 166},  {"bull", 8226},   {"cap", 8745},    {"ccedil", 231},  {"cedil", 184},
	{"cent", 162},    {"chi", 967},     {"circ", 710},    {"clubs", 9827},  {"cong", 8773},
	{"copy", 169},    {"crarr", 8629},  {"cup", 8746},    {"curren", 164},  {"dArr", 8659},
	{"dagger", 8224}, {"darr", 8595},   {"deg", 176},     {"delta", 948},   {"diams", 9830},
	{"divide", 247},  {"eacute", 233},  {"ecirc", 234},   {"egrave", 232},  {"empty", 8709},
	{"emsp", 8195},   {"ensp", 8194},   {"epsilon", 949}, {"equiv", 8801},  {"eta", 951},
	{"eth", 240},     {"euml", 235},    {"euro", 8364},   {"exist", 8707},  {"fnof", 402},
	{"forall", 8704}, {"frac12", 189},  {"frac14", 188},  {"frac34", 190},  {"frasl", 8260},
	{"gamma", 947},   {"ge", 8805},     {"gt", 62},       {"hArr", 8660},   {"harr", 8596},
	{"hearts", 9829}, {"hellip", 8230}, {"iacute", 237},  {"icirc", 238},   {"iexcl", 161},
	{"igrave", 236},  {"image", 8465},  {"infin", 8734},  {"int", 8747},    {"iota", 953},
	{"iquest", 191},  {"isin", 8712},   {"iuml", 239},    {"kappa", 954},   {"lArr", 8656},
	{"lambda", 955},  {"lang", 9001},   {"laquo", 171},   {"larr", 8592},   {"lceil", 8968},
	{"ldquo", 8220},  {"le", 8804},     {"lfloor", 8970}, {"lowast", 8727}, {"loz", 9674},
	{"lrm", 8206},    {"lsaquo", 8249}, {"lsquo", 8216},  {"lt", 60},       {"macr", 175},
	{"mdash", 8212},  {"micro", 181},   {"middot", 183},  {"minus", 8722},  {"mu", 956},
	{"nabla", 8711},  {"nbsp", 160},    {"ndash", 8211},  {"ne", 8800},     {"ni", 8715},
	{"not", 172},     {"notin", 8713},  {"nsub", 8836},   {"ntilde", 241},  {"nu", 957},
	{"oacute", 243},  {"ocirc", 244},   {"oelig", 339},   {"ograve", 242},  {"oline", 8254},
	{"omega", 969},   {"omicron", 959}, {"oplus", 8853},  {"or", 8744},     {"ordf", 170},
	{"ordm", 186},    {"oslash", 248},  {"otilde", 245},  {"otimes", 8855}, {"ouml", 246},
	{"para", 182},    {"part", 8706},   {"permil", 8240}, {"perp", 8869},   {"phi", 966},
	{"pi", 960},      {"piv", 982},     {"plusmn", 177},  {"pound", 163},   {"prime", 8242},
	{"prod", 8719},   {"prop", 8733},   {"psi", 968},     {"quot", 34},     {"rArr", 8658},
	{"radic", 8730},  {"rang", 9002},   {"raquo", 187},   {"rarr", 8594},   {"rceil", 8969},
	{"rdquo", 8221},  {"real", 8476},   {"reg", 174},     {"rfloor", 8971}, {"rho", 961},
	{"rlm", 8207},    {"rsaquo", 8250}, {"rsquo", 8217},  {"sbquo", 8218},  {"scaron", 353},
	{"sdot", 8901},   {"sect", 167},    {"shy", 173},     {"sigma", 963},   {"sigmaf", 962},
	{"sim", 8764},    {"spades", 9824}, {"sub", 8834},    {"sube", 8838},   {"sum", 8721},
	{"sup", 8835},    {"sup1", 185},    {"sup2", 178},    {"sup3", 179},    {"supe", 8839},
	{"szlig", 223},   {"tau", 964},     {"there4", 8756}, {"theta", 952},   {"thetasym", 977},
	{"thinsp", 8201}, {"thorn", 254},   {"tilde", 732},   {"times", 215},   {"trade", 8482},
	{"uArr", 8657},   {"uacute", 250},  {"uarr", 8593},   {"ucirc", 251},   {"ugrave", 249},
	{"uml", 168},     {"upsih", 978},   {"upsilon", 965}, {"uuml", 252},    {"weierp", 8472},
	{"xi", 958},      {"yacute", 253},  {"yen", 165},     {"yuml", 255},    {"zeta", 950},
	{"zwj", 8205},    {"zwnj", 8204},
};

/* Tags that do not part words, in the order of strcmp. */
static const char inline_tags[][MIME_HTML_WORD] = {
	"a",      "abbr", "acronym", "b",    "bdi",  "bdo",  "big",   "cite", "code",
	"data",   "del",  "dfn",     "em",   "font", "i",    "ins",   "kbd",  "label",
	"mark",   "nobr", "o:p",     "q",    "s",    "samp", "small", "span", "strike",
	"strong", "sub",  "sup",     "time", "tt",   "u",    "var",   "wbr",
};

static const char *const hidden_tags[] = {"script", "style", "template"};

void mime_html_init(struct mime_html *h)
{
	memset(h, 0, sizeof(*h));
}

static bool is_letter(unsigned char c)
{
	return us_lower(c) >= 'a' && us_lower(c) <= 'z';
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void begin_word(struct mime_html *h)
{
	memset(h->word, 0, sizeof(h->word));
	h->len = 0;
}

/* What is too long to be known is counted, not kept. */
static void add_to_word(struct mime_html *h, unsigned char c)
{
	if (h->len < MIME_HTML_WORD - 1)
		h->word[h->len] = (char)c;
	h->len++;
}

static bool word_is_whole(const struct mime_html *h)
{
	return h->len > 0 && h->len < MIME_HTML_WORD;
}

/* ---- entities ---------------------------------------------------------------------------------- */

static void put_utf8(struct buf *out, uint32_t c)
{
	char text[4];
	size_t len = 0;

	if (c < 0x80) {
		text[len++] = (char)c;
	} else if (c < 0x800) {
		text[len++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		text[len++] = (char)(0xe0 | c >> 12);
		text[len++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		text[len++] = (char)(0xf0 | c >> 18);
		text[len++] = (char)(0x80 | (c >> 12 & 0x3f));
		text[len++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		text[len++] = (char)(0x80 | (c & 0x3f));
	buf_add(out, text, len);
}

static int compare_entity(const void *name, const void *row)
{
	return strcmp(name, ((const struct entity *)row)->name);
}

/* "#233" or "#xe9"; 0: it is no such number, or one that is no character. */
static uint32_t numeric_entity(const char *word)
{
	bool hex = us_lower((unsigned char)word[1]) == 'x';
	const char *digits = word + (hex ? 2 : 1);
	char *end;
	unsigned long c;

	if (!is_digit((unsigned char)digits[0]) && !(hex && is_letter((unsigned char)digits[0])))
		return 0;
	c = strtoul(digits, &end, hex ? 16 : 10);
	return *end || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : (uint32_t)c;
}

/* The character the word names; 0: none. */
static uint32_t entity_code(const struct mime_html *h)
{
	const struct entity *found;

	if (!word_is_whole(h))
		return 0;
	if (h->word[0] == '#')
		return numeric_entity(h->word);
	found = bsearch(h->word, entities, ARRAY_SIZE(entities), sizeof(entities[0]),
			compare_entity);
	return found ? found->code : 0;
}

/* Write the word out: as a character, or as the text it was. True: as a character. */
static bool put_entity(struct mime_html *h, struct buf *out)
{
	uint32_t code = entity_code(h);

	h->state = MIME_HTML_TEXT;
	if (code >= 0x80 && code < 0xa0) {
		buf_add_char(out, (char)code); /* Windows-1252 is meant, and read (fold.h) */
		return true;
	}
	if (code) {
		put_utf8(out, code);
		return true;
	}
	buf_add_char(out, '&');
	buf_add(out, h->word, h->len < MIME_HTML_WORD ? h->len : MIME_HTML_WORD - 1);
	return false;
}

/* ---- tags -------------------------------------------------------------------------------------- */

static int compare_tag(const void *name, const void *row)
{
	return strcmp(name, row);
}

static bool parts_words(const struct mime_html *h)
{
	return !word_is_whole(h) || !bsearch(h->word, inline_tags, ARRAY_SIZE(inline_tags),
					     sizeof(inline_tags[0]), compare_tag);
}

static void end_tag(struct mime_html *h, struct buf *out)
{
	h->state = MIME_HTML_TEXT;
	if (h->hidden[0]) {
		if (h->closing && word_is_whole(h) && strcmp(h->word, h->hidden) == 0)
			h->hidden[0] = '\0';
		return;
	}
	if (parts_words(h))
		buf_add_char(out, ' ');
	for (size_t i = 0; i < ARRAY_SIZE(hidden_tags) && !h->closing; i++)
		if (word_is_whole(h) && strcmp(h->word, hidden_tags[i]) == 0)
			memcpy(h->hidden, h->word, sizeof(h->hidden));
}

static void begin_name(struct mime_html *h, bool closing)
{
	h->state = MIME_HTML_NAME;
	h->closing = closing;
	begin_word(h);
}

/* Behind "<". False: it was text, and this byte is to be looked at again. */
static bool put_less(struct mime_html *h, unsigned char c, struct buf *out)
{
	if (c == '/') {
		begin_name(h, /* closing */ true);
		return true;
	}
	if (is_letter(c) && !h->hidden[0]) {
		begin_name(h, /* closing */ false);
		add_to_word(h, (unsigned char)us_lower(c));
		return true;
	}
	if ((c == '!' || c == '?') && !h->hidden[0]) {
		h->state = MIME_HTML_DECL;
		h->len = h->dashes = 0;
		return true;
	}
	h->state = MIME_HTML_TEXT;
	if (!h->hidden[0])
		buf_add_char(out, '<');
	return false;
}

static void put_name(struct mime_html *h, unsigned char c, struct buf *out)
{
	if (c == '>')
		end_tag(h, out);
	else if (c == '<' && h->hidden[0])
		h->state = MIME_HTML_LESS;
	else if (is_blank(c) || c == '/')
		h->state = MIME_HTML_TAG;
	else
		add_to_word(h, (unsigned char)us_lower(c));
}

/* In hidden text what follows "</" may be no tag at all: quotes mean nothing, the next "<" may. */
static void put_tag(struct mime_html *h, unsigned char c, struct buf *out)
{
	if (c == '>')
		end_tag(h, out);
	else if (c == '<' && h->hidden[0])
		h->state = MIME_HTML_LESS;
	else if (c == '=' && !h->hidden[0])
		h->state = MIME_HTML_EQUALS;
}

static void put_equals(struct mime_html *h, unsigned char c, struct buf *out)
{
	if (c == '"' || c == '\'') {
		h->state = MIME_HTML_VALUE;
		h->quote = (char)c;
	} else if (c == '>') {
		end_tag(h, out);
	} else if (!is_blank(c)) {
		h->state = MIME_HTML_TAG;
	}
}

/* "<!--" opens a comment, which "-->" closes; "<!" alone is closed by ">". */
static void put_declaration(struct mime_html *h, unsigned char c, struct buf *out)
{
	bool comment = h->state == MIME_HTML_COMMENT;

	if (c == '-') {
		h->dashes++;
		if (!comment && h->len == 1 && h->dashes == 2)
			h->state = MIME_HTML_COMMENT; /* whose dashes may be its end's as well */
	} else if (c == '>' && (!comment || h->dashes >= 2)) {
		h->state = MIME_HTML_TEXT;
		buf_add_char(out, ' ');
	} else {
		h->dashes = 0;
	}
	h->len++;
}

/* ---- text -------------------------------------------------------------------------------------- */

/* Behind "&". False: this byte is to be looked at again, as text. */
static bool put_in_entity(struct mime_html *h, unsigned char c, struct buf *out)
{
	if (is_letter(c) || is_digit(c) || (c == '#' && h->len == 0)) {
		add_to_word(h, c);
		if (h->len < MIME_HTML_WORD)
			return true;
		/* Too long for any: the text it was, this byte last. */
		h->len = MIME_HTML_WORD - 1;
		buf_add_char(out, '&');
		buf_add(out, h->word, h->len);
		h->state = MIME_HTML_TEXT;
		return false;
	}
	return put_entity(h, out) && c == ';';
}

/* Text up to "<" or "&", at least one byte unless one of them comes first. */
static size_t put_text(struct mime_html *h, struct span text, struct buf *out)
{
	size_t len = 0;

	while (len < text.len && text.ptr[len] != '<' && (text.ptr[len] != '&' || h->hidden[0]))
		len++;
	if (!h->hidden[0])
		buf_add(out, text.ptr, len);
	if (len == text.len)
		return len;
	begin_word(h);
	h->state = text.ptr[len] == '<' ? MIME_HTML_LESS : MIME_HTML_ENTITY;
	return len + 1;
}

/* One byte outside text; false: it is text after all. */
static bool put_byte(struct mime_html *h, unsigned char c, struct buf *out)
{
	switch (h->state) {
	case MIME_HTML_TEXT:
		return false;
	case MIME_HTML_LESS:
		return put_less(h, c, out);
	case MIME_HTML_ENTITY:
		return put_in_entity(h, c, out);
	case MIME_HTML_NAME:
		put_name(h, c, out);
		break;
	case MIME_HTML_TAG:
		put_tag(h, c, out);
		break;
	case MIME_HTML_EQUALS:
		put_equals(h, c, out);
		break;
	case MIME_HTML_VALUE:
		if (c == (unsigned char)h->quote)
			h->state = MIME_HTML_TAG;
		break;
	case MIME_HTML_DECL:
	case MIME_HTML_COMMENT:
		put_declaration(h, c, out);
		break;
	}
	return true;
}

void mime_html_put(struct mime_html *h, struct span text, struct buf *out)
{
	while (text.len) {
		size_t used = 1;
		if (h->state == MIME_HTML_TEXT)
			used = put_text(h, text, out);
		else if (!put_byte(h, (unsigned char)text.ptr[0], out))
			used = 0;
		text = span_from(text, used);
	}
}

void mime_html_end(struct mime_html *h, struct buf *out)
{
	if (h->state == MIME_HTML_ENTITY)
		(void)put_entity(h, out);
	else if (h->state == MIME_HTML_LESS && !h->hidden[0])
		buf_add_char(out, '<');
	mime_html_init(h);
}
