/* check.c - see check.h. */
#include "server/store/mime/check.h"

#include <string.h>

#include "server/store/mime/field.h"

static const char *const texts[MIME_FAULTS] = {
	[MIME_FAULT_NUL] = "Message contains NUL characters",
	[MIME_FAULT_BARE_LF] = "Message contains bare newlines",
	[MIME_FAULT_8BIT_HEADER] = "Message contains non-ASCII characters in headers",
	[MIME_FAULT_BAD_HEADER] = "Message contains invalid header",
	[MIME_FAULT_NO_BODY] = "Message has no header/body separator",
	[MIME_FAULT_BARE_CR] = "Message contains bare carriage returns",
};

static void note(struct mime_faults *f, enum mime_fault fault, size_t offset)
{
	if (f->found[fault])
		return;
	f->found[fault] = true;
	f->offset[fault] = offset;
}

/* As in a Cyrus, and for whoever reads the header afterwards (field.h), CRs more or less do not matter. */
static bool is_blank_line(struct span line)
{
	return mime_blank_line(line) > 0;
}

/* A name without blanks and its colon, or the continuation of a field. A byte above 127 is a fault of its
 * own kind, and becomes an X where that is tolerated. */
static bool is_header_line(struct span line)
{
	size_t len = 0;

	if (!line.len || line.ptr[line.len - 1] != '\n')
		return false;
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return true;
	if (span_starts(line, "From "))
		return true;
	while (len < line.len && (unsigned char)line.ptr[len] > ' ' && line.ptr[len] != ':')
		len++;
	return len > 0 && len < line.len && line.ptr[len] == ':';
}

static void check_8bit(struct span line, size_t offset, struct mime_faults *f)
{
	for (size_t i = 0; i < line.len && !f->found[MIME_FAULT_8BIT_HEADER]; i++)
		if ((unsigned char)line.ptr[i] > 127)
			note(f, MIME_FAULT_8BIT_HEADER, offset + i);
}

static void check_line_end(struct span message, struct span line, size_t offset,
			   struct mime_faults *f)
{
	const char *cr = span_find(line, '\r');
	size_t last = offset + line.len - 1;

	if (message.ptr[last] == '\n' && (last == 0 || message.ptr[last - 1] != '\r'))
		note(f, MIME_FAULT_BARE_LF, last);
	if (cr && !(cr + 1 < message.ptr + message.len && cr[1] == '\n'))
		note(f, MIME_FAULT_BARE_CR, (size_t)(cr - message.ptr));
}

static struct span line_at(struct span message, size_t at)
{
	struct span rest = span_from(message, at);
	const char *end = span_find(rest, '\n');

	return end ? span_make(rest.ptr, (size_t)(end - rest.ptr) + 1) : rest;
}

bool mime_check(struct span message, struct mime_faults *out)
{
	const char *nul = span_find(message, '\0');
	struct mime_faults f = {{false}, {0}};
	bool in_header = true, clean = true;

	if (nul)
		note(&f, MIME_FAULT_NUL, (size_t)(nul - message.ptr));
	for (size_t at = 0; at < message.len;) {
		struct span line = line_at(message, at);
		check_line_end(message, line, at, &f);
		if (in_header && is_blank_line(line)) {
			in_header = false;
		} else if (in_header) {
			check_8bit(line, at, &f);
			if (!is_header_line(line))
				note(&f, MIME_FAULT_BAD_HEADER, at);
		}
		at += line.len;
	}
	if (in_header)
		note(&f, MIME_FAULT_NO_BODY, message.len);
	for (size_t i = 0; i < MIME_FAULTS; i++)
		clean = clean && !f.found[i];
	*out = f;
	return clean;
}

enum mime_fault mime_check_first(const struct mime_faults *faults, bool reject8bit)
{
	for (int i = 0; i <= MIME_FAULT_BAD_HEADER; i++)
		if (faults->found[i] && (i != MIME_FAULT_8BIT_HEADER || reject8bit))
			return (enum mime_fault)i;
	return MIME_FAULTS;
}

const char *mime_fault_text(enum mime_fault fault)
{
	return fault < MIME_FAULTS ? texts[fault] : "";
}

size_t mime_munge8bit(char *message, size_t len)
{
	struct span text = span_make(message, len);
	size_t changed = 0;

	for (size_t at = 0; at < len;) {
		struct span line = line_at(text, at);
		if (is_blank_line(line))
			break;
		for (size_t i = at; i < at + line.len; i++) {
			if ((unsigned char)message[i] <= 127)
				continue;
			message[i] = 'X';
			changed++;
		}
		at += line.len;
	}
	return changed;
}
