/* instance.c - see instance.h. */
#include "server/master/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/child.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/master/kin.h"
#include "server/master/master_private.h"
#include "server/master/programs.h"
#include "server/master/spawn.h"

#define MOST_SURVIVORS_TEXT 120000 /* an environment string may have 128 KiB */
#define RETRY_MS            2000
#define UNIX_SOCKET_MODE    0777 /* who may connect is for the directory, and the service, to decide */

/* ---- coming and going ------------------------------------------------------------------------- */

static void refuse(struct instance *in)
{
	char text[512];

	in->refused = true;
	snprintf(text, sizeof(text), "unable to create %s listener socket: %s", in->entry.name,
		 in->listener.err.text);
	log_event(LOG_ERR, "master.listen.failed", LF_TEXT(text), LF_STR("service", in->entry.name),
		  LF_STR("address", in->listener.text));
}

/* A port needs root; a path is in a directory of the user's, where root had better follow no links. */
static void try_listener(struct master *m, struct instance *in)
{
	bool is_port = in->listener.address.any.sa_family != AF_UNIX;

	if (is_port)
		master_step_up(m);
	(void)listener_open(&in->listener, in->type, m->opt.backlog, m->tos, UNIX_SOCKET_MODE);
	if (is_port)
		master_step_down(m);
}

/* `alone`: the entry has no other address; otherwise one of a family this machine lacks is passed over. */
static void open_listener(struct master *m, struct instance *in, bool alone)
{
	try_listener(m, in);
	in->refused = false;
	in->retry_until_ms = 0;
	if (in->listener.fd >= 0 || (in->listener.family_missing && !alone))
		return;
	if (in->listener.in_use)
		in->retry_until_ms = master_now_ms() + RETRY_MS;
	else
		refuse(in);
}

bool instance_retries(const struct instance *in)
{
	return in->retry_until_ms != 0 && !in->removed;
}

void instance_retry(struct master *m, struct instance *in)
{
	if (!instance_retries(in))
		return;
	try_listener(m, in);
	if (in->listener.fd < 0 && master_now_ms() < in->retry_until_ms)
		return;
	in->retry_until_ms = 0;
	if (in->listener.fd < 0)
		refuse(in);
}

static void find_program(struct instance *in)
{
	struct us_err err;
	char text[256];

	free(in->program);
	in->program = NULL;
	if (programs_find(in->entry.argv[0], &in->program, &err) == 0)
		return;
	snprintf(text, sizeof(text), "cannot find executable for service '%s'", in->entry.name);
	log_event(LOG_ERR, "master.program.missing", LF_TEXT(text),
		  LF_STR("service", in->entry.name), LF_ERR(&err));
}

static bool is_id_taken(const struct master *m, const char *name, int id)
{
	for (size_t i = 0; i < m->instances.n; i++) {
		const struct instance *in = m->instances.items[i];
		if (in->id == id && strcmp(in->entry.name, name) == 0)
			return true;
	}
	return false;
}

static int status_pipe(struct instance *in)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	/* Only our end: a child's write must not fail because we are slow. */
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	in->status_read = ends[0];
	in->status_write = ends[1];
	return 0;
}

static void free_instance(struct instance *in)
{
	listener_close(&in->listener);
	io_close(&in->status_read);
	io_close(&in->status_write);
	entry_fini(&in->entry);
	free(in->program);
	free(in);
}

static struct instance *new_instance(struct master *m, const struct entry *e, int type,
				     const struct listener *l)
{
	struct instance *in = us_calloc(1, sizeof(*in));

	in->entry = entry_copy(e);
	in->type = type;
	in->listener = *l;
	in->status_read = in->status_write = -1;
	in->kept = true;
	while (is_id_taken(m, e->name, in->id))
		in->id++;
	if (status_pipe(in) < 0) {
		us_fail_errno(&in->listener.err, "status pipe");
		refuse(in);
		free_instance(in);
		return NULL;
	}
	us_grow(&m->instances.items, m->instances.n, &m->instances.cap,
		sizeof(*m->instances.items));
	m->instances.items[m->instances.n++] = in;
	return in;
}

static struct instance *find_address(struct master *m, const struct entry *e, int type,
				     const struct listener *l)
{
	for (size_t i = 0; i < m->instances.n; i++) {
		struct instance *in = m->instances.items[i];
		if (!in->removed && in->type == type && strcmp(in->entry.name, e->name) == 0 &&
		    strcmp(in->listener.text, l->text) == 0)
			return in;
	}
	return NULL;
}

/* Take over what the entry says now. */
static void update(struct instance *in, const struct entry *e)
{
	bool other = strcmp(in->entry.cmd, e->cmd) != 0;

	entry_fini(&in->entry);
	in->entry = entry_copy(e);
	in->kept = true;
	account_renew(&in->account, other, master_now_ms());
}

/* The instance of one address, as the entry has it now; NULL: there is no descriptor left for it. */
static struct instance *set_address(struct master *m, const struct entry *e, int type,
				    const struct listener *l)
{
	struct instance *in = find_address(m, e, type, l);

	if (in)
		update(in, e);
	else
		in = new_instance(m, e, type, l);
	if (in)
		find_program(in);
	return in;
}

static bool keep_as_it_was(struct master *m, const char *name)
{
	bool was = false;

	for (size_t i = 0; i < m->instances.n; i++) {
		struct instance *in = m->instances.items[i];
		if (!in->removed && strcmp(in->entry.name, name) == 0)
			was = in->kept = true;
	}
	return was;
}

bool instance_set_entry(struct master *m, const struct entry *e)
{
	struct listener *list = NULL;
	struct us_err err;
	size_t n = 0;
	int type;

	if (entry_resolve(e, &list, &n, &type, &err) < 0) {
		log_event(LOG_ERR, "master.listen.bad",
			  LF_TEXT(keep_as_it_was(m, e->name)
					  ? "bad listen value: the service stays as it was"
					  : "service disabled: bad listen value"),
			  LF_STR("service", e->name), LF_ERR(&err));
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		struct instance *in = set_address(m, e, type, &list[i]);
		if (in && in->listener.fd < 0)
			open_listener(m, in, /* alone */ n == 1);
	}
	free(list);
	return true;
}

void instance_retire(struct instance *in)
{
	listener_close(&in->listener);
	in->removed = true;
}

void instance_sweep(struct master *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->instances.n; i++) {
		struct instance *in = m->instances.items[i];
		if (in->removed && in->account.active == 0 && in->account.survivors == 0)
			free_instance(in);
		else
			m->instances.items[kept++] = in;
	}
	m->instances.n = kept;
}

void instance_free_all(struct master *m)
{
	for (size_t i = 0; i < m->instances.n; i++)
		free_instance(m->instances.items[i]);
	free(m->instances.items);
	m->instances = (struct instances){NULL, 0, 0};
}

/* ---- starting --------------------------------------------------------------------------------- */

/* The pids of the connections that live on from earlier processes, for the next process to count. */
static void list_survivors(const struct master *m, const struct instance *in, struct buf *out)
{
	for (size_t i = 0; i < m->procs.n && out->len < MOST_SURVIVORS_TEXT; i++) {
		const struct proc *p = &m->procs.items[i];
		if (p->kind == PROC_SURVIVOR && p->instance == in)
			buf_printf(out, "%s%d", out->len ? "," : "", (int)p->pid);
	}
}

static void start_one(struct master *m, struct instance *in, int64_t now_ms)
{
	struct us_err err;
	struct buf survivors;
	struct spawn what = {.path = in->program,
			     .argv = in->entry.argv,
			     .user = m->as_root ? &m->user : NULL,
			     .status_fd = in->status_write,
			     .listen_fd = in->listener.fd,
			     .maxfds = in->entry.maxfds,
			     .service = in->entry.name,
			     .id = in->id,
			     .unclean = m->unclean,
			     .counts = in->type == SOCK_STREAM,
			     .maxchild = in->entry.rules.maxchild,
			     .maxforkrate = in->entry.rules.maxforkrate};
	struct proc *p;
	pid_t pid;

	buf_init(&survivors, 0);
	list_survivors(m, in, &survivors);
	if (survivors.len)
		what.survivors = survivors.data;
	pid = spawn_program(&what, &err);
	buf_free(&survivors);
	if (pid < 0) {
		log_event(LOG_ERR, "master.fork.failed", LF_STR("service", in->entry.name),
			  LF_ERR(&err));
		throttle_note(&in->account.pace, now_ms);
		return;
	}
	p = proctable_add(&m->procs, pid, PROC_SERVICE, in->entry.name, in->program, now_ms);
	p->instance = in;
	account_forked(&in->account, now_ms);
}

void instance_start_wanted(struct master *m, struct instance *in, int64_t now_ms)
{
	unsigned n;
	char text[256];

	if (in->listener.fd < 0 || !in->program)
		return;
	n = account_shortfall(&in->account, &in->entry.rules, in->knocking, now_ms);
	in->knocking = false;
	if (n && in->account.lost_all && in->entry.rules.babysit) {
		snprintf(text, sizeof(text),
			 "lost all children for service: %s. Applying babysitter.", in->entry.name);
		log_event(LOG_WARNING, "master.babysitter", LF_TEXT(text));
	}
	for (; n; n--)
		start_one(m, in, now_ms);
}

/* ---- what its processes say ------------------------------------------------------------------- */

/* One process of ours is enough: a second one, started before the first had said what it is, may go. */
static void keep_one(struct master *m, struct proc *p)
{
	p->forking = true;
	for (size_t i = 0; i < m->procs.n; i++) {
		const struct proc *other = &m->procs.items[i];
		if (other != p && other->instance == p->instance && other->forking &&
		    !other->told_to_go) {
			p->told_to_go = true;
			(void)kill(p->pid,
				   SIGHUP); /* it is not waited for yet, so the pid is its */
			return;
		}
	}
}

static void take_message(struct master *m, struct instance *in, const struct child_message *msg)
{
	struct proc *p = proctable_find(&m->procs, msg->pid);
	bool known;

	if (!p || p->instance != in) {
		log_event(LOG_WARNING, "master.message.stranger",
			  LF_TEXT("message from a process that is not, or long dead"),
			  LF_STR("service", in->entry.name), LF_NUM("pid", msg->pid));
		return;
	}
	p->state = account_heard(&in->account, p->state, msg->message, &known);
	if (!known)
		log_event(LOG_WARNING, "master.message.unknown", LF_STR("service", in->entry.name),
			  LF_NUM("pid", msg->pid), LF_NUM("message", msg->message));
	if (msg->message == CHILD_FORKING)
		keep_one(m, p);
}

void instance_read_status(struct master *m, struct instance *in)
{
	struct child_message msg;
	ssize_t n;

	for (;;) {
		n = read(in->status_read, &msg, sizeof(msg));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* empty for now; never the end, for we hold the other side too */
		if (n == sizeof(msg))
			take_message(m, in, &msg);
		else
			log_event(LOG_WARNING, "master.message.short",
				  LF_STR("service", in->entry.name), LF_NUM("bytes", n));
	}
}

/* ---- deaths ----------------------------------------------------------------------------------- */

static void judge(struct instance *in, enum account_verdict verdict)
{
	char text[256];

	switch (verdict) {
	case ACCOUNT_GOES_ON:
		break;
	case ACCOUNT_SWITCHED_OFF:
		snprintf(text, sizeof(text),
			 "too many failures for service %s, disabling until next SIGHUP",
			 in->entry.name);
		log_event(LOG_ERR, "master.service.disabled", LF_TEXT(text));
		listener_close(&in->listener);
		break;
	case ACCOUNT_RESTS:
		snprintf(text, sizeof(text), "too many failures for service %s, resting",
			 in->entry.name);
		log_event(LOG_ERR, "master.service.rests", LF_TEXT(text),
			  LF_NUM("ms", ACCOUNT_PAUSE_MS));
		break;
	}
}

/* A process we told to go before it had its signal handlers died of that, as it should. */
static bool died_as_told(const struct proc *p, int status)
{
	return p->told_to_go && WIFSIGNALED(status) &&
	       (WTERMSIG(status) == SIGHUP || WTERMSIG(status) == SIGTERM);
}

void instance_bury(struct master *m, struct proc *p, int status, int64_t now_ms)
{
	struct instance *in = p->instance;
	const struct account_death death = {
		.state = p->state,
		.failed = child_end_of(status) == CHILD_END_FAILED && !died_as_told(p, status),
		.by_kill = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		.age_ms = now_ms - p->born_ms,
	};
	enum account_verdict verdict;

	if (p->kind == PROC_SURVIVOR) {
		in->account.survivors--;
		return;
	}
	verdict = account_buried(&in->account, &in->entry.rules, &death, now_ms);
	if (m->serving && !in->removed)
		judge(in, verdict);
}

void instance_adopt(struct master *m, struct proc *dead, int64_t now_ms)
{
	struct instance *in = dead->instance;
	const char *path = dead->path;
	pid_t leader = dead->pid, *kin = NULL;
	struct us_err err;
	size_t n = 0;

	if (!dead->forking)
		return; /* what it left behind are not connections */
	if (kin_list(&kin, &n, &err) < 0) {
		log_event(LOG_ERR, "master.kin.unknown", LF_ERR(&err));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct proc *p;

		if (kin[i] == leader || getpgid(kin[i]) != leader ||
		    proctable_find(&m->procs, kin[i]))
			continue;
		p = proctable_add(&m->procs, kin[i], PROC_SURVIVOR, in->entry.name, path,
				  now_ms); /* `dead` is no longer valid */
		p->instance = in;
		in->account.survivors++;
	}
	free(kin);
}
