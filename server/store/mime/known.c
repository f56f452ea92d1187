/* known.c - see known_private.h. */
#include "server/store/mime/known_private.h"

#include "server/base/mem.h"

static const struct {
	const char *name;
	size_t len;
} known_fields[MIME_KNOWN_FIELDS] = {
#define ROW(text)                      \
	{                              \
		text, sizeof(text) - 1 \
	}
	[MIME_FIELD_CONTENT_TYPE] = ROW("Content-Type"),
	[MIME_FIELD_CONTENT_TRANSFER_ENCODING] = ROW("Content-Transfer-Encoding"),
	[MIME_FIELD_CONTENT_DISPOSITION] = ROW("Content-Disposition"),
	[MIME_FIELD_CONTENT_ID] = ROW("Content-ID"),
	[MIME_FIELD_CONTENT_DESCRIPTION] = ROW("Content-Description"),
	[MIME_FIELD_CONTENT_MD5] = ROW("Content-MD5"),
	[MIME_FIELD_CONTENT_LANGUAGE] = ROW("Content-Language"),
	[MIME_FIELD_CONTENT_LOCATION] = ROW("Content-Location"),
	[MIME_FIELD_DATE] = ROW("Date"),
	[MIME_FIELD_SUBJECT] = ROW("Subject"),
	[MIME_FIELD_FROM] = ROW("From"),
	[MIME_FIELD_SENDER] = ROW("Sender"),
	[MIME_FIELD_REPLY_TO] = ROW("Reply-To"),
	[MIME_FIELD_IN_REPLY_TO] = ROW("In-Reply-To"),
	[MIME_FIELD_MESSAGE_ID] = ROW("Message-ID"),
	[MIME_FIELD_TO] = ROW("To"),
	[MIME_FIELD_CC] = ROW("Cc"),
	[MIME_FIELD_BCC] = ROW("Bcc"),
#undef ROW
};

static size_t find(struct span name)
{
	size_t i;

	for (i = 0; i < MIME_KNOWN_FIELDS; i++)
		if (name.len == known_fields[i].len && span_is_nocase(name, known_fields[i].name))
			break;
	return i;
}

static void append(struct mime_words **first, struct mime_words **last, struct span text,
		   struct pool *pool)
{
	struct mime_words *added = pool_alloc(pool, sizeof(*added));

	added->text = text;
	if (*last)
		(*last)->next = added;
	else
		*first = added;
	*last = added;
}

void mime_known_take(struct mime_known *known, const struct mime_field *field, bool with_envelope,
		     struct pool *pool)
{
	size_t which = find(field->name);

	if (which == MIME_KNOWN_FIELDS)
		return;
	known->last[which] = field->value;
	if (!with_envelope || which < MIME_FIELD_TO)
		return;
	if (which == MIME_FIELD_TO)
		append(&known->first_to, &known->last_to, field->value, pool);
	else if (which == MIME_FIELD_CC)
		append(&known->first_cc, &known->last_cc, field->value, pool);
	else
		append(&known->first_bcc, &known->last_bcc, field->value, pool);
}

static struct span unfolded(const struct mime_known *known, enum mime_known_field which,
			    struct pool *pool)
{
	struct span raw = known->last[which];

	return raw.ptr ? mime_unfold(raw, pool) : SPAN_NULL;
}

static const struct mime_words *unfold_all(struct mime_words *words, struct pool *pool)
{
	for (struct mime_words *w = words; w; w = (struct mime_words *)w->next)
		w->text = mime_unfold(w->text, pool);
	return words;
}

struct mime_envelope *mime_known_to_envelope(const struct mime_known *known, struct pool *pool)
{
	struct mime_envelope *env = pool_alloc(pool, sizeof(*env));

	env->date = unfolded(known, MIME_FIELD_DATE, pool);
	env->subject = unfolded(known, MIME_FIELD_SUBJECT, pool);
	env->from = unfolded(known, MIME_FIELD_FROM, pool);
	env->sender = unfolded(known, MIME_FIELD_SENDER, pool);
	env->reply_to = unfolded(known, MIME_FIELD_REPLY_TO, pool);
	env->in_reply_to = unfolded(known, MIME_FIELD_IN_REPLY_TO, pool);
	env->message_id = unfolded(known, MIME_FIELD_MESSAGE_ID, pool);
	env->to = unfold_all(known->first_to, pool);
	env->cc = unfold_all(known->first_cc, pool);
	env->bcc = unfold_all(known->first_bcc, pool);
	return env;
}
