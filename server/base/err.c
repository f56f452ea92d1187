/* err.c - the error table and its readers; see err.h. */
#include "server/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>

#include "server/base/log.h"

struct row {
	int code;
	enum us_class class;
	const char *imap, *text;
};

static const struct row rows[] = {
#define X(name, value, class, imap, text) {value, class, imap, text},
	US_ERRORS(X)
#undef X
};

static const struct row *find_row(int code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return &rows[i];
	us_panic("no error has the code %d", code);
}

int us_fail(struct us_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

static int code_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
		return US_ENOSPC;
	case ENOENT:
		return US_ENOENT;
	case EEXIST:
		return US_EEXIST;
	default:
		return US_EIO;
	}
}

int us_fail_errno(struct us_err *err, const char *fmt, ...)
{
	int number = errno, code = code_of_errno(number);
	size_t len;
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(number));
	return code;
}

int us_err_prefix(struct us_err *err, const char *fmt, ...)
{
	struct us_err old;
	size_t len;
	va_list ap;

	if (!err)
		return US_EIO; /* which failure it was only the caller knows; none it was not */
	old = *err;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", old.text);
	return err->code;
}

enum us_class us_err_class(int code)
{
	return find_row(code)->class;
}

const char *us_err_imap(int code)
{
	return find_row(code)->imap;
}

const char *us_err_text(int code)
{
	return find_row(code)->text;
}

int us_err_exit(int code)
{
	switch (code) {
	case 0:
		return 0;
	case US_ECONFIG:
		return EX_CONFIG;
	case US_ENOENT:
	case US_EINVAL:
	case US_EPROTO:
		return EX_DATAERR;
	case US_EPERM:
	case US_EAUTH:
		return EX_NOPERM;
	case US_ECORRUPT:
	case US_EIO:
		return EX_IOERR;
	default:
		return us_err_class(code) == US_RETRY ? EX_TEMPFAIL : EX_UNAVAILABLE;
	}
}

void us_panic(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_event(LOG_CRIT, "process.panic", LF_TEXT(text));
	abort();
}

void us_fatal(int status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_event(LOG_ERR, "process.fatal", LF_TEXT(text), LF_NUM("status", status));
	fprintf(stderr, "fatal error: %s\n", text);
	exit(status);
}
