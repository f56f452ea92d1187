/* login.c - see login.h. */
#include "server/imap/login.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/capability.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/session/autocreate.h"
#include "server/session/groups.h"
#include "server/session/notice.h"
#include "server/session/proc_note.h"
#include "server/session/telemetry.h"
#include "server/store/annotations.h"

/* ---- TLS ---------------------------------------------------------------------------------------- */

int login_start_tls(struct imap_session *s, struct us_err *err)
{
	int rc = host_start_tls(s->host, s->out, s->sasl, err);

	if (rc == 0)
		s->tls = true;
	return rc;
}

/* ---- limits -------------------------------------------------------------------------------------- */

struct login_limit {
	struct login_limit *next;
	int fd;
};

static int open_limit(struct imap_session *s, const char *kind, const char *name, int *fd,
		      struct us_err *err)
{
	char *directory =
		us_asprintf("%s/lock/logins", conf_str(s->host->conf, CONF_configdirectory));
	/* Names that agree in 200 bytes share their places: nobody has such. */
	char *path = us_asprintf("%s/%s-%.200s", directory, kind, name);
	int rc = io_mkdirs(NULL, directory, err);

	if (rc == 0)
		rc = io_open(NULL, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, fd, err);
	free(path);
	free(directory);
	return rc;
}

int login_limit_take(struct imap_session *s, const char *kind, const char *name, unsigned most,
		     struct us_err *err)
{
	struct login_limit *limit;
	int fd, rc = open_limit(s, kind, name, &fd, err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < most; i++) {
		struct flock place = {.l_type = F_WRLCK,
				      .l_whence = SEEK_SET,
				      .l_start = i,
				      .l_len = 1};

		if (fcntl(fd, F_OFD_SETLK, &place) < 0)
			continue;
		limit = us_calloc(1, sizeof(*limit));
		*limit = (struct login_limit){s->limit, fd};
		s->limit = limit;
		return 0;
	}
	io_close(&fd);
	return us_fail(err, US_ELIMIT, "Too many open connections (%u of %u for %s)", most, most,
		       name);
}

void login_limit_free(struct login_limit **limit)
{
	while (*limit) {
		struct login_limit *next = (*limit)->next;

		io_close(&(*limit)->fd);
		free(*limit);
		*limit = next;
	}
}

static int take_places(struct imap_session *s, const struct identity *who, struct us_err *err)
{
	int per_user = conf_int(s->host->conf, CONF_maxlogins_per_user);
	int per_host = conf_int(s->host->conf, CONF_maxlogins_per_host);
	int rc = 0;

	if (per_host > 0 && s->conn->remote.host[0])
		rc = login_limit_take(s, "host", s->conn->remote.host, (unsigned)per_host, err);
	if (rc == 0 && per_user > 0)
		rc = login_limit_take(s, "user", who->user, (unsigned)per_user, err);
	if (rc < 0)
		login_limit_free(&s->limit);
	return rc;
}

/* ---- what is noted -------------------------------------------------------------------------------- */

static const char *peer_name(const struct imap_session *s)
{
	return s->conn->remote.host[0] ? s->conn->remote.host : s->conn->remote.text;
}

/* The lines that monitors of a Cyrus search for. */
static void log_login(const struct imap_session *s)
{
	const char *mech = sasl_srv_mech(s->sasl);
	char text[1024];

	snprintf(text, sizeof(text), "login: [%s] %s %s%s User logged in SESSIONID=<%s>",
		 peer_name(s), s->identity->user, *mech ? mech : "plaintext", s->tls ? "+TLS" : "",
		 s->id);
	log_event(LOG_NOTICE, "imap.login", LF_TEXT(text),
		  LF_STR("authname", s->identity->authname));
}

void login_refused(struct imap_session *s, const char *mechanism, const char *user,
		   const struct us_err *err)
{
	char text[1024];

	snprintf(text, sizeof(text), "badlogin: [%s] %.40s %.200s %s: %.200s", peer_name(s),
		 mechanism, user, err->text, sasl_srv_detail(s->sasl));
	log_event(LOG_NOTICE, "imap.badlogin", LF_TEXT(text));
	host_login_pause(s->host, s->conn->stop);
}

int login_tell_denied(struct imap_session *s, const char *before, const struct us_err *err)
{
	char text[sizeof(err->text)];

	snprintf(text, sizeof(text), "%s", err->text);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?'; /* it must not end the line */
	return imap_no(s, "[AUTHORIZATIONFAILED] %s%s", before, text);
}

static void make_inbox(struct imap_session *s)
{
	struct us_err err = US_ERR_INIT;

	if (s->options->read_only || s->identity->admin || s->identity->proxy_admin)
		return;
	if (autocreate_at_login(s->host, s->identity, &err) < 0)
		log_event(LOG_ERR, "imap.autocreate.failed", LF_ERR(&err));
}

static int answer_success(struct imap_session *s, const char *text)
{
	struct buf list = BUF_INIT;

	capability_list(s, CAPABILITY_ALL, &list);
	(void)imap_ok(s, "[CAPABILITY%s] %s SESSIONID=<%s>", list.data, text, s->id);
	buf_free(&list);
	return 0;
}

int login_accept(struct imap_session *s, const char *text, struct us_err *err)
{
	const struct identity *who = sasl_srv_identity(s->sasl);
	int rc = take_places(s, who, err);

	if (rc == US_ELIMIT)
		return imap_no(s, "[LIMIT] %s", err->text);
	if (rc < 0)
		return rc;
	s->who = *who;
	s->identity = &s->who;
	if (conf_bool(s->host->conf, CONF_unix_group_enable))
		s->who.groups = groups_new(who->user);
	s->names = host_view(s->host, who);
	log_context("user", who->user);
	log_login(s);
	stream_set_secret(s->out, false);
	proc_note_user(s->conn->note, who->user);
	telemetry_begin(s->host, span_of(who->user), s->id, s->out);
	make_inbox(s);
	return answer_success(s, text);
}

bool login_needs_layer(const struct imap_session *s)
{
	return conf_bool(s->host->conf, CONF_tls_required) && !s->tls && !s->options->protection;
}

bool login_allows_plaintext(const struct imap_session *s)
{
	return !login_needs_layer(s) && sasl_srv_plaintext_allowed(s->sasl);
}

/* ---- notices -------------------------------------------------------------------------------------- */

/* What it says must not look like a response code. */
static void alert(struct imap_session *s, const char *word, const struct buf *notice)
{
	struct span text = buf_span(notice);

	stream_printf(s->out, "* %s [ALERT] ", word);
	reply_text(s->out, span_from(text, strspn(notice->data, "[")));
	stream_write_str(s->out, "\r\n");
}

void login_message_of_the_day(struct imap_session *s)
{
	struct buf text = BUF_INIT;
	/* A store that does not answer is no reason not to greet. */
	bool there = notice_read(s->host, "motd", &text) ||
		     annotation_get(s->host->store, NULL, ANNOTATION_MOTD, SPAN_LIT(""), &text,
				    NULL) > 0;

	if (there && text.len)
		alert(s, "OK", &text);
	buf_free(&text);
}

/* He was asked about when he logged in; the file is read again only when it has changed. */
static bool is_denied_by_now(struct imap_session *s, struct buf *text)
{
	return userdeny_changed(s->host->conf, &s->userdeny) &&
	       host_denies(s->host, s->identity->user, text);
}

bool login_is_shut(struct imap_session *s)
{
	struct buf text = BUF_INIT;
	bool shut = s->identity && !s->identity->admin &&
		    (notice_read(s->host, "shutdown", &text) || is_denied_by_now(s, &text));

	if (shut)
		alert(s, "BYE", &text);
	buf_free(&text);
	return shut;
}
