/* states.h - states in few words, for the tests of decisions. Everything points to literals or lives in a pool. */
#ifndef US_TESTS_UNIT_RECONCILE_STATES_H
#define US_TESTS_UNIT_RECONCILE_STATES_H

#include "tests/unit/test.h"

#include "reconcile/decide.h"
#include "server/base/buf.h"
#include "server/base/pool.h"
#include "server/store/state.h"

#define OPTIONS                                         \
	((struct decide_options){.sieve_mailbox = true, \
				 .whole_user = true,    \
				 .deletedprefix = SPAN_LIT("DELETED")})

static inline struct guid guid_n(unsigned n)
{
	struct guid g = {{0}};

	g.byte[0] = (uint8_t)(n >> 8);
	g.byte[1] = (uint8_t)n;
	g.byte[19] = 1;
	return g;
}

/* A mailbox whose sums are known, with messages. */
static inline struct state_mailbox mailbox(const char *id, const char *name)
{
	return (struct state_mailbox){.uniqueid = span_of(id),
				      .name = span_of(name),
				      .sync_crc = 77,
				      .sync_crc_annot = 88,
				      .has_sync_crc_annot = true,
				      .last_uid = 5,
				      .highestmodseq = 10,
				      .uidvalidity = 1000,
				      .partition = SPAN_LIT("default"),
				      .acl = SPAN_LIT("bob\tlrs\t"),
				      .options = MAILBOX_OPTION_POP3_NEW_UIDL,
				      .createdmodseq = 1,
				      .foldermodseq = 1};
}

static inline struct state_mailbox entry(const char *id, const char *name)
{
	return (struct state_mailbox){.uniqueid = span_of(id),
				      .name = span_of(name),
				      .mboxtype = SPAN_LIT("ei"),
				      .createdmodseq = 1,
				      .foldermodseq = 1};
}

static inline struct state_record record(uint32_t uid, uint64_t modseq, unsigned guid)
{
	return (struct state_record){.uid = uid,
				     .modseq = modseq,
				     .last_updated = 100,
				     .internaldate = 50,
				     .size = 10,
				     .guid = guid_n(guid)};
}

static inline struct state_record expunged(uint32_t uid, uint64_t modseq, unsigned guid)
{
	struct state_record r = record(uid, modseq, guid);

	r.expunged = true;
	return r;
}

#define USER_OF(list)                                   \
	((struct state_user){.userid = SPAN_LIT("bob"), \
			     .mailboxes = (list),       \
			     .n_mailboxes = ARRAY_SIZE(list)})
#define NOBODY ((struct state_user){.userid = SPAN_LIT("bob")})

/* A pool for one test: group setup and teardown. */
static inline int with_pool(void **state)
{
	*state = pool_new();
	return 0;
}

static inline int drop_pool(void **state)
{
	struct pool *pool = *state;

	pool_free(&pool);
	return 0;
}
#define test_with_pool(f) cmocka_unit_test_setup_teardown(f, with_pool, drop_pool)

#endif
