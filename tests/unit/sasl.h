/* sasl.h - for tests of authentication: options in a table, passwords in a sasldb, and a stand-in for saslauthd. */
#ifndef US_TESTS_UNIT_SASL_H
#define US_TESTS_UNIT_SASL_H

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/session/sasl_server.h"
#include "tests/unit/test.h"

/* ---- options ---------------------------------------------------------------------------------- */

struct sasl_test_options {
	struct {
		const char *key, *value;
	} row[12];
};

static inline const char *sasl_test_get(void *ctx, const char *key)
{
	const struct sasl_test_options *options = ctx;

	for (size_t i = 0; i < ARRAY_SIZE(options->row); i++)
		if (options->row[i].key && strcmp(options->row[i].key, key) == 0)
			return options->row[i].value;
	return NULL;
}

static inline void sasl_test_set(struct sasl_test_options *options, const char *key,
				 const char *value)
{
	size_t i = 0;

	while (options->row[i].key && strcmp(options->row[i].key, key) != 0)
		i++;
	assert_true(i < ARRAY_SIZE(options->row));
	options->row[i].key = key;
	options->row[i].value = value;
}

/* ---- sasldb ----------------------------------------------------------------------------------- */

struct sasldb {
	char dir[40], file[60];
};

static inline void sasldb_make(struct sasldb *d)
{
	strcpy(d->dir, "/tmp/us-sasl-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->file, sizeof(d->file), "%s/sasldb2", d->dir);
}

static inline void sasldb_drop(const struct sasldb *d)
{
	unlink(d->file);
	rmdir(d->dir);
}

static inline void sasldb_add(const char *path, const char *realm, const char *user,
			      const char *password)
{
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[0], 0);
		close(ends[1]);
		execlp("saslpasswd2", "saslpasswd2", "-f", path, "-c", "-p", "-u", realm, user,
		       NULL);
		execl("/usr/sbin/saslpasswd2", "saslpasswd2", "-f", path, "-c", "-p", "-u", realm,
		      user, NULL);
		_exit(127);
	}
	close(ends[0]);
	assert_int_equal(write(ends[1], password, strlen(password)), strlen(password));
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- saslauthd -------------------------------------------------------------------------------- */

/* Answers on a Unix socket, as saslauthd does: user, password, service and realm, each behind its length in
 * two bytes; back comes one such string that begins with OK or NO. It knows one password. */
struct saslauthd {
	char path[100];
	const char *user, *password;
	int listener;
	pthread_t thread;
	unsigned asked;
	char service[32], realm[64];
};

static inline void saslauthd_string(int fd, char *out, size_t size)
{
	unsigned char len[2];
	size_t want;

	out[0] = '\0';
	if (read(fd, len, 2) != 2)
		return;
	want = (size_t)len[0] << 8 | len[1];
	for (size_t got = 0; got < want;) {
		ssize_t n = read(fd, out + got, want - got < size - 1 ? want - got : size - 1);

		if (n <= 0)
			return;
		got += (size_t)n;
		out[got] = '\0';
	}
}

static inline void *saslauthd_run(void *ctx)
{
	struct saslauthd *d = ctx;
	int fd;

	while ((fd = accept(d->listener, NULL, NULL)) >= 0) {
		char user[200], password[200];
		const char *answer;

		saslauthd_string(fd, user, sizeof(user));
		saslauthd_string(fd, password, sizeof(password));
		saslauthd_string(fd, d->service, sizeof(d->service));
		saslauthd_string(fd, d->realm, sizeof(d->realm));
		d->asked++;
		answer = strcmp(user, d->user) || strcmp(password, d->password) ? "\0\2NO"
										: "\0\2OK";
		if (write(fd, answer, 4) != 4)
			d->asked = 0;
		close(fd);
	}
	return NULL;
}

/* Listens on <dir>/mux. */
static inline void saslauthd_start(struct saslauthd *d, const char *dir, const char *user,
				   const char *password)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	*d = (struct saslauthd){.user = user, .password = password};
	snprintf(d->path, sizeof(d->path), "%s/mux", dir);
	strcpy(un.sun_path, d->path);
	d->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(d->listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(d->listener, 5), 0);
	assert_int_equal(pthread_create(&d->thread, NULL, saslauthd_run, d), 0);
}

static inline void saslauthd_stop(struct saslauthd *d)
{
	shutdown(d->listener, SHUT_RDWR);
	pthread_join(d->thread, NULL);
	close(d->listener);
	unlink(d->path);
}

#endif
