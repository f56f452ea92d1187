/* digest.c - see digest.h. What is summed is a text of lengths and octets, so that no two states give the same. */
#include "server/csync/digest.h"

#include "reconcile/wire.h"
#include "server/base/mem.h"

/* ---- the text ------------------------------------------------------------------------------------ */

static void put(struct buf *out, struct span s)
{
	buf_add_u64(out, s.len);
	buf_add_char(out, s.ptr ? ':' : '-');
	buf_add_span(out, s);
}

static void put_number(struct buf *out, uint64_t n)
{
	buf_add_u64(out, n);
	buf_add_char(out, ',');
}

static void put_annotations(struct buf *out, const struct state_annotation *list, size_t n)
{
	put_number(out, n);
	for (size_t i = 0; i < n; i++) {
		put(out, list[i].entry);
		put(out, list[i].userid);
		put(out, list[i].value);
	}
}

/* "" and "e" are one type. */
static struct span type_of(const struct state_mailbox *m)
{
	struct span plain = SPAN_LIT("e");

	return m->mboxtype.len ? m->mboxtype : plain;
}

static void put_mailbox(struct buf *out, const struct state_mailbox *m)
{
	const uint64_t numbers[] = {
		m->sync_crc,
		m->has_sync_crc_annot ? m->sync_crc_annot : 0,
		m->last_uid,
		m->highestmodseq,
		m->recentuid,
		(uint64_t)m->recenttime,
		(uint64_t)m->pop3_last_login,
		(uint64_t)m->pop3_show_after,
		m->xconvmodseq,
		m->raclmodseq,
		m->foldermodseq,
		m->uidvalidity,
		m->options,
	};

	put(out, m->name);
	put(out, m->uniqueid);
	put(out, type_of(m));
	put(out, m->partition);
	put(out, m->acl);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		put_number(out, numbers[i]);
	put_annotations(out, m->annotations, m->n_annotations);
}

static void put_mailboxes(struct buf *out, const struct state_user *u, bool sieve_mailbox)
{
	for (size_t i = 0; i < u->n_mailboxes; i++)
		if (wire_is_visible(&u->mailboxes[i], sieve_mailbox))
			put_mailbox(out, &u->mailboxes[i]);
	buf_add_char(out, '\n');
}

static void put_quotas(struct buf *out, const struct state_user *u)
{
	for (size_t i = 0; i < u->n_quotas; i++) {
		put(out, u->quotas[i].root);
		for (size_t k = 0; k < STATE_RESOURCES; k++)
			put_number(out, (uint64_t)u->quotas[i].limit[k]);
	}
	buf_add_char(out, '\n');
}

static void put_seen(struct buf *out, const struct state_user *u)
{
	for (size_t i = 0; i < u->n_seen; i++) {
		const struct state_seen *s = &u->seen[i];
		put(out, s->uniqueid);
		put_number(out, (uint64_t)s->lastread);
		put_number(out, s->lastuid);
		put_number(out, (uint64_t)s->lastchange);
		put(out, s->seenuids);
	}
	buf_add_char(out, '\n');
}

static void put_scripts(struct buf *out, const struct state_user *u)
{
	for (size_t i = 0; i < u->n_sieve; i++) {
		const struct state_sieve *s = &u->sieve[i];
		put(out, s->filename);
		put_number(out, (uint64_t)s->last_update);
		put(out, span_make((const char *)s->guid.byte, GUID_SIZE));
		put_number(out, s->active);
	}
	buf_add_char(out, '\n');
}

struct sha256 digest_of_user(const struct state_user *u, bool sieve_mailbox)
{
	struct buf text = BUF_INIT;
	struct sha256 sum;

	put_mailboxes(&text, u, sieve_mailbox);
	put_quotas(&text, u);
	for (size_t i = 0; i < u->n_subscriptions; i++)
		put(&text, u->subscriptions[i]);
	buf_add_char(&text, '\n');
	put_seen(&text, u);
	if (!sieve_mailbox)
		put_scripts(&text, u);
	sum = sha256_of(buf_span(&text));
	buf_free(&text);
	return sum;
}

void digest_add(struct buf *range, struct span userid, const struct sha256 *user)
{
	put(range, userid);
	buf_add(range, user->byte, sizeof(user->byte));
}
