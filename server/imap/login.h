/* login.h - coming in: TLS, the limits on logins, what becomes known with the user, and the closed door. */
#ifndef US_IMAP_LOGIN_H
#define US_IMAP_LOGIN_H

#include <stdbool.h>

#include "server/base/err.h"

struct imap_session;
struct login_limit;

/* Do the handshake; from then on there is a layer for passwords. For STARTTLS and for -s. */
int login_start_tls(struct imap_session *s, struct us_err *err);

/* May nobody log in yet, because tls_required wants TLS first? May a password be sent as it is? */
bool login_needs_layer(const struct imap_session *s);
bool login_allows_plaintext(const struct imap_session *s);

/* SASL has said who it is: names, rights, telemetry, log, INBOX; sets the tagged line: OK with the capabilities and
 * `text`, or NO where limits keep him out. */
int login_accept(struct imap_session *s, const char *text, struct us_err *err);
/* A login failed: a line for the log (badlogin), and the pause. */
void login_refused(struct imap_session *s, const char *mechanism, const char *user,
		   const struct us_err *err);
/* NO for one who is kept out (US_EPERM), with what the operator has him told. */
int login_tell_denied(struct imap_session *s, const char *before, const struct us_err *err);

/* The operator's notice, msg/motd or the server annotation /motd, as an ALERT. */
void login_message_of_the_day(struct imap_session *s);
/* Is the door closed to this user (msg/shutdown, cyr_deny(8), but not to administrators)? Then true, and BYE is said. */
bool login_is_shut(struct imap_session *s);

/* ---- how many of one user, or from one host, may be in at a time ------------------------------------ */

/* Places are bytes of a file, each locked by the session that has it: a process that dies gives its place back.
 * Take one of `most` under that name: 0 (and *limit to be freed at the session's end), US_ELIMIT. */
int login_limit_take(struct imap_session *s, const char *kind, const char *name, unsigned most,
		     struct us_err *err);
void login_limit_free(struct login_limit **limit);

#endif
