/* test_walk.c - every operation of the store dies, and is refused, at every failpoint it passes; see walk/walk.h.
 *
 *	US_WALK=long		each hit of a point (of very many, 40 to 79), not only the first and a middle one; each way to be
 *				refused, not only the likely one; and each end looked at both on the same boot of
 *				the machine and on another
 *	US_WALK_ONLY=op[:point[:action[:hit]]]	only that; what a failure prints can be given here
 *	US_WALK_DIR		where the stores are made; else /dev/shm or /tmp: a death of a process needs no disk
 *	US_WALK_KEEP		leave the stores of a walk that failed where they are
 *
 * A point that no operation passes fails the walk, unless it stands in `unreachable` with a reason; so does a pair
 * that the reference run passed and the disturbed one did not.
 */
#include "tests/unit/store/walk/walk.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "server/base/log.h"

#define MOST_HITS 40

/* Points of the store's libraries that no operation here can pass, and why. */
static const struct {
	const char *point, *reason;
} unreachable[] = {
	{"meta.mark.create", "two things must fail: a sync, then this"},
	{"meta.mark.sync", "two things must fail: a sync, then this"},
	{"meta.mark.sync_dir", "two things must fail: a sync, then this"},
	{"meta.db.truncate",
	 "Berkeley DB gives back space only when a table is compacted; none is"},
	{"meta.db.unlink", "Berkeley DB removes logs only when told to; we do it ourselves"},
	{"meta.db.remove_log", "logs go after a copy; see meta/test_rescue"},
	{"store.rebuild.list", "the metadata must be lost; see test_rebuild"},
	{"meta.backup.*", "only metad makes copies; see meta/test_rescue"},
	{"meta.copy.*",
	 "a rescue, or ctl_cyrusdb -c; see meta/test_rescue and test_admin_small.py"},
	{"meta.rescue.*", "the tables must be damaged; see meta/test_rescue"},
	{"meta.restore.*", "the tables must be damaged; see meta/test_rescue"},
};

struct driver {
	struct walk_shared *shared;
	char base[48]; /* everything is below it */
	char log[80];
	bool is_long;
	char only[160];
	const char *only_part[4];      /* op, point, action, hit; NULL: all */
	struct failpoint_page *passed; /* hits over all operations */
	unsigned runs, bad;
};

static const char *const action_names[] = {"off", "kill", "torn", "enospc", "eio", "refuse"};
#define ACTION_REFUSE 5 /* not a failpoint: the observer says no */

/* ---- stores ----------------------------------------------------------------------------------------- */

static void walk_init(struct driver *d, struct walk *w, const char *name)
{
	memset(w, 0, sizeof(*w));
	w->shared = d->shared;
	snprintf(w->root, sizeof(w->root), "%s/%s", d->base, name);
}

static void copy_store(struct driver *d, const char *from, const char *to)
{
	char command[300];

	snprintf(command, sizeof(command), "cd %s && rm -rf %s && cp -a %s %s", d->base, to, from,
		 to);
	if (system(command) != 0)
		us_panic("%s", command);
}

/* ---- children --------------------------------------------------------------------------------------- */

typedef void child_fn(struct walk *w, const struct walk_op *op, void *ctx);

/* Run fn on a store in a child of its own; gives its status as of waitpid(2). */
static int in_child(struct driver *d, const char *store, const struct walk_op *op,
		    enum walk_mode mode, bool reboots, child_fn *fn, void *ctx)
{
	struct walk w;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		us_panic("fork");
	if (pid == 0) {
		setenv("US_BOOT_ID", reboots ? WALK_BOOT_B : WALK_BOOT_A, 1);
		log_set_file(d->log);
		walk_init(d, &w, store);
		w.mode = mode;
		w.rebooted = reboots;
		fn(&w, op, ctx);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return status;
}

static void make_world(struct walk *w, const struct walk_op *op UNUSED, void *ctx UNUSED)
{
	walk_make_directories(w);
	walk_open(w);
	walk_make_world(w);
	store_close(&w->store);
}

static void prepare(struct walk *w, const struct walk_op *op, void *ctx UNUSED)
{
	op->prepare(w);
}

static void note_begin(struct walk *w, const struct walk_op *op UNUSED, void *ctx UNUSED)
{
	walk_open(w);
	for (size_t i = 0; store_partition_at(w->store, i); i++)
		assert_int_equal(partition_recover(store_partition_at(w->store, i), NULL), 0);
	walk_settle(w);
	w->shared->acked = 0;
	w->shared->heard_len = 0;
	walk_note_state(w, 0);
	store_close(&w->store);
}

/* What the dead one began with, and what he wanted. */
static void note_before_death(struct walk *w, const struct walk_op *op UNUSED, void *ctx UNUSED)
{
	struct us_err err;

	walk_open(w);
	walk_note_state(w, WALK_ALWAYS);
	assert_ok(walk_apply(w, &err), &err);
	walk_note_state(w, WALK_ALWAYS);
	store_close(&w->store);
}

static void run_reference(struct walk *w, const struct walk_op *op, void *ctx UNUSED)
{
	struct us_err err = {0};

	if (!(op->flags & WALK_OPENS))
		walk_open(w);
	assert_ok(op->run(w, &err), &err);
	store_close(&w->store);
}

struct disturbance {
	const char *point;
	unsigned action;
	unsigned hit; /* 0: the first */
	bool used;    /* it was survived, and the store used further */
};

static void look_at_damage(struct walk *w)
{
	for (size_t i = 0; store_partition_at(w->store, i); i++)
		w->shared->poisoned |= partition_is_poisoned(store_partition_at(w->store, i)) << i;
}

/* Do it with the point armed; if that is survived, what can be done next? */
static void run_disturbed(struct walk *w, const struct walk_op *op, void *ctx)
{
	struct disturbance *x = ctx;
	struct walk_shared *s = w->shared;
	struct us_err err = {0};
	int rc;

	if (!(op->flags & WALK_OPENS))
		walk_open(w);
	if (x->action == ACTION_REFUSE) {
		s->refuse_at = (int)x->hit + 1;
	} else if (x->point) {
		snprintf(s->page.name, sizeof(s->page.name), "%s", x->point);
		s->page.countdown = (int)x->hit;
		s->page.action = x->action;
	} else {
		s->page.recording = 1;
	}
	failpoint_use(&s->page);
	rc = op->run(w, &err);
	failpoint_use(NULL);
	s->failed = rc < 0;
	s->code = rc;
	snprintf(s->text, sizeof(s->text), "%s", rc < 0 ? err.text : "");
	if (!w->store)
		return;
	w->mode = WALK_SILENT;
	look_at_damage(w);
	if (x->point && !(op->flags & WALK_OPENS)) {
		s->after = walk_go_on(w, op, &err);
		snprintf(s->after_text, sizeof(s->after_text), "%s", s->after < 0 ? err.text : "");
	}
	store_close(&w->store);
}

static void verify(struct walk *w, const struct walk_op *op, void *ctx)
{
	struct disturbance *x = ctx;

	walk_verify(w, op, x->used);
}

/* ---- complaints --------------------------------------------------------------------------------------- */

static void say(struct driver *d, const struct walk_op *op, const struct disturbance *x,
		const char *text)
{
	d->bad++;
	printf("FAIL %s", op->name);
	if (x)
		printf(":%s:%s:%u", x->point ? x->point : "-", action_names[x->action], x->hit);
	printf(": %s\n", text);
	fflush(stdout);
}

static void say_status(struct driver *d, const struct walk_op *op, const struct disturbance *x,
		       const char *who, int status)
{
	char text[400];

	snprintf(text, sizeof(text), "%s ended with %s %d: %.200s", who,
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), d->shared->text);
	say(d, op, x, text);
}

static void start_over(struct driver *d)
{
	struct walk_shared *s = d->shared;

	failpoint_page_init(&s->page);
	s->acked = s->announced = s->refuse_at = s->failed = s->code = s->after = s->poisoned = 0;
	s->text[0] = s->after_text[0] = '\0';
	s->heard_len = s->complaints_len = 0;
	s->heard[0] = s->complaints[0] = '\0';
}

/* ---- one disturbed run ----------------------------------------------------------------------------------- */

static bool is_sync(const char *point)
{
	return strstr(point, "sync") != NULL;
}

/* What an operation that was refused may say. */
static bool fits(const struct disturbance *x, int code)
{
	if (x->action == FAILPOINT_ENOSPC && code == US_ENOSPC)
		return true;
	if (x->action == FAILPOINT_ENOSPC && !is_sync(x->point) &&
	    strncmp(x->point, "meta.", 5) != 0)
		return false;
	return code == US_EIO;
}

static void check_survivor(struct driver *d, const struct walk_op *op, const struct disturbance *x)
{
	struct walk_shared *s = d->shared;
	bool metadata = strncmp(x->point, "meta.", 5) == 0;

	if (s->failed && !fits(x, s->code)) {
		char text[300];
		snprintf(text, sizeof(text), "it failed with %d: %.200s", s->code, s->text);
		say(d, op, x, text);
	}
	/* An engine that failed says no to everything; so does a poisoned partition. Anything else goes on. */
	if (s->after < 0 && !(s->after == US_EIO && (metadata || s->poisoned & 1))) {
		char text[300];
		snprintf(text, sizeof(text), "then nothing works: %d: %.200s", s->after,
			 s->after_text);
		say(d, op, x, text);
	}
	if (s->after == 0 && s->poisoned & 1)
		say(d, op, x, "a poisoned partition takes mail");
}

static bool died_as_told(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void disturb(struct driver *d, const struct walk_op *op, struct disturbance *x, bool reboots)
{
	struct walk_shared *s = d->shared;
	bool deadly = x->action == FAILPOINT_KILL || x->action == FAILPOINT_TORN;
	int status;

	d->runs++;
	(void)unlink(d->log); /* the last run's */
	copy_store(d, "op", "run");
	start_over(d);
	status = in_child(d, "run", op, WALK_DISTURB, op->flags & WALK_REBOOTS, run_disturbed, x);
	if (deadly ? !died_as_told(status) : status != 0)
		say_status(d, op, x, "it", status);
	else if (x->action != ACTION_REFUSE && s->page.fired != 1)
		say(d, op, x, "the reference run passed this point, this one did not");
	if (x->action == ACTION_REFUSE) {
		if (!s->failed || s->code != US_EIO)
			say(d, op, x, "the observer refused, and it was done");
	} else if (!deadly) {
		check_survivor(d, op, x);
	}
	x->used = !deadly && s->after == 0 && !(op->flags & WALK_OPENS);
	status =
		in_child(d, "run", op, WALK_SILENT, reboots || op->flags & WALK_REBOOTS, verify, x);
	if (status != 0)
		say_status(d, op, x, "the look at what is left", status);
	if (s->complaints_len) {
		say(d, op, x, s->complaints);
		printf("     it said: %s\n", s->text);
	}
}

/* ---- one point --------------------------------------------------------------------------------------------- */

static bool is_write(const char *point)
{
	return strstr(point, "write") || strstr(point, "append") || strstr(point, "blot");
}

/* Opening and closing write pages of tables, not only the log: those are of the size a disk writes whole or not at all,
 * which Berkeley DB relies on (server/store/meta/bdb.c). */
static bool is_page(const struct walk_op *op, const char *point)
{
	return op->flags & WALK_OPENS && strcmp(point, "meta.db.write") == 0;
}

static bool wanted(const struct driver *d, unsigned part, const char *value)
{
	return !d->only_part[part] || strcmp(d->only_part[part], value) == 0;
}

static void disturb_at(struct driver *d, const struct walk_op *op, const char *point,
		       unsigned action, unsigned hit)
{
	struct disturbance x = {point, action, hit, false};
	bool reboots = d->runs % 2;
	char number[16];

	snprintf(number, sizeof(number), "%u", hit);
	if (!wanted(d, 2, action_names[action]) || !wanted(d, 3, number))
		return;
	disturb(d, op, &x, reboots);
	if (d->is_long)
		disturb(d, op, &x, !reboots);
}

static void walk_point(struct driver *d, const struct walk_op *op, const char *point, unsigned hits)
{
	for (unsigned action = FAILPOINT_KILL; action <= FAILPOINT_EIO; action++) {
		if (action == FAILPOINT_TORN && (!is_write(point) || is_page(op, point)))
			continue; /* is the same as dying */
		if (!d->is_long && action == (is_sync(point) ? FAILPOINT_ENOSPC : FAILPOINT_EIO))
			continue;
		if (d->is_long) {
			unsigned step = hits > MOST_HITS ? hits / MOST_HITS : 1;
			for (unsigned hit = 0; hit < hits; hit += step)
				disturb_at(d, op, point, action, hit);
		} else {
			disturb_at(d, op, point, action, 0);
			if (hits > 1 && action == FAILPOINT_KILL)
				disturb_at(d, op, point, action, hits / 2);
		}
	}
}

/* ---- one operation -------------------------------------------------------------------------------------------- */

static unsigned hits_of(const struct failpoint_page *page, const char *point)
{
	for (size_t i = 0; i < FAILPOINT_HITS && page->hit[i].name[0]; i++)
		if (strcmp(page->hit[i].name, point) == 0)
			return page->hit[i].hits;
	return 0;
}

static void add_hits(struct failpoint_page *all, const char *point, unsigned hits)
{
	for (size_t i = 0; i < FAILPOINT_HITS; i++) {
		if (!all->hit[i].name[0])
			snprintf(all->hit[i].name, sizeof(all->hit[i].name), "%s", point);
		if (strcmp(all->hit[i].name, point) == 0) {
			all->hit[i].hits += hits;
			return;
		}
	}
}

static size_t distinct_states(const struct walk_shared *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_states; i++) {
		size_t k = 0;
		if (s->state[i].step == WALK_ALWAYS)
			continue;
		while (k < i && (s->state[k].len != s->state[i].len ||
				 memcmp(s->pool + s->state[k].at, s->pool + s->state[i].at,
					s->state[i].len) != 0))
			k++;
		n += k == i;
	}
	return n;
}

/* Undisturbed: which states, and which points with how many hits (left in *passed). */
static bool learn(struct driver *d, const struct walk_op *op, struct failpoint_page *passed)
{
	struct walk_shared *s = d->shared;
	struct disturbance none = {NULL, FAILPOINT_OFF, 0, false};
	char text[100];
	unsigned before = d->bad;
	int status;

	start_over(d);
	s->n_states = s->pool_used = 0;
	copy_store(d, "op", "run");
	if (!(op->flags & WALK_DAMAGED)) {
		status = in_child(d, "run", op, WALK_SILENT, op->flags & WALK_REBOOTS, note_begin,
				  NULL);
		if (status != 0)
			say_status(d, op, NULL, "the look at its beginning", status);
	}
	if (op->flags & WALK_UNSURE) {
		copy_store(d, "world", "run");
		status = in_child(d, "run", op, WALK_SILENT, false, note_before_death, NULL);
		if (status != 0)
			say_status(d, op, NULL, "the look at the world", status);
	}
	start_over(d);
	copy_store(d, "op", "run");
	status = in_child(d, "run", op, WALK_RECORD, op->flags & WALK_REBOOTS, run_reference, NULL);
	if (status != 0)
		say_status(d, op, NULL, "the reference run", status);
	memcpy(s->ref_heard, s->heard, sizeof(s->heard));
	if (s->complaints_len && !(op->flags & WALK_DAMAGED))
		say(d, op, NULL, s->complaints);
	snprintf(text, sizeof(text), "it goes through %zu states, not %zu", distinct_states(s),
		 op->n_states);
	if (distinct_states(s) != op->n_states)
		say(d, op, NULL, text);
	start_over(d);
	copy_store(d, "op", "run");
	status =
		in_child(d, "run", op, WALK_SILENT, op->flags & WALK_REBOOTS, run_disturbed, &none);
	if (status != 0 || s->failed)
		say_status(d, op, NULL, "the recording run", status);
	*passed = s->page;
	return d->bad == before;
}

static void check_must(struct driver *d, const struct walk_op *op,
		       const struct failpoint_page *passed)
{
	struct span rest = span_of(op->must), word;

	while (span_word(&rest, &word)) {
		char *point = span_dup(word), text[120];
		snprintf(text, sizeof(text), "it does not pass %s", point);
		if (!hits_of(passed, point))
			say(d, op, NULL, text);
		free(point);
	}
}

static void refuse_announcements(struct driver *d, const struct walk_op *op)
{
	int n = d->shared->announced;

	for (int i = 0; i < n; i++) {
		struct disturbance x = {"observer", ACTION_REFUSE, (unsigned)i, false};
		if (wanted(d, 1, "observer"))
			disturb(d, op, &x, false);
	}
}

static void walk_operation(struct driver *d, const struct walk_op *op)
{
	struct failpoint_page passed;
	time_t began = time(NULL);
	unsigned runs = d->runs;

	copy_store(d, "world", "op");
	start_over(d);
	if (op->prepare &&
	    in_child(d, "op", op, WALK_SILENT, /* reboots */ false, prepare, NULL) != 0) {
		say(d, op, NULL, "it could not be prepared");
		return;
	}
	if (!learn(d, op, &passed))
		return;
	check_must(d, op, &passed);
	for (size_t i = 0; i < FAILPOINT_HITS && passed.hit[i].name[0]; i++)
		add_hits(d->passed, passed.hit[i].name, passed.hit[i].hits);
	refuse_announcements(d, op);
	for (size_t i = 0; i < FAILPOINT_HITS && passed.hit[i].name[0]; i++)
		if (wanted(d, 1, passed.hit[i].name))
			walk_point(d, op, passed.hit[i].name, passed.hit[i].hits);
	printf("%-24s %4u runs %4ld s\n", op->name, d->runs - runs, (long)(time(NULL) - began));
	fflush(stdout);
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static const char *excuse(const char *point)
{
	for (size_t i = 0; i < ARRAY_SIZE(unreachable); i++)
		if (fnmatch(unreachable[i].point, point, 0) == 0)
			return unreachable[i].reason;
	return NULL;
}

static void check_listed(const char *point, void *ctx)
{
	struct driver *d = ctx;
	unsigned hits = hits_of(d->passed, point);

	if (!hits && !excuse(point)) {
		printf("FAIL no operation passes %s\n", point);
		d->bad++;
	} else if (hits && excuse(point)) {
		printf("FAIL %s is passed, so it is not unreachable\n", point);
		d->bad++;
	}
}

static void read_only_parts(struct driver *d)
{
	const char *only = getenv("US_WALK_ONLY");
	char *at = d->only;

	if (!only || !*only)
		return;
	snprintf(d->only, sizeof(d->only), "%s", only);
	for (size_t i = 0; i < ARRAY_SIZE(d->only_part) && at; i++) {
		d->only_part[i] = at;
		at = strchr(at, ':');
		if (at)
			*at++ = '\0';
	}
}

static void driver_init(struct driver *d)
{
	const char *form = getenv("US_WALK"), *dir = getenv("US_WALK_DIR");

	memset(d, 0, sizeof(*d));
	d->is_long = form && strcmp(form, "long") == 0;
	read_only_parts(d);
	if (!dir)
		dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	if (snprintf(d->base, sizeof(d->base), "%s/us-walk-XXXXXX", dir) >= (int)sizeof(d->base) ||
	    !mkdtemp(d->base))
		us_panic("no directory below %s", dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->base);
	d->shared = mmap(NULL, sizeof(*d->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->shared == MAP_FAILED)
		us_panic("mmap");
	d->passed = us_calloc(1, sizeof(*d->passed));
}

static void remove_all(struct driver *d)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", d->base);
	if (system(command) != 0)
		us_panic("%s", command);
}

int main(void)
{
	struct driver d;
	int status;

	driver_init(&d);
	start_over(&d);
	status = in_child(&d, "world", NULL, WALK_SILENT, false, make_world, NULL);
	if (status != 0)
		us_panic("the world could not be made: see %s", d.log);
	for (size_t i = 0; i < walk_n_ops; i++)
		if (wanted(&d, 0, walk_ops[i].name))
			walk_operation(&d, &walk_ops[i]);
	if (!d.only_part[0])
		failpoint_list(check_listed, &d);
	printf("%u runs, %u bad\n", d.runs, d.bad);
	if (!d.bad || !getenv("US_WALK_KEEP"))
		remove_all(&d);
	munmap(d.shared, sizeof(*d.shared));
	free(d.passed);
	return d.bad ? 1 : 0;
}
