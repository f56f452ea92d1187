/* power_load.c - several writers on one store, each telling what he is about to do and what he was told is done.
 *
 *	power_load run ROOT ROOT2 CUT EPOCH WORKERS SEED	until killed
 *	power_load show ROOT ROOT2				everything that is there
 *
 * conf and spool are below ROOT, spool2 below ROOT2, which may be another file system. CUT is a file of one byte, mapped:
 * whoever is about to cut the power first makes it something else than 0, and from then on nobody says that anything was
 * done. What is said before therefore was durable before.
 *
 * Lines, on a pipe, each written at once:
 *
 *	? WORKER KEY=VALUE...	about to be done: may be so from here on
 *	+ WORKER KEY=VALUE...	done; KEY~VALUE: if nothing is known of KEY
 *	- WORKER CODE TEXT	failed: may be so or not
 *
 * Keys are box.ID.name (value "gone": deleted), .acl, .modseq; msg.ID.UID, ann.ID.ENTRY, sub.USER.NAME, seen.USER.ID,
 * quota.ROOT; "guid=G" is a message that may come. test_power_cut.py keeps the ledger.
 *
 * US_TEST_NOSYNC: syncs that do nothing, in writers and in metad, which runs here as well. Words: "fdatasync", "fsync",
 * "syncfs" by any of these calls; "directory", of any; else a part of the paths of the files. That must be noticed.
 */
#include "tests/progs/power/power.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/scan.h"
#include "server/store/meta/server.h"

/* ---- syncs that do nothing ----------------------------------------------------------------------- */

/* "directory", or the path. A partition is synced as a whole by a directory of it, too. */
static void describe(const char *call, int fd, char *out, size_t size)
{
	char link[40];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, size - 1);
	out[n < 0 ? 0 : n] = '\0';
	if (strcmp(call, "syncfs") != 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		snprintf(out, size, "directory");
}

static bool is_off(const char *call, int fd)
{
	const char *words = getenv("US_TEST_NOSYNC");
	struct span rest = span_of(words ? words : ""), word;
	char file[300] = "";

	if (rest.len)
		describe(call, fd, file, sizeof(file));
	while (span_word(&rest, &word))
		if (span_is(word, call) || memmem(file, strlen(file), word.ptr, word.len))
			return true;
	return false;
}

/* In place of the C library's. */
int fdatasync(int fd)
{
	return is_off("fdatasync", fd) ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return is_off("fsync", fd) ? 0 : (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
	return is_off("syncfs", fd) ? 0 : (int)syscall(SYS_syncfs, fd);
}

/* ---- the store ------------------------------------------------------------------------------------ */

static int hear(void *ctx UNUSED, const struct store_change *changes UNUSED, size_t n UNUSED,
		struct us_err *err UNUSED)
{
	return 0;
}

int power_open(const char *root, const char *root2, bool may_own, struct store **out,
	       struct us_err *err)
{
	static const struct store_observer observer = {hear, NULL};
	char *config = us_asprintf("%s/conf", root), *spool = us_asprintf("%s/spool", root),
	     *spool2 = us_asprintf("%s/spool2", root2);
	struct {
		const char *name, *path;
	} partitions[2] = {{"default", spool}, {"p2", spool2}};
	struct store_config c = {.configdirectory = config,
				 .partitions = (void *)partitions,
				 .n_partitions = 2,
				 .defaultpartition = "default",
				 .lock_wait_ms = 20000,
				 .may_own_meta = may_own};
	int rc = store_open_write(&c, &observer, out, err);

	free(config);
	free(spool);
	free(spool2);
	return rc;
}

/* ---- metad ------------------------------------------------------------------------------------------ */

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (const void *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
		us_fatal(1, "listen at %s", path);
	return fd;
}

static void be_metad(const char *root, int listen_fd)
{
	struct engine_config tables = {.directory = us_asprintf("%s/conf/meta", root),
				       .wait_ms = 5000,
				       .backup = {.interval_s = 3600,
						  .rate = 64u << 20,
						  .log_bytes = 1u << 20}};
	struct meta_server_config config = {.listen_fd = listen_fd,
					    .max_request = 64u << 20,
					    .max_clients = 100};
	struct meta_server *server;
	struct us_err err;

	if (engine_open(&tables, &config.engine, &err) < 0 ||
	    meta_server_new(&config, &server, &err) < 0)
		us_fatal(1, "metad: %s", err.text);
	while (engine_tend(config.engine, &err) == 0)
		if (meta_server_turn(server, engine_wait_ms(config.engine, 200), NULL, &err) < 0)
			break;
	_exit(0);
}

static pid_t start_metad(const char *root)
{
	char *sockets = us_asprintf("%s/conf/socket", root), *path;
	int fd;
	pid_t pid;

	(void)mkdir(sockets, 0700);
	path = us_asprintf("%s/metad", sockets);
	fd = listen_at(path);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_metad(root, fd);
	}
	close(fd);
	free(path);
	free(sockets);
	return pid;
}

/* ---- writers ----------------------------------------------------------------------------------------- */

static void say(char what, const struct worker *w, const char *text)
{
	char *line = us_asprintf("%c %u %s\n", what, w->number, text);

	if (write(1, line, strlen(line)) != (ssize_t)strlen(line))
		_exit(0); /* nobody listens any more */
	free(line);
}

void power_wish(const struct worker *w)
{
	say('?', w, w->wish.data);
}

static void work(struct worker *w, const char *root, const char *root2)
{
	struct us_err err;

	if (power_open(root, root2, /* may_own */ false, &w->store, &err) < 0 ||
	    power_begin(w, &err) < 0)
		us_fatal(1, "worker %u: %s", w->number, err.text);
	for (;;) {
		int rc;
		buf_clear(&w->wish);
		buf_clear(&w->done);
		w->count++;
		rc = power_step(w, &err);
		if (*w->cut)
			pause();
		if (rc < 0) {
			char *text = us_asprintf("%d %s", rc, err.text);
			say('-', w, text);
			free(text);
		} else if (w->done.len) {
			say('+', w, w->done.data);
		}
	}
}

static const volatile char *map_cut(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		us_fatal(1, "%s", path);
	close(fd);
	return map;
}

static unsigned number(const char *text)
{
	struct scan s = scan_init(span_of(text));
	unsigned n = scan_u32(&s);

	if (!scan_ok_at_end(&s))
		us_fatal(64, "no number: %s", text);
	return n;
}

static int run(char **argv)
{
	struct worker w = {.cut = map_cut(argv[4]),
			   .epoch = number(argv[5]),
			   .n_workers = number(argv[6])};
	unsigned seed = number(argv[7]);

	start_metad(argv[2]);
	for (w.number = 0; w.number < w.n_workers; w.number++) {
		pid_t pid = fork();
		if (pid != 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		w.seed = seed * 1000 + w.number;
		work(&w, argv[2], argv[3]);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

static int show(char **argv)
{
	struct store *store;
	struct us_err err;
	int rc = power_open(argv[2], argv[3], /* may_own */ true, &store, &err);

	if (rc == 0) {
		rc = power_show(store, &err);
		store_close(&store);
	}
	if (rc < 0)
		printf("! %d %s\n", rc, err.text);
	return rc < 0;
}

int main(int argc, char **argv)
{
	log_set_stderr(true);
	if (argc == 8 && strcmp(argv[1], "run") == 0)
		return run(argv);
	if (argc == 4 && strcmp(argv[1], "show") == 0)
		return show(argv);
	fputs("usage: power_load run ROOT ROOT2 CUT EPOCH WORKERS SEED | show ROOT ROOT2\n",
	      stderr);
	return 64;
}
