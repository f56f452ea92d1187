/* update.c - see update.h. */
#include "server/csync/update.h"

#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/csync/spool.h"
#include "server/store/mboxname.h"
#include "server/store/partition.h"
#include "server/store/snapshot.h"

/* ---- reading ------------------------------------------------------------------------------------ */

static int to_spool(void *ctx, const struct state_record *r, struct us_err *err)
{
	return spool_put(ctx, r, err);
}

int csync_update_read(struct csync_update *u, struct csync_answer *a, struct dlist_lexer *lx,
		      struct us_err *err)
{
	struct csync *cs = a->cs;
	struct wire_record_sink sink;

	*u = (struct csync_update){.cs = cs, .pool = a->pool, .scratch = pool_new()};
	u->spool = spool_new(store_default_partition(cs->store)->dir, cs->spool_max);
	sink = (struct wire_record_sink){to_spool, u->spool};
	return wire_read_apply(lx, a->pool, &sink, &u->said, err);
}

void csync_update_end(struct csync_update *u)
{
	for (size_t i = 0; i < u->n_staged; i++)
		staged_drop(&u->staged[i], false);
	free(u->staged);
	mailbox_close(&u->m);
	spool_free(&u->spool);
	pool_free(&u->scratch);
}

/* ---- carrying out --------------------------------------------------------------------------------- */

bool csync_update_sums_fit(struct csync_update *u, struct sums theirs)
{
	struct sums ours = {u->m->view.counters.sync_crc, u->m->view.counters.sync_crc_annot};

	if (sums_agree(ours, theirs))
		return true;
	snapshot_recount(u->m, &ours.basic, &ours.annot);
	return sums_agree(ours, theirs);
}

static int check_result(struct csync_update *u, struct us_err *err)
{
	const struct counters *c = &u->m->view.counters;
	struct sums theirs = sums_said(&u->said.state);

	if (csync_update_sums_fit(u, theirs))
		return 0;
	return us_fail(err, US_ECHECKSUM, "%s: sums are %u %u here, %u %u there", u->m->name.data,
		       c->sync_crc, c->sync_crc_annot, theirs.basic, theirs.annot);
}

/* A name that exists only for its children. What a peer only remembers (deleted) is no news here. */
static int apply_entry(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct mailbox_row row = {.type = s->mboxtype,
				  .uniqueid = s->uniqueid,
				  .acl = s->acl,
				  .createdmodseq = s->createdmodseq,
				  .foldermodseq = s->foldermodseq,
				  .lastmodseq = s->highestmodseq,
				  .mtime = store_now()};

	if (wire_type_has(s->mboxtype, 'd'))
		return 0;
	return folder_put_entry(u->cs->store, s->name, &row, err);
}

static int apply_records(struct csync_update *u, struct us_err *err)
{
	int rc = csync_update_find(u, err);

	if (rc == 0)
		rc = csync_update_judge(u, err);
	if (rc == 0)
		rc = csync_update_write(u, err);
	return rc == 0 ? check_result(u, err) : rc;
}

int csync_update_apply(struct csync_update *u, struct us_err *err)
{
	if (!wire_is_visible(&u->said.state, u->cs->sieve_mailbox))
		return us_fail(err, US_EINVAL, "a sieve mailbox, but SIEVE-MAILBOX is not enabled");
	if (mboxname_check_storable(u->said.state.name, err) < 0)
		return US_EINVAL;
	return wire_is_entry(&u->said.state) ? apply_entry(u, err) : apply_records(u, err);
}
