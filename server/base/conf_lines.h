/* conf_lines.h - the grammar of imapd.conf: text in, keys with their values and places out. */
#ifndef US_BASE_CONF_LINES_H
#define US_BASE_CONF_LINES_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

/* One setting. All of it is borrowed for the time of the call, file excepted: it lives as long as the
 * pool. */
struct conf_line {
	struct span key; /* lower case */
	struct span value;
	const char *file;
	unsigned line; /* of the key, if the value goes on in later ones */
};

/* Where @include finds files. read() appends the whole file to *out; its error names the file. */
struct conf_reader {
	int (*read)(void *ctx, const char *path, struct buf *out, struct us_err *err);
	void *ctx;
};

struct pool;

/* Call fn for each setting of `text`, in order, included files in their place, until it gives less than 0.
 * name     stands for the text in errors and in conf_line.file
 * reader   NULL: @include is an error
 * Returns  0; US_ECONFIG with file and line; what fn gave, with file, line and key put before its text. */
int conf_lines_read(struct span text, const char *name, const struct conf_reader *reader,
		    struct pool *pool,
		    int (*fn)(void *ctx, const struct conf_line *line, struct us_err *err),
		    void *ctx, struct us_err *err);

#endif
