/* err.h - the one idiom for results that are not success.
 *
 * A function that can fail returns 0 (or a count) when well, else one of the negative codes below, and
 * leaves a sentence for a human in a struct us_err. Each code has a class, because a mail system must
 * know what to do next: try again later, refuse for good, or repair this copy. One table feeds the IMAP
 * response codes (RFC 5530), the LMTP replies, exit statuses and the retries of sync_client.
 */
#ifndef US_BASE_ERR_H
#define US_BASE_ERR_H

#include <stddef.h>

enum us_class {
	US_RETRY,  /* may work later, unchanged */
	US_REFUSE, /* will never work as asked */
	US_REPAIR, /* this copy is wrong: resync or reconstruct */
};

/*	  name		 value	class	    IMAP code		  text */
#define US_ERRORS(X)                                                                  \
	X(US_EIO, -1, US_RETRY, "UNAVAILABLE", "storage error")                       \
	X(US_EBUSY, -2, US_RETRY, "INUSE", "locked by another process")               \
	X(US_ENOENT, -3, US_REFUSE, "NONEXISTENT", "no such object")                  \
	X(US_EPROTO, -4, US_REFUSE, "CLIENTBUG", "malformed input")                   \
	X(US_ELIMIT, -5, US_REFUSE, "LIMIT", "over a configured limit")               \
	X(US_ECORRUPT, -6, US_REPAIR, "CORRUPTION", "stored data fails its checksum") \
	X(US_EEXIST, -7, US_REFUSE, "ALREADYEXISTS", "object exists already")         \
	X(US_EPERM, -8, US_REFUSE, "NOPERM", "permission denied")                     \
	X(US_EQUOTA, -9, US_REFUSE, "OVERQUOTA", "over quota")                        \
	X(US_ETIMEOUT, -10, US_RETRY, "UNAVAILABLE", "no answer in time")             \
	X(US_ECLOSED, -11, US_RETRY, "UNAVAILABLE", "connection closed")              \
	X(US_ECONFIG, -12, US_REFUSE, "CONTACTADMIN", "configuration error")          \
	X(US_EINVAL, -13, US_REFUSE, "CANNOT", "not a legal value")                   \
	X(US_EMOVED, -14, US_REFUSE, "INUSE", "exists with another name or uniqueid") \
	X(US_ECHANGED, -15, US_RETRY, "INUSE", "changed meanwhile")                   \
	X(US_ECHECKSUM, -16, US_REPAIR, "CORRUPTION", "the two sides differ")         \
	X(US_EAUTH, -17, US_REFUSE, "AUTHENTICATIONFAILED", "authentication failure") \
	X(US_EREMOTE, -18, US_RETRY, "UNAVAILABLE", "the other server refused")       \
	X(US_ENOSPC, -19, US_RETRY, "UNAVAILABLE", "no space left on device")         \
	X(US_ENOTSUP, -20, US_REFUSE, "CANNOT", "operation is not supported")         \
	X(US_ELINK, -21, US_RETRY, "UNAVAILABLE", "the link to the other server is lost")

enum us_code {
#define X(name, value, class, imap, text) name = value,
	US_ERRORS(X)
#undef X
};

/* On the caller's stack, owning nothing: an error path that allocates can fail again. */
struct us_err {
	int code;
	char text[240];
};
#define US_ERR_INIT   \
	{             \
		0, "" \
	}

/* Fill *err (NULL is fine) and return code, so that a failure reads as one statement. */
int us_fail(struct us_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a failed system call: code by errno (ENOSPC, EDQUOT: US_ENOSPC; ENOENT: US_ENOENT;
 * EEXIST: US_EEXIST; else US_EIO), the text followed by what errno means. */
int us_fail_errno(struct us_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "<formatted>: " in front of the text of *err; returns err->code. (With NULL US_EIO: a failure all the same.) */
int us_err_prefix(struct us_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum us_class us_err_class(int code);
const char *us_err_imap(int code); /* RFC 5530 response code, no brackets */
const char *us_err_text(int code); /* what the code means, without particulars */
int us_err_exit(int code);         /* sysexits(3) status for a program that ends with this code */

/* A broken invariant: log, dump core, die; master starts us again. */
#define us_assert(cond) \
	((cond) ? (void)0 : us_panic("%s:%d: %s is false", __FILE__, __LINE__, #cond))
void us_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The environment is wrong at start-up: log, say it on stderr, exit with `status`. main.c only. */
void us_fatal(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
