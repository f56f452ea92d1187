/* main_deliver.c - deliver: hand one message, or a whole LMTP session, from stdin to lmtpd. What an MTA runs that does not
 * speak LMTP.
 *
 * The door is lmtpd's Unix socket (lmtpsocket); whoever may connect to it is trusted with the rest, so the permissions of its
 * directory say who may use us. Nothing of the store is touched here.
 *
 * Exit statuses are what an MTA goes by (sysexits(3)): 75 if the message is to be tried again for anybody, else 65 if it
 * is not wanted for somebody, else 0. When it is tried again those who have it do not get it twice: lmtpd knows
 * by its marks (duplicatesuppression).
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "server/base/conf.h"
#include "server/base/connect.h"
#include "server/base/failpoint.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/base/process.h"
#include "server/base/stream.h"
#include "server/lmtp/client.h"
#include "server/session/host.h"

struct order {
	const char *conf_path, *sender, *submitter, *mailbox;
	bool ignore_quota, raw, debug;
	char **users;
	size_t n_users;
};

static int usage(void)
{
	fputs("421-4.3.0 usage: deliver [-C <alt_config> ] [-m mailbox] [-a auth] [-r return_path] "
	      "[-l] [-D] "
	      "[-q] [user...]\n",
	      stderr);
	fputs("421 4.3.0 " CYRUS_INTERFACE_VERSION "-Understudy-" UNDERSTUDY_VERSION "\n", stderr);
	return EX_USAGE;
}

/* ---- a whole session: -l ------------------------------------------------------------------------- */

/* One direction. Small pieces: what poll(2) says there is room for does not block. */
struct flow {
	int from, to;
	char piece[512];
	size_t len, at;
	bool ended; /* nothing more comes */
};

static int pump(struct flow *f, struct us_err *err)
{
	ssize_t n;

	if (f->at < f->len) {
		n = write(f->to, f->piece + f->at, f->len - f->at);
		if (n > 0)
			f->at += (size_t)n;
	} else {
		n = read(f->from, f->piece, sizeof(f->piece));
		if (n < 0 && errno == ECONNRESET)
			n = 0; /* who closed without having read all leaves that behind what he said */
		f->at = 0;
		f->len = n > 0 ? (size_t)n : 0;
		f->ended = n == 0;
	}
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return us_fail_errno(err, "pass the session on");
	return 0;
}

static struct pollfd want(const struct flow *f)
{
	if (f->at < f->len)
		return (struct pollfd){f->to, POLLOUT, 0};
	return (struct pollfd){f->ended ? -1 : f->from, POLLIN, 0};
}

/* Until the server has said all it has to say. When stdin ends he is told so, and still answers what came. */
static int pass_session_on(int fd, struct us_err *err)
{
	struct flow out = {.from = STDIN_FILENO, .to = fd};
	struct flow in = {.from = fd, .to = STDOUT_FILENO};
	bool told = false;
	int rc = 0;

	while (rc == 0 && !(in.ended && in.at == in.len)) {
		struct pollfd wanted[2] = {want(&out), want(&in)};
		if (poll(wanted, 2, -1) < 0 && errno != EINTR)
			return us_fail_errno(err, "wait for the session");
		if (wanted[1].revents)
			rc = pump(&in, err);
		/* Who is gone does not read: what he said before is still to be passed on. */
		if (rc == 0 && wanted[0].revents && pump(&out, NULL) < 0)
			out.ended = told = true, out.at = out.len;
		if (out.ended && !told)
			told = shutdown(fd, SHUT_WR) == 0 || errno != EINTR;
	}
	return rc;
}

/* ---- one message ------------------------------------------------------------------------------------ */

/* The address under which a user's folder, or a shared one, is known to lmtpd: user+folder@domain, post+folder. */
static const char *address_of(struct pool *pool, const char *user, const char *folder)
{
	size_t local = strcspn(user, "@");

	if (!folder)
		return user;
	return pool_printf(pool, "%.*s+%s%s", (int)local, user, folder, user + local);
}

static struct lmtp_addressee *addressees(const struct order *o, const char *postuser,
					 struct pool *pool, size_t *n_out)
{
	size_t n = o->n_users ? o->n_users : 1;
	struct lmtp_addressee *to = pool_alloc(pool, us_mul_size(n, sizeof(*to)));

	for (size_t i = 0; i < n; i++)
		to[i] = (struct lmtp_addressee){
			.address =
				address_of(pool, o->n_users ? o->users[i] : postuser, o->mailbox),
			.ignore_quota = o->ignore_quota,
		};
	*n_out = n;
	return to;
}

/* Reasons for good go where Cyrus's deliver prints them; the others beside them. */
static int report(const struct lmtp_parcel *p)
{
	int status = 0;

	for (size_t i = 0; i < p->n_to; i++) {
		const struct lmtp_addressee *a = &p->to[i];
		if (a->outcome == LMTP_OUTCOME_DELIVERED)
			continue;
		if (a->outcome == LMTP_OUTCOME_NEVER)
			printf("%s: %s\n", a->address, a->reason);
		else if (a->outcome == LMTP_OUTCOME_LATER)
			fprintf(stderr, "%s: %s\n", a->address, a->reason);
		if (a->outcome != LMTP_OUTCOME_NEVER)
			status = EX_TEMPFAIL;
		else if (!status)
			status = EX_DATAERR;
	}
	return status;
}

/* Whoever runs us, unless he says otherwise. */
static const char *sender_of(const struct order *o)
{
	const struct passwd *me;

	if (o->sender)
		return o->sender;
	me = getpwuid(getuid());
	return me ? me->pw_name : "";
}

static int hand_over(const struct order *o, const struct host *host, struct stream *stream,
		     struct us_err *err)
{
	const char *postuser = conf_str(host->conf, CONF_postuser);
	struct pool *pool = pool_new();
	struct lmtp_parcel parcel = {.submitter = o->submitter, .message = STDIN_FILENO};
	struct lmtp_client client;
	int rc;

	parcel.sender = sender_of(o);
	parcel.to = addressees(o, postuser ? postuser : "", pool, &parcel.n_to);
	rc = lmtp_client_greet(&client, stream, host->servername, err);
	if (rc == 0)
		rc = lmtp_client_send(&client, &parcel, err);
	if (rc == 0)
		lmtp_client_quit(&client);
	else
		fprintf(stderr, "421 4.3.0 deliver: %s\n", err->text);
	rc = report(&parcel);
	pool_free(&pool);
	return rc;
}

/* ---- the connection ------------------------------------------------------------------------------------ */

static int wait_limit_ms(const struct conf *conf)
{
	int64_t s = conf_duration_s(conf, CONF_lmtptxn_timeout);

	return s <= 0 || s > INT32_MAX / 1000 ? -1 : (int)s * 1000;
}

/* The exit status. */
static int deliver(const struct order *o, const struct host *host)
{
	struct stream_config config = STREAM_CONFIG_DEFAULT;
	struct us_err err = US_ERR_INIT;
	struct connect_target target = {.local = true,
					.host = span_of(conf_str(host->conf, CONF_lmtpsocket))};
	struct stream *stream;
	int fd = -1, rc, wait_ms = wait_limit_ms(host->conf);

	rc = connect_open(&target, "lmtp", wait_ms, NULL, &fd, &err);
	if (rc < 0) {
		log_event(LOG_ERR, "lmtp.deliver.no_connection", LF_ERR(&err));
		fprintf(stderr, "421 4.3.0 deliver: couldn't connect to lmtpd: %s\n", err.text);
		return EX_TEMPFAIL;
	}
	if (o->raw) {
		rc = pass_session_on(fd, &err);
		close(fd);
		return rc < 0 ? EX_TEMPFAIL : 0;
	}
	config.read_timeout_ms = config.write_timeout_ms = wait_ms;
	stream = stream_new(fd, fd, &config);
	rc = hand_over(o, host, stream, &err);
	stream_free(&stream);
	return rc;
}

static int begin(const struct order *o, struct conf **conf, struct host *host, struct us_err *err)
{
	int rc = conf_load(o->conf_path, "deliver", conf, err);

	if (rc == 0)
		rc = process_leave_root(conf_str(*conf, CONF_cyrus_user),
					conf_str(*conf, CONF_cyrus_group), err);
	if (rc < 0)
		return rc;
	conf_open_log(*conf, "deliver");
	if (o->debug)
		log_set_debug(true);
	return host_open(*conf, "deliver", 0, host, err);
}

/* ---- the command line ------------------------------------------------------------------------------------ */

static bool once(const char **where, char letter)
{
	if (*where)
		fprintf(stderr, "deliver: multiple -%c options\n", letter);
	else
		*where = optarg;
	return *where == optarg;
}

static bool take_option(struct order *o, int letter)
{
	switch (letter) {
	case 'C':
		o->conf_path = optarg;
		return true;
	case 'd': /* what /bin/mail wanted of us, and of duplicates long ago */
	case 'e':
		return true;
	case 'D':
		return o->debug = true;
	case 'f':
	case 'r':
		o->sender = optarg;
		return true;
	case 'm':
		return !*optarg || once(&o->mailbox, 'm');
	case 'a':
		return once(&o->submitter, 'a');
	case 'l':
		return o->raw = true;
	case 'q':
		return o->ignore_quota = true;
	case 'E':
	case 'F':
		fprintf(stderr, "deliver: '%c' option no longer supported\n", letter);
		return false;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct order o = {0};
	struct us_err err = US_ERR_INIT;
	struct conf *conf = NULL;
	struct host host = {0};
	int letter, status;

	failpoint_init();
	while ((letter = getopt(argc, argv, "C:df:r:m:a:F:eE:lqD")) != -1)
		if (!take_option(&o, letter))
			return usage();
	o.users = argv + optind;
	o.n_users = (size_t)(argc - optind);
	if (!o.raw && !o.n_users && !o.mailbox)
		return usage();
	signal(SIGPIPE, SIG_IGN); /* a server that goes away is a result */
	status = begin(&o, &conf, &host, &err);
	if (status < 0) {
		fprintf(stderr, "421 4.3.0 deliver: %s\n", err.text);
		status = us_err_exit(status);
	} else {
		status = deliver(&o, &host);
	}
	if (host.conf)
		host_close(&host);
	conf_free(&conf);
	return status;
}
