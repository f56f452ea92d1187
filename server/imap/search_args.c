/* search_args.c - see search_args.h. */
#include "server/imap/search_args.h"

#include "server/base/mem.h"
#include "server/imap/annotate.h"
#include "server/imap/commands.h"
#include "server/store/state.h"

#define DAY 86400

enum argument {
	NOTHING,
	STRING,
	FIELD_AND_STRING,
	KEYWORD,
	NUMBER,
	DATE,
	UID_SET,
	MODSEQ,
	ANNOTATION
};
/* What a number or a day says about a range. */
enum relation { NO_RANGE, BELOW, EXACTLY, FROM_ON, ABOVE };

static const struct {
	const char *name;
	enum argument argument;
	enum search_key key;
	bool inverse;
	uint32_t flag;
	enum relation relation;
	const char *field;
} known_keys[] = {
	{"ALL", NOTHING, SEARCH_ALL, false, 0, NO_RANGE, NULL},
	{"ANNOTATION", ANNOTATION, SEARCH_ANNOTATION, false, 0, NO_RANGE, NULL},
	{"ANSWERED", NOTHING, SEARCH_FLAG, false, FLAG_ANSWERED, NO_RANGE, NULL},
	{"BCC", STRING, SEARCH_FIELD, false, 0, NO_RANGE, "Bcc"},
	{"BEFORE", DATE, SEARCH_RECEIVED, false, 0, BELOW, NULL},
	{"BODY", STRING, SEARCH_BODY, false, 0, NO_RANGE, NULL},
	{"CC", STRING, SEARCH_FIELD, false, 0, NO_RANGE, "Cc"},
	{"DELETED", NOTHING, SEARCH_FLAG, false, FLAG_DELETED, NO_RANGE, NULL},
	{"DRAFT", NOTHING, SEARCH_FLAG, false, FLAG_DRAFT, NO_RANGE, NULL},
	{"EMAILID", STRING, SEARCH_EMAILID, false, 0, NO_RANGE, NULL},
	{"FLAGGED", NOTHING, SEARCH_FLAG, false, FLAG_FLAGGED, NO_RANGE, NULL},
	{"FROM", STRING, SEARCH_FIELD, false, 0, NO_RANGE, "From"},
	{"HEADER", FIELD_AND_STRING, SEARCH_FIELD, false, 0, NO_RANGE, NULL},
	{"KEYWORD", KEYWORD, SEARCH_KEYWORD, false, 0, NO_RANGE, NULL},
	{"LARGER", NUMBER, SEARCH_SIZE, false, 0, ABOVE, NULL},
	{"MODSEQ", MODSEQ, SEARCH_MODSEQ, false, 0, FROM_ON, NULL},
	{"OLD", NOTHING, SEARCH_RECENT, true, 0, NO_RANGE, NULL},
	{"ON", DATE, SEARCH_RECEIVED, false, 0, EXACTLY, NULL},
	{"RECENT", NOTHING, SEARCH_RECENT, false, 0, NO_RANGE, NULL},
	{"SAVEDATESUPPORTED", NOTHING, SEARCH_ALL, false, 0, NO_RANGE, NULL},
	{"SAVEDBEFORE", DATE, SEARCH_SAVED, false, 0, BELOW, NULL},
	{"SAVEDON", DATE, SEARCH_SAVED, false, 0, EXACTLY, NULL},
	{"SAVEDSINCE", DATE, SEARCH_SAVED, false, 0, FROM_ON, NULL},
	{"SEEN", NOTHING, SEARCH_FLAG, false, FLAG_SEEN, NO_RANGE, NULL},
	{"SENTBEFORE", DATE, SEARCH_SENT, false, 0, BELOW, NULL},
	{"SENTON", DATE, SEARCH_SENT, false, 0, EXACTLY, NULL},
	{"SENTSINCE", DATE, SEARCH_SENT, false, 0, FROM_ON, NULL},
	{"SINCE", DATE, SEARCH_RECEIVED, false, 0, FROM_ON, NULL},
	{"SMALLER", NUMBER, SEARCH_SIZE, false, 0, BELOW, NULL},
	{"SUBJECT", STRING, SEARCH_FIELD, false, 0, NO_RANGE, "Subject"},
	{"TEXT", STRING, SEARCH_TEXT, false, 0, NO_RANGE, NULL},
	{"THREADID", STRING, SEARCH_THREADID, false, 0, NO_RANGE, NULL},
	{"TO", STRING, SEARCH_FIELD, false, 0, NO_RANGE, "To"},
	{"UID", UID_SET, SEARCH_UIDS, false, 0, NO_RANGE, NULL},
	{"UNANSWERED", NOTHING, SEARCH_FLAG, true, FLAG_ANSWERED, NO_RANGE, NULL},
	{"UNDELETED", NOTHING, SEARCH_FLAG, true, FLAG_DELETED, NO_RANGE, NULL},
	{"UNDRAFT", NOTHING, SEARCH_FLAG, true, FLAG_DRAFT, NO_RANGE, NULL},
	{"UNFLAGGED", NOTHING, SEARCH_FLAG, true, FLAG_FLAGGED, NO_RANGE, NULL},
	{"UNKEYWORD", KEYWORD, SEARCH_KEYWORD, true, 0, NO_RANGE, NULL},
	{"UNSEEN", NOTHING, SEARCH_FLAG, true, FLAG_SEEN, NO_RANGE, NULL},
};

struct search_parse {
	struct parse *p;
	struct search_args *args;
	struct us_err *err;
};

static struct search_node *new_node(struct search_parse *sp, enum search_key key)
{
	struct search_node *node = pool_alloc(sp->p->pool, sizeof(*node));

	node->key = key;
	return node;
}

/* NULL, with the text that goes behind BAD. */
static struct search_node *refuse(struct search_parse *sp, const char *text)
{
	(void)us_fail(sp->err, US_EPROTO, "%s", text);
	return NULL;
}

#define WORD_SHOWN 32

static void lower_case(struct span word, char out[WORD_SHOWN])
{
	size_t n = 0;

	for (; n < word.len && n < WORD_SHOWN - 1; n++)
		out[n] = (char)us_lower((unsigned char)word.ptr[n]);
	out[n] = '\0';
}

static struct search_node *miss(struct search_parse *sp, struct span word)
{
	char lower[WORD_SHOWN];

	lower_case(word, lower);
	(void)us_fail(sp->err, US_EPROTO, "Missing required argument to %s %s",
		      sp->p->command->shown, lower);
	return NULL;
}

/* ---- arguments ----------------------------------------------------------------------------------- */

static struct search_node *take_string(struct search_parse *sp, struct search_node *node,
				       bool and_field)
{
	struct scan *s = &sp->p->s;

	if (and_field) {
		node->name = token_astring(s, sp->p->pool);
		token_space(s);
	}
	node->string = token_astring(s, sp->p->pool);
	return s->bad ? refuse(sp, "Missing or bad string in Search command") : node;
}

static struct search_node *take_keyword(struct search_parse *sp, struct search_node *node)
{
	struct span flag = token_flag(&sp->p->s);

	node->name = flag;
	if (!sp->p->s.bad && flag.ptr[0] != '\\')
		return node;
	if (flag.len > 64)
		flag.len = 64;
	(void)us_fail(sp->err, US_EPROTO, "Invalid flag name %.*s in Search command",
		      SPAN_ARG(flag));
	return NULL;
}

/* Of a unit (a byte, a day) that begins at `at`. */
static void set_range(struct search_node *node, enum relation relation, int64_t at, int64_t unit)
{
	node->range.from = relation == BELOW ? INT64_MIN : relation == ABOVE ? at + unit : at;
	node->range.to = relation == BELOW ? at : relation == EXACTLY ? at + unit : INT64_MAX;
}

static struct search_node *take_number(struct search_parse *sp, struct search_node *node,
				       enum relation relation)
{
	uint64_t n = token_number64(&sp->p->s);

	if (sp->p->s.bad || n == INT64_MAX)
		return refuse(sp, "Invalid number in Search command");
	set_range(node, relation, (int64_t)n, 1);
	return node;
}

/* [entry SP type SP] before the number: flags have no modseqs of their own here, which RFC 7162 (3.1.5) allows. */
static struct search_node *take_modseq(struct search_parse *sp, struct search_node *node)
{
	struct scan *s = &sp->p->s;

	if (scan_peek(s) == '"') {
		(void)token_string(s, sp->p->pool);
		token_space(s);
		if (!token_is_word(s, "all") && !token_is_word(s, "priv") &&
		    !token_is_word(s, "shared"))
			return refuse(sp, "Invalid entry type in Search command");
		token_space(s);
	}
	sp->args->modseq = true;
	return take_number(sp, node, FROM_ON);
}

static struct search_node *take_date(struct search_parse *sp, struct search_node *node,
				     enum relation relation)
{
	int64_t day = token_date(&sp->p->s);

	if (sp->p->s.bad)
		return refuse(sp, "Invalid date in Search command");
	set_range(node, relation, day, DAY);
	return node;
}

static struct search_node *take_set(struct search_parse *sp, struct search_node *node)
{
	node->set = token_sequence_set(&sp->p->s, sp->p->pool);
	return sp->p->s.bad ? refuse(sp, "Invalid sequence in Search command") : node;
}

/* entry-match SP att-match SP string (RFC 5257, 4.7): only of values. */
static struct search_node *take_annotation(struct search_parse *sp, struct search_node *node)
{
	struct scan *s = &sp->p->s;
	struct span att;

	node->name = annotate_small(sp->p->pool, token_list_mailbox(s, sp->p->pool));
	token_space(s);
	att = token_atom(s);
	node->flag = span_is_nocase(att, "value.priv")     ? ANNOTATE_VALUE_PRIVATE
		     : span_is_nocase(att, "value.shared") ? ANNOTATE_VALUE_SHARED
		     : span_is_nocase(att, "value") ? ANNOTATE_VALUE_PRIVATE | ANNOTATE_VALUE_SHARED
						    : 0;
	token_space(s);
	node->string = token_astring(s, sp->p->pool);
	return s->bad || !node->flag ? refuse(sp, "Invalid Search criteria") : node;
}

static struct search_node *take_known(struct search_parse *sp, size_t i, struct span word)
{
	struct search_node *node = new_node(sp, known_keys[i].key);

	node->inverse = known_keys[i].inverse;
	node->flag = known_keys[i].flag;
	node->name = span_of(known_keys[i].field);
	if (known_keys[i].argument != NOTHING && !scan_skip(&sp->p->s, ' '))
		return miss(sp, word);
	switch (known_keys[i].argument) {
	case STRING:
		return take_string(sp, node, /* and_field */ false);
	case FIELD_AND_STRING:
		return take_string(sp, node, /* and_field */ true);
	case KEYWORD:
		return take_keyword(sp, node);
	case NUMBER:
		return take_number(sp, node, known_keys[i].relation);
	case DATE:
		return take_date(sp, node, known_keys[i].relation);
	case UID_SET:
		return take_set(sp, node);
	case MODSEQ:
		return take_modseq(sp, node);
	case ANNOTATION:
		return take_annotation(sp, node);
	case NOTHING:
		break;
	}
	return node;
}

/* ---- keys that hold keys ------------------------------------------------------------------------- */

/* Children as they come; a child that is a list of the same kind gives its children in place of itself. */
struct node_list {
	struct search_node *parent, **end;
};

static struct node_list begin_list(struct search_parse *sp, enum search_key key)
{
	struct search_node *parent = new_node(sp, key);

	return (struct node_list){parent, &parent->child};
}

static void add_child(struct node_list *list, struct search_node *child)
{
	bool same = child->key == list->parent->key && !child->inverse;

	*list->end = same ? child->child : child;
	while (*list->end)
		list->end = &(*list->end)->next;
}

/* A list of one is that one. */
static struct search_node *end_list(struct node_list *list)
{
	struct search_node *only = list->parent->child;

	return only && !only->next ? only : list->parent;
}

static struct search_node *take_key(struct search_parse *sp, unsigned depth);

static struct search_node *take_or(struct search_parse *sp, struct span word, unsigned depth)
{
	struct node_list list = begin_list(sp, SEARCH_OR);

	for (int i = 0; i < 2; i++) {
		struct search_node *child;

		if (!scan_skip(&sp->p->s, ' '))
			return miss(sp, word);
		child = take_key(sp, depth + 1);
		if (!child)
			return NULL;
		add_child(&list, child);
	}
	return end_list(&list);
}

/* search-key *(SP search-key) */
static struct search_node *take_keys(struct search_parse *sp, unsigned depth)
{
	struct node_list list = begin_list(sp, SEARCH_AND);

	do {
		struct search_node *child = take_key(sp, depth);

		if (!child)
			return NULL;
		add_child(&list, child);
	} while (scan_skip(&sp->p->s, ' '));
	return end_list(&list);
}

/* NEW is RECENT UNSEEN. */
static struct search_node *make_new(struct search_parse *sp)
{
	struct node_list list = begin_list(sp, SEARCH_AND);
	struct search_node *unseen = new_node(sp, SEARCH_FLAG);

	unseen->flag = FLAG_SEEN;
	unseen->inverse = true;
	add_child(&list, new_node(sp, SEARCH_RECENT));
	add_child(&list, unseen);
	return end_list(&list);
}

static bool is_key_char(unsigned char c)
{
	return us_lower(c) >= 'a' && us_lower(c) <= 'z';
}

/* A key that begins with a word. */
static struct search_node *take_word(struct search_parse *sp, struct span word, unsigned depth)
{
	if (span_is_nocase(word, "OR"))
		return take_or(sp, word, depth);
	if (span_is_nocase(word, "NEW"))
		return make_new(sp);
	for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++)
		if (span_is_nocase(word, known_keys[i].name))
			return take_known(sp, i, word);
	return refuse(sp, "Invalid Search criteria");
}

static struct search_node *take_one(struct search_parse *sp, unsigned depth)
{
	struct scan *s = &sp->p->s;
	struct search_node *node;
	int c = scan_peek(s);

	if (scan_skip(s, '(')) {
		node = take_keys(sp, depth + 1);
		if (node && !scan_skip(s, ')'))
			return refuse(sp, "Missing required close paren in Search command");
		return node;
	}
	if (c == '*' || c == '$' || (c >= '0' && c <= '9'))
		return take_set(sp, new_node(sp, SEARCH_NUMBERS));
	return take_word(sp, scan_while(s, is_key_char), depth);
}

/* *("NOT" SP) and a key */
static struct search_node *take_key(struct search_parse *sp, unsigned depth)
{
	struct search_node *node;
	bool inverse = false;

	if (depth > SEARCH_DEPTH_MOST)
		return refuse(sp, "Search criteria are nested too deep");
	if (depth > sp->args->depth)
		sp->args->depth = depth;
	for (;;) {
		struct scan before = sp->p->s;
		struct span word = scan_while(&sp->p->s, is_key_char);

		if (!span_is_nocase(word, "NOT")) {
			sp->p->s = before;
			break;
		}
		if (!scan_skip(&sp->p->s, ' '))
			return miss(sp, word);
		inverse = !inverse;
	}
	node = take_one(sp, depth);
	if (node)
		node->inverse ^= inverse;
	return node;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* ["CHARSET" SP astring SP] */
static bool take_charset(struct search_parse *sp)
{
	struct scan *s = &sp->p->s, before = *s;

	if (!span_is_nocase(scan_while(s, is_key_char), "CHARSET")) {
		*s = before;
		return true;
	}
	token_space(s);
	sp->args->charset = token_astring(s, sp->p->pool);
	if (s->bad)
		return refuse(sp, "Missing charset") != NULL;
	token_space(s);
	return !s->bad || refuse(sp, "Missing required argument to Search") != NULL;
}

static bool refuse_return(struct search_parse *sp, struct span word)
{
	char lower[WORD_SHOWN];

	lower_case(word, lower);
	(void)us_fail(sp->err, US_EPROTO, "Invalid Search return option %s", lower);
	return false;
}

static bool take_return(struct search_parse *sp)
{
	static const struct {
		const char *name;
		enum search_return returns;
	} options[] = {
		{"MIN", RETURN_MIN},     {"MAX", RETURN_MAX},   {"ALL", RETURN_ALL},
		{"COUNT", RETURN_COUNT}, {"SAVE", RETURN_SAVE},
	};
	struct span word = scan_while(&sp->p->s, is_key_char);

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!span_is_nocase(word, options[i].name))
			continue;
		sp->args->returns |= options[i].returns;
		return true;
	}
	return refuse_return(sp, word);
}

/* ["RETURN" SP "(" [return *(SP return)] ")" SP]: an empty list is ALL (RFC 4731, 3.1). */
static bool take_returns(struct search_parse *sp)
{
	struct scan *s = &sp->p->s, before = *s;

	if (!span_is_nocase(scan_while(s, is_key_char), "RETURN")) {
		*s = before;
		return true;
	}
	sp->args->extended = true;
	if (!scan_skip(s, ' ') || !scan_skip(s, '('))
		return refuse(sp, "Missing return options in Search") != NULL;
	if (scan_peek(s) != ')')
		do
			if (!take_return(sp))
				return false;
		while (scan_skip(s, ' '));
	if (!scan_skip(s, ')'))
		return refuse(sp, "Missing return options in Search") != NULL;
	if (!sp->args->returns)
		sp->args->returns = RETURN_ALL;
	return scan_skip(s, ' ') || refuse(sp, "Missing required argument to Search") != NULL;
}

int parse_search(struct parse *p, void **out, struct us_err *err)
{
	struct search_args *args = pool_alloc(p->pool, sizeof(*args));
	struct us_err why = US_ERR_INIT;
	struct search_parse sp = {p, args, &why};

	if (!scan_skip(&p->s, ' '))
		return parse_missing(p, err);
	if (take_returns(&sp) && take_charset(&sp))
		args->root = take_keys(&sp, 1);
	if (!args->root)
		return us_fail(err, US_EPROTO, "%s", why.text);
	if (!scan_ok_at_end(&p->s))
		return us_fail(err, US_EPROTO, "Invalid Search criteria");
	*out = args;
	return 0;
}
