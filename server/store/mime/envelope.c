/* envelope.c - see envelope.h. */
#include "server/store/mime/envelope.h"

#include "server/store/mime/address.h"
#include "server/store/mime/nstring.h"

static void put_mailbox(struct buf *out, const struct mime_address *a)
{
	nstring_put(out, a->name);
	buf_add_char(out, ' ');
	nstring_put(out, a->route);
	buf_add_char(out, ' ');
	nstring_put(out, a->local);
	buf_add_char(out, ' ');
	nstring_put(out, a->domain.ptr ? a->domain : SPAN_LIT("unspecified-domain"));
}

static void put_address(struct buf *out, const struct mime_address *a)
{
	buf_add_char(out, '(');
	switch (a->kind) {
	case MIME_ADDRESS_MAILBOX:
		put_mailbox(out, a);
		break;
	case MIME_ADDRESS_GROUP:
		buf_add_str(out, "NIL NIL ");
		nstring_put(out, a->name);
		buf_add_str(out, " NIL");
		break;
	case MIME_ADDRESS_GROUP_END:
		buf_add_str(out, "NIL NIL NIL NIL");
		break;
	}
	buf_add_char(out, ')');
}

/* Behind "(": all addresses of one value. The end of a group is written even when nothing else may be. */
static void put_addresses(struct buf *out, struct span value, uint32_t *left)
{
	struct mime_addresses list;
	struct mime_address a;
	bool in_group = false;

	mime_addresses_init(&list, value);
	while (*left && mime_addresses_next(&list, &a)) {
		put_address(out, &a);
		in_group = list.in_group;
		--*left;
	}
	if (in_group)
		put_address(out, &(struct mime_address){.kind = MIME_ADDRESS_GROUP_END});
	mime_addresses_fini(&list);
}

static void put_list(struct buf *out, const struct mime_words *values, uint32_t *left)
{
	size_t from = out->len;

	buf_add_char(out, '(');
	for (; values; values = values->next)
		put_addresses(out, values->text, left);
	if (out->len == from + 1) {
		buf_truncate(out, from);
		buf_add_str(out, "NIL");
	} else {
		buf_add_char(out, ')');
	}
}

static struct span put_single(struct buf *out, struct span value, uint32_t *left)
{
	const struct mime_words only = {value.ptr ? value : SPAN_LIT(""), NULL};
	size_t from = out->len;

	put_list(out, &only, left);
	return span_make(out->data + from, out->len - from);
}

/* `from_at`, `from_len`: where the written form of From stands in *out. */
static void put_or_from(struct buf *out, struct span value, size_t from_at, size_t from_len,
			uint32_t *left)
{
	size_t at = out->len;

	if (!span_is(put_single(out, value, left), "NIL"))
		return;
	buf_truncate(out, at);
	buf_reserve(out, from_len); /* so that what we copy does not move */
	buf_add(out, out->data + from_at, from_len);
}

void mime_envelope_put(struct buf *out, const struct mime_envelope *env, uint32_t *addresses)
{
	const struct mime_words *const lists[] = {env->to, env->cc, env->bcc};
	size_t from_at, from_len;

	buf_add_char(out, '(');
	nstring_put(out, env->date);
	buf_add_char(out, ' ');
	nstring_put(out, env->subject);
	buf_add_char(out, ' ');
	from_at = out->len;
	from_len = put_single(out, env->from, addresses).len;
	buf_add_char(out, ' ');
	put_or_from(out, env->sender, from_at, from_len, addresses);
	buf_add_char(out, ' ');
	put_or_from(out, env->reply_to, from_at, from_len, addresses);
	for (size_t i = 0; i < 3; i++) {
		buf_add_char(out, ' ');
		put_list(out, lists[i], addresses);
	}
	buf_add_char(out, ' ');
	nstring_put(out, env->in_reply_to);
	buf_add_char(out, ' ');
	nstring_put(out, env->message_id);
	buf_add_char(out, ')');
}

void mime_put_envelope(struct buf *out, const struct mime_tree *tree)
{
	uint32_t addresses = tree->limits.addresses;

	mime_envelope_put(out, tree->root->envelope, &addresses);
}
