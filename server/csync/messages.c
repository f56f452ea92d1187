/* messages.c - APPLY MESSAGE: bodies stream into the stage, each checked against its guid as it arrives. */
#include <stdio.h>
#include <string.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"

struct receiver {
	struct csync *cs;
	struct staged staged;
	struct guid guid;
	bool open;
	unsigned files;
};

static int begin_file(void *ctx, const struct wire_file *file, struct us_err *err)
{
	struct receiver *r = ctx;
	char name[GUID_HEX];
	struct stage *stage;
	int rc = csync_stage(r->cs, file->partition, &stage, err);

	if (rc < 0)
		return rc;
	guid_format(&file->guid, name);
	rc = staged_begin(stage, name, &r->staged, err);
	r->guid = file->guid;
	r->open = rc == 0;
	return rc;
}

static int file_data(void *ctx, const void *data, size_t len, struct us_err *err)
{
	struct receiver *r = ctx;

	return staged_write(&r->staged, data, len, err);
}

/* A body that is not what its guid says is not kept: the APPLY MAILBOX that needs it will miss it. */
static int end_file(void *ctx, struct us_err *err)
{
	struct receiver *r = ctx;
	int rc = staged_end(&r->staged, 0, err);
	bool right = rc == 0 && guid_eq(&r->staged.guid, &r->guid);

	if (rc == 0 && !right) {
		char hex[GUID_HEX];
		guid_format(&r->guid, hex);
		log_event(LOG_ERR, "csync.body.wrong", LF_TEXT("SYNCERROR: guid mismatch"),
			  LF_STR("guid", hex));
	}
	if (++r->files > 1)
		io_write_back(r->staged.fd);
	staged_drop(&r->staged, /* remove */ !right);
	r->open = false;
	return rc;
}

int csync_read_messages(struct csync_answer *a, struct dlist_lexer *lx, struct us_err *err)
{
	struct receiver r = {.cs = a->cs, .staged = {.fd = -1}};
	struct wire_file_sink sink = {begin_file, file_data, end_file, &r};
	int rc = wire_read_messages(lx, &sink, err);

	if (r.open)
		staged_drop(&r.staged, /* remove */ true);
	return rc;
}
