/* channel.c - see channel.h. */
#include "channels/channel.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define MAGIC     "USCHN1\r\n"
#define VERSION   1
#define PAGE_SIZE 4096

struct channel_page {
	char magic[8];
	uint64_t version;
	uint64_t generation;
	uint64_t taken_generation, taken_offset;
	uint64_t confirmed_generation, confirmed_offset;
	uint64_t state, since_ns, pid, lines_waiting, oldest_ns, last_success_ns, last_error_ns,
		last_error;
	uint64_t users_aside, octets_sent, octets_received, connections, lag_ns, worst_lag_ns;
	char reserved[88];
	char error_text[256];
};
static_assert(offsetof(struct channel_page, state) == 56 &&
		      offsetof(struct channel_page, users_aside) == 120 &&
		      offsetof(struct channel_page, worst_lag_ns) == 160 &&
		      offsetof(struct channel_page, error_text) == 256,
	      "doc/FORMATS.md 11");

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* The page is all volatile: one that is damaged or of another version is simply begun anew, in place, so that whoever
 * has it mapped goes on with it. */
static int map_page(struct channel *ch, struct us_err *err)
{
	char *path = us_asprintf("%s/state", ch->dir);
	void *map = MAP_FAILED;
	int fd = -1, rc;

	rc = io_open(FP("channels.state.open"), AT_FDCWD, path, O_RDWR | O_CREAT, 0640, &fd, err);
	if (rc == 0 && ftruncate(fd, PAGE_SIZE) < 0)
		rc = us_fail_errno(err, "set the length of %s", path);
	if (rc == 0)
		map = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rc == 0 && map == MAP_FAILED)
		rc = us_fail_errno(err, "map %s", path);
	io_close(&fd);
	free(path);
	if (rc < 0)
		return rc;
	ch->page = map;
	if (memcmp(ch->page->magic, MAGIC, 8) != 0 || ch->page->version != VERSION) {
		memset(ch->page, 0, sizeof(*ch->page));
		ch->page->version = VERSION;
		memcpy(ch->page->magic, MAGIC, 8);
	}
	return 0;
}

int channel_open(const char *configdirectory, const char *name, struct channel **out,
		 struct us_err *err)
{
	struct channel *ch = us_calloc(1, sizeof(*ch));
	int rc;

	ch->name = us_strdup(name);
	ch->dir = us_asprintf("%s/sync%s%s", configdirectory, *name ? "/" : "", name);
	rc = io_mkdirs(FP("channels.mkdir"), ch->dir, err);
	if (rc == 0)
		rc = map_page(ch, err);
	if (rc < 0) {
		us_err_prefix(err, "channel \"%s\"", name);
		channel_close(&ch);
		return rc;
	}
	ch->writer = synclog_writer_new(ch->dir, &ch->page->generation);
	*out = ch;
	return 0;
}

void channel_close(struct channel **channel)
{
	struct channel *ch = *channel;

	if (!ch)
		return;
	synclog_writer_free(&ch->writer);
	if (ch->page)
		munmap(ch->page, PAGE_SIZE);
	free(ch->name);
	free(ch->dir);
	free(ch);
	*channel = NULL;
}

uint64_t *channel_generation(struct channel *ch)
{
	return &ch->page->generation;
}

/* ---- states ------------------------------------------------------------------------------------ */

#define ALWAYS (1u << CHANNEL_PAUSED | 1u << CHANNEL_REFUSED | 1u << CHANNEL_IDLE)

static const uint16_t lawful[CHANNEL_STATES] = {
	/* from -> set of next */
	[CHANNEL_IDLE] = ALWAYS | 1u << CHANNEL_CONNECTING,
	[CHANNEL_CONNECTING] = ALWAYS | 1u << CHANNEL_LIVE | 1u << CHANNEL_CATCHING_UP |
			       1u << CHANNEL_COLLAPSED | 1u << CHANNEL_BACKING_OFF,
	[CHANNEL_LIVE] = ALWAYS | 1u << CHANNEL_CATCHING_UP | 1u << CHANNEL_COLLAPSED |
			 1u << CHANNEL_CONNECTING | 1u << CHANNEL_BACKING_OFF,
	[CHANNEL_CATCHING_UP] = ALWAYS | 1u << CHANNEL_LIVE | 1u << CHANNEL_COLLAPSED |
				1u << CHANNEL_CONNECTING | 1u << CHANNEL_BACKING_OFF,
	[CHANNEL_COLLAPSED] = ALWAYS | 1u << CHANNEL_LIVE | 1u << CHANNEL_CATCHING_UP |
			      1u << CHANNEL_CONNECTING | 1u << CHANNEL_BACKING_OFF,
	[CHANNEL_PAUSED] = ALWAYS | 1u << CHANNEL_CONNECTING,
	[CHANNEL_REFUSED] = ALWAYS | 1u << CHANNEL_CONNECTING | 1u << CHANNEL_BACKING_OFF,
	[CHANNEL_BACKING_OFF] = ALWAYS | 1u << CHANNEL_CONNECTING,
};

const char *channel_state_name(enum channel_state state)
{
	static const char *const names[CHANNEL_STATES] = {
		"idle",      "connecting", "live",    "catching-up",
		"collapsed", "paused",     "refused", "backing-off",
	};

	return names[state];
}

enum channel_state channel_state(const struct channel *ch)
{
	uint64_t state = load(&ch->page->state);

	return state < CHANNEL_STATES ? (enum channel_state)state : CHANNEL_IDLE;
}

void channel_enter(struct channel *ch, enum channel_state next)
{
	enum channel_state from = channel_state(ch);

	if (from == next)
		return;
	us_assert(lawful[from] & 1u << next);
	store(&ch->page->since_ns, now_ns());
	store(&ch->page->state, next);
	log_event(LOG_INFO, "channel.state.changed", LF_STR("channel", ch->name),
		  LF_STR("from", channel_state_name(from)), LF_STR("to", channel_state_name(next)));
}

/* ---- figures ----------------------------------------------------------------------------------- */

void channel_figures(const struct channel *ch, struct channel_figures *out)
{
	const struct channel_page *p = ch->page;

	*out = (struct channel_figures){
		.state = channel_state(ch),
		.since_ns = (int64_t)load(&p->since_ns),
		.pid = load(&p->pid),
		.lines_waiting = load(&p->lines_waiting),
		.backlog_bytes = synclog_backlog(ch->dir),
		.oldest_ns = (int64_t)load(&p->oldest_ns),
		.last_success_ns = (int64_t)load(&p->last_success_ns),
		.last_error_ns = (int64_t)load(&p->last_error_ns),
		.last_error = -(int)load(&p->last_error),
		.users_aside = load(&p->users_aside),
		.octets_sent = load(&p->octets_sent),
		.octets_received = load(&p->octets_received),
		.connections = load(&p->connections),
		.lag_ns = (int64_t)load(&p->lag_ns),
		.worst_lag_ns = (int64_t)load(&p->worst_lag_ns),
		.taken = {load(&p->taken_generation), load(&p->taken_offset)},
		.confirmed = {load(&p->confirmed_generation), load(&p->confirmed_offset)},
	};
	memcpy(out->error_text, p->error_text, sizeof(out->error_text) - 1);
}

void channel_note_client(struct channel *ch, uint64_t pid)
{
	store(&ch->page->pid, pid);
	store(&ch->page->worst_lag_ns, 0);
}

void channel_note_connection(struct channel *ch)
{
	__atomic_add_fetch(&ch->page->connections, 1, __ATOMIC_RELAXED);
}

void channel_note_octets(struct channel *ch, uint64_t sent, uint64_t received)
{
	__atomic_add_fetch(&ch->page->octets_sent, sent, __ATOMIC_RELAXED);
	__atomic_add_fetch(&ch->page->octets_received, received, __ATOMIC_RELAXED);
}

void channel_note_taken(struct channel *ch, const struct synclog_position *end, uint64_t lines,
			int64_t oldest_ns)
{
	if (end) {
		store(&ch->page->taken_generation, end->generation);
		store(&ch->page->taken_offset, end->offset);
	}
	store(&ch->page->lines_waiting, lines);
	store(&ch->page->oldest_ns, (uint64_t)oldest_ns);
}

void channel_note_lines(struct channel *ch, uint64_t lines_waiting)
{
	store(&ch->page->lines_waiting, lines_waiting);
}

void channel_note_confirmed(struct channel *ch, const struct synclog_position *end,
			    int64_t oldest_ns)
{
	uint64_t now = now_ns(), lag = oldest_ns > 0 ? now - (uint64_t)oldest_ns : 0;

	if (end) {
		store(&ch->page->confirmed_generation, end->generation);
		store(&ch->page->confirmed_offset, end->offset);
	}
	store(&ch->page->lines_waiting, 0);
	store(&ch->page->oldest_ns, 0);
	store(&ch->page->last_success_ns, now);
	store(&ch->page->lag_ns, lag);
	if (lag > load(&ch->page->worst_lag_ns))
		store(&ch->page->worst_lag_ns, lag);
}

void channel_note_error(struct channel *ch, const struct us_err *err)
{
	snprintf(ch->page->error_text, sizeof(ch->page->error_text), "%s", err->text);
	store(&ch->page->last_error, (uint64_t)-err->code);
	store(&ch->page->last_error_ns, now_ns());
}

void channel_note_aside(struct channel *ch, uint64_t users)
{
	store(&ch->page->users_aside, users);
}
