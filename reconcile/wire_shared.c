/* wire_shared.c - what commands and answers have in common: quota, seen, annotations, lists. */
#include "reconcile/wire_private.h"
#include "server/base/mem.h"

/* ---- quota ------------------------------------------------------------------------------------- */

/* LIMIT repeats the storage limit for old peers; this there means that there is none. */
#define LIMIT_NONE 4294967295u

static const char *const resources[STATE_RESOURCES] = STATE_RESOURCE_NAMES;

struct quota_fields {
	struct span root;
	uint64_t limit;
	uint64_t named[STATE_RESOURCES];
	uint64_t modseq;
};

enum { F_ROOT, F_LIMIT, F_NAMED, F_MODSEQ = F_NAMED + STATE_RESOURCES, F_ALL };
#define AT(member) offsetof(struct quota_fields, member)

static const struct wire_field_row quota_fields[F_ALL] = {
	{"ROOT", wire_field_str, AT(root)},
	{"LIMIT", wire_field_u64, AT(limit)},
	{"STORAGE", wire_field_u64, AT(named[STATE_STORAGE])},
	{"MESSAGE", wire_field_u64, AT(named[STATE_MESSAGE])},
	{"X-ANNOTATION-STORAGE", wire_field_u64, AT(named[STATE_ANNOTATION_STORAGE])},
	{"X-NUM-FOLDERS", wire_field_u64, AT(named[STATE_NUM_FOLDERS])},
	{"MODSEQ", wire_field_u64, AT(modseq)},
};

static int64_t limit_of(uint64_t said)
{
	return said == LIMIT_NONE || said > INT64_MAX ? STATE_NO_LIMIT : (int64_t)said;
}

int wire_read_quota(struct wire_reader *r, struct state_quota *out, bool *whole, struct us_err *err)
{
	struct quota_fields f = {.modseq = 0};
	uint64_t seen;
	int rc = wire_read_fields(r, quota_fields, F_ALL, &f, &seen, err);

	if (rc < 0)
		return rc;
	*out = (struct state_quota){.root = f.root, .modseq = f.modseq};
	for (size_t i = 0; i < STATE_RESOURCES; i++)
		out->limit[i] =
			seen & WIRE_BIT(F_NAMED + i) ? limit_of(f.named[i]) : STATE_NO_LIMIT;
	if (seen & WIRE_BIT(F_LIMIT) && !(seen & WIRE_BIT(F_NAMED + STATE_STORAGE)))
		out->limit[STATE_STORAGE] = limit_of(f.limit);
	*whole = (seen & WIRE_BIT(F_ROOT)) != 0;
	return 0;
}

void wire_put_quota(struct dlist_writer *w, const struct state_quota *q)
{
	int64_t storage = q->limit[STATE_STORAGE];

	dlist_put_kvlist(w);
	dlist_put_kstr(w, "ROOT", q->root);
	dlist_put_ku64(w, "LIMIT", storage < 0 ? LIMIT_NONE : (uint64_t)storage);
	for (size_t i = 0; i < STATE_RESOURCES; i++)
		if (q->limit[i] >= 0)
			dlist_put_ku64(w, resources[i], (uint64_t)q->limit[i]);
	dlist_put_ku64(w, "MODSEQ", q->modseq);
	dlist_put_close(w);
}

/* ---- others ------------------------------------------------------------------------------------- */

void wire_put_seen_fields(struct dlist_writer *w, const struct state_seen *s)
{
	dlist_put_kstr(w, "UNIQUEID", s->uniqueid);
	wire_put_time(w, "LASTREAD", s->lastread);
	dlist_put_ku64(w, "LASTUID", s->lastuid);
	wire_put_time(w, "LASTCHANGE", s->lastchange);
	dlist_put_kstr(w, "SEENUIDS", s->seenuids.ptr ? s->seenuids : SPAN_LIT(""));
}

void wire_put_annotation_fields(struct dlist_writer *w, const struct state_server_annotation *a,
				bool with_value)
{
	dlist_put_kstr(w, "MBOXNAME", a->mboxname.ptr ? a->mboxname : SPAN_LIT(""));
	dlist_put_kstr(w, "ENTRY", a->annotation.entry);
	dlist_put_kstr(w, "USERID", a->annotation.userid.ptr ? a->annotation.userid : SPAN_LIT(""));
	if (with_value)
		dlist_put_kstr(w, "VALUE", a->annotation.value);
}

/* The wire has no negative numbers. */
void wire_put_time(struct dlist_writer *w, const char *key, int64_t t)
{
	dlist_put_ku64(w, key, t < 0 ? 0 : (uint64_t)t);
}

void wire_put_names(struct dlist_writer *w, const struct wire_names *names)
{
	dlist_put_list(w);
	for (size_t i = 0; i < names->n; i++)
		dlist_put_str(w, names->names[i]);
	dlist_put_close(w);
}

void wire_put_guids(struct dlist_writer *w, const struct wire_guids *guids)
{
	dlist_put_list(w);
	for (size_t i = 0; i < guids->n; i++)
		dlist_put_guid(w, &guids->guids[i]);
	dlist_put_close(w);
}
