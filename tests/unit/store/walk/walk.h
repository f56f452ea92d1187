/* walk.h - a walk over every place where the store can die or be refused, and what must be true afterwards.
 *
 * An operation (ops.c) is carried out in a child on a copy of one small world (world.c). First undisturbed: each
 * announcement to the observer comes before a commit, so what the store shows at each announcement and after each
 * acknowledgement are all the states it may ever be found in (dump.c). Then again and again, a child each: it dies
 * at one failpoint, or one write is refused there. Another child opens what is left (verify.c): it must be in one
 * of those states, none behind what was acknowledged, none before what was announced, and in every respect sound.
 *
 *	world --copy--> reference run: states, points it passes
 *	      --copy--> run, dies at point p, hit n --> look at what is left     for all p, n, ways to fail
 *
 * What children have to tell lies in one shared mapping.
 */
#ifndef US_TESTS_UNIT_STORE_WALK_H
#define US_TESTS_UNIT_STORE_WALK_H

#include "tests/unit/store/rig.h"

#include "server/base/failpoint.h"
#include "server/store/meta/meta.h"

#define WALK_STATES 64
/* As the step of a state: as long as nothing is acknowledged it may be that one. */
#define WALK_ALWAYS (-1)

struct walk_shared {
	struct failpoint_page page;
	/* how far the operation came */
	int32_t acked;     /* steps that were reported as done */
	int32_t announced; /* calls of the observer */
	int32_t refuse_at; /* the observer says no at this call; 0: never */
	int32_t failed;    /* a step failed */
	int32_t code;      /* ... with this */
	char text[240];    /* ... saying this */
	int32_t after;     /* result of what the same process did afterwards */
	char after_text[240];
	int32_t poisoned; /* bits: partitions that were, after it failed */
	size_t heard_len;
	char heard[256u << 10];
	size_t complaints_len;
	char complaints[64u << 10];
	/* the reference run */
	char ref_heard[256u << 10];
	size_t n_states;
	struct {
		int32_t step;     /* it was seen while this step was in work, or at its end */
		size_t heard_len; /* what had been announced before it came to be */
		size_t at, len;   /* in `pool` */
	} state[WALK_STATES];
	size_t pool_used;
	char pool[32u << 20];
};

enum walk_mode { WALK_SILENT, WALK_RECORD, WALK_DISTURB };

struct walk {
	struct walk_shared *shared;
	char root[64]; /* of the store: conf, spool, spool2 */
	enum walk_mode mode;
	bool rebooted;  /* between the operation and the look at what it left, or before both */
	bool may_leave; /* WALK_LEAVES, for those who look */
	struct store *store;
	struct store_observer observer;
};

enum walk_op_flag {
	WALK_OPENS = 1,        /* the operation is opening the store, closing it or both */
	WALK_DAMAGED = 2,      /* what it begins with is not sound, what it ends with is */
	WALK_REBOOTS = 4,      /* the kernel's boot id is another one than in preparation */
	WALK_LEAVES = 8,       /* files of expunged messages may be left: compaction removes them */
	WALK_INDEPENDENT = 32, /* of several mailboxes each may be as before or as after */
	WALK_UNSURE = 16,      /* it begins with what a dead one left: that may come to be or not */
};

struct walk_op {
	const char *name;
	unsigned flags;
	size_t n_states; /* different ones that it may leave, the first included */
	int (*run)(struct walk *w, struct us_err *err);
	void (*prepare)(struct walk *w); /* NULL: the world as it is */
	const char *must;                /* points it has to pass, separated by blanks */
};

/* What those do who die before an operation begins. */
int walk_apply(struct walk *w, struct us_err *err);

extern const struct walk_op walk_ops[];
extern const size_t walk_n_ops;

/* world.c */
#define WALK_BOOT_A "boot-aaa"
#define WALK_BOOT_B "boot-bbb"
int walk_try_open(struct walk *w, struct us_err *err);
void walk_open(struct walk *w);
void walk_make_directories(struct walk *w); /* empty ones, in place of what is there */
void walk_make_world(struct walk *w);       /* with its store open */
/* A message of that number, staged. */
int walk_stage(struct stage *stage, int number, struct staged *out, struct us_err *err);
/* One commit on a mailbox: `parts` adds to it. */
typedef int walk_parts(struct commit *c, struct mailbox *m, const void *arg, struct us_err *err);
int walk_change(struct walk *w, const char *name, walk_parts *parts, const void *arg,
		struct us_err *err);
int walk_append(struct walk *w, const char *name, int number, struct us_err *err);

/* Say that a step is done, as an OK on the wire would. */
void walk_acked(struct walk *w);

/* dump.c: everything that somebody could see, as text, without what differs from run to run. Complains about what is
 * not as it should be in itself. */
void walk_dump(struct walk *w, struct buf *out);
/* Lock and unlock every mailbox: what a dead holder left is finished. */
void walk_settle(struct walk *w);
/* Every name of a mailbox, in list order. */
int walk_each_mailbox(struct walk *w, void (*fn)(struct walk *w, struct mailbox *m));

void walk_complain(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- verify.c ---------------------------------------------------------------------------------- */

/* Look at what is left of op, in a process that knows of nothing. `used`: the one that failed went on and changed
 * more, after it had looked itself. */
void walk_verify(struct walk *w, const struct walk_op *op, bool used);
/* In the process that was refused something: look, then append, flag, create, rename, delete. 0 if all of that can be
 * done. */
int walk_go_on(struct walk *w, const struct walk_op *op, struct us_err *err);
/* In the reference run: this is a state it may be left in. */
void walk_note_state(struct walk *w, int step);

#endif
