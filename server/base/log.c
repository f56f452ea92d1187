/* log.c - see log.h. */
#include "server/base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/mem.h"

#define MOST_LINE    4096
#define MOST_CONTEXT 8

/* The sink: one a process, by design (log.h). */
static struct {
	char ident[64];
	int fd;
	bool opened, to_stderr, debug;
	struct {
		const char *key;
		char *value;
	} context[MOST_CONTEXT];
} sink = {.ident = "understudy", .fd = -1};

void log_open(const char *ident, int facility)
{
	snprintf(sink.ident, sizeof(sink.ident), "%s", ident);
	tzset(); /* syslog(3) tells the local time: a process that will fork loads the zone for all its children */
	openlog(sink.ident, LOG_PID | LOG_NDELAY, facility);
	sink.opened = true;
}

void log_set_file(const char *path)
{
	if (sink.fd >= 0)
		close(sink.fd);
	sink.fd = -1;
	if (!path)
		return;
	sink.fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (sink.fd < 0)
		log_event(LOG_WARNING, "log.file.unavailable", LF_STR("path", path));
}

void log_set_stderr(bool on)
{
	sink.to_stderr = on;
}

void log_set_debug(bool on)
{
	sink.debug = on;
}

void log_context(const char *key, const char *value)
{
	int slot = -1;

	for (int i = 0; i < MOST_CONTEXT; i++) {
		if (sink.context[i].key && strcmp(sink.context[i].key, key) == 0) {
			free(sink.context[i].value);
			sink.context[i].key = NULL;
		}
		if (!sink.context[i].key && slot < 0)
			slot = i;
	}
	if (!value)
		return;
	us_assert(slot >= 0);
	sink.context[slot].key = key;
	sink.context[slot].value = us_strdup(value);
}

void log_context_clear(void)
{
	for (int i = 0; i < MOST_CONTEXT; i++) {
		if (sink.context[i].key)
			free(sink.context[i].value);
		sink.context[i].key = NULL;
	}
}

static bool needs_quotes(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == '"' || s.ptr[i] == '\\' ||
		    s.ptr[i] == 0x7f)
			return true;
	return s.len == 0;
}

/* Control bytes never reach the log as they are: a line is a line. */
static void add_safe(struct buf *line, struct span s, bool quoted)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c < ' ' || c == 0x7f)
			buf_printf(line, "\\x%02x", c);
		else if (quoted && (c == '"' || c == '\\'))
			buf_printf(line, "\\%c", c);
		else
			buf_add_char(line, (char)c);
	}
}

static void add_pair(struct buf *line, const char *key, struct span value)
{
	bool quoted = needs_quotes(value);

	buf_printf(line, "%s%s=%s", line->len ? " " : "", key, quoted ? "\"" : "");
	add_safe(line, value, quoted);
	if (quoted)
		buf_add_char(line, '"');
}

static void add_field(struct buf *line, const struct log_field *field)
{
	char number[24];

	switch (field->kind) {
	case LOG_FIELD_EVENT:
	case LOG_FIELD_STR:
	case LOG_FIELD_ERR:
		add_pair(line, field->key, field->text);
		break;
	case LOG_FIELD_NUM:
		snprintf(number, sizeof(number), "%lld", (long long)field->number);
		add_pair(line, field->key, span_of(number));
		break;
	case LOG_FIELD_TEXT: /* stands before the event already */
	case LOG_FIELD_END:
		break;
	}
}

static void write_file(const char *line)
{
	struct timespec now;
	struct tm tm;
	char when[40];
	struct buf out;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_init(&out, 0);
	buf_printf(&out, "%s.%06ldZ %s[%d]: %s\n", when, now.tv_nsec / 1000, sink.ident,
		   (int)getpid(), line);
	/* One write, so that lines of many processes do not mix; a full disk must not stop us. */
	if (write(sink.fd, out.data, out.len) < 0)
		syslog(LOG_WARNING, "event=log.file.unwritable");
	buf_free(&out);
}

void log_write(int level, const struct log_field *fields)
{
	struct buf line;

	if (level == LOG_DEBUG && !sink.debug)
		return;
	buf_init(&line, MOST_LINE);
	for (const struct log_field *f = fields; f->kind != LOG_FIELD_END; f++)
		if (f->kind == LOG_FIELD_TEXT)
			add_safe(&line, f->text, false);
	for (const struct log_field *f = fields; f->kind != LOG_FIELD_END; f++)
		add_field(&line, f);
	for (int i = 0; i < MOST_CONTEXT; i++)
		if (sink.context[i].key)
			add_pair(&line, sink.context[i].key, span_of(sink.context[i].value));

	if (sink.opened)
		syslog(level, "%s", line.data);
	if (sink.fd >= 0)
		write_file(line.data);
	if (sink.to_stderr)
		fprintf(stderr, "%s\n", line.data);
	buf_free(&line);
}
