/* body.c - see body.h.
 *
 *	leaf      = ("TYPE" "SUBTYPE" params "id" "description" "ENCODING" size
 *		     [envelope body lines] [lines] [SP "md5" extension])
 *	multipart = (1*body "SUBTYPE" [SP params extension])
 *	extension = disposition languages "location"
 *
 * The first brackets are there for message/rfc822 and text, the last in BODYSTRUCTURE. Recursion is as
 * deep as the containers are, which mime_limits bounds.
 */
#include "server/store/mime/body.h"

#include "server/store/mime/envelope.h"
#include "server/store/mime/nstring.h"

struct writer {
	struct buf *out;
	bool extensible;
	uint32_t addresses; /* that may still be written */
};

static void put_params(struct buf *out, const struct mime_param *p)
{
	if (!p) {
		buf_add_str(out, "NIL");
		return;
	}
	for (char before = '('; p; p = p->next, before = ' ') {
		buf_add_char(out, before);
		nstring_put_upper(out, p->name);
		buf_add_char(out, ' ');
		nstring_put(out, p->value);
	}
	buf_add_char(out, ')');
}

static void put_disposition(struct buf *out, const struct mime_part *part)
{
	if (!part->disposition.ptr) {
		buf_add_str(out, "NIL");
		return;
	}
	buf_add_char(out, '(');
	nstring_put_upper(out, part->disposition);
	buf_add_char(out, ' ');
	put_params(out, part->disposition_params);
	buf_add_char(out, ')');
}

static void put_languages(struct buf *out, const struct mime_words *words)
{
	if (!words) {
		buf_add_str(out, "NIL");
		return;
	}
	for (char before = '('; words; words = words->next, before = ' ') {
		buf_add_char(out, before);
		nstring_put_upper(out, words->text);
	}
	buf_add_char(out, ')');
}

static void put_extension(struct buf *out, const struct mime_part *part)
{
	buf_add_char(out, ' ');
	put_disposition(out, part);
	buf_add_char(out, ' ');
	put_languages(out, part->languages);
	buf_add_char(out, ' ');
	nstring_put(out, part->location);
}

static void put_part(struct writer *w, const struct mime_part *part);

static void put_multipart(struct writer *w, const struct mime_part *part)
{
	for (const struct mime_part *child = part->first_child; child; child = child->next)
		put_part(w, child);
	buf_add_char(w->out, ' ');
	nstring_put_upper(w->out, part->subtype);
	if (!w->extensible)
		return;
	buf_add_char(w->out, ' ');
	put_params(w->out, part->params);
	put_extension(w->out, part);
}

/* Params to size, which all leaves have. */
static void put_fields(struct buf *out, const struct mime_part *part)
{
	nstring_put_upper(out, part->type);
	buf_add_char(out, ' ');
	nstring_put_upper(out, part->subtype);
	buf_add_char(out, ' ');
	put_params(out, part->params);
	buf_add_char(out, ' ');
	nstring_put(out, part->id);
	buf_add_char(out, ' ');
	nstring_put(out, part->description);
	buf_add_char(out, ' ');
	nstring_put_upper(out, part->encoding_name);
	buf_add_char(out, ' ');
	buf_add_u64(out, part->body_size);
}

static void put_leaf(struct writer *w, const struct mime_part *part)
{
	put_fields(w->out, part);
	if (part->kind == MIME_MESSAGE) {
		buf_add_char(w->out, ' ');
		mime_envelope_put(w->out, part->first_child->envelope, &w->addresses);
		buf_add_char(w->out, ' ');
		put_part(w, part->first_child);
	}
	if (part->kind != MIME_LEAF) {
		buf_add_char(w->out, ' ');
		buf_add_u64(w->out, part->body_lines);
	}
	if (!w->extensible)
		return;
	buf_add_char(w->out, ' ');
	nstring_put(w->out, part->md5);
	put_extension(w->out, part);
}

static void put_part(struct writer *w, const struct mime_part *part)
{
	buf_add_char(w->out, '(');
	if (part->kind == MIME_MULTIPART)
		put_multipart(w, part);
	else
		put_leaf(w, part);
	buf_add_char(w->out, ')');
}

void mime_put_body(struct buf *out, const struct mime_tree *tree, bool extensible)
{
	struct writer w = {out, extensible, tree->limits.addresses};

	put_part(&w, tree->root);
}
