/* wire_files.c - see wire_files.h. */
#include "reconcile/wire_private.h"
#include "server/base/mem.h"

static bool is_heard(const struct wire_reader *r)
{
	return r->files && r->sink_rc == 0;
}

static void begin(struct wire_reader *r, const struct wire_file *file)
{
	if (is_heard(r))
		r->sink_rc = r->files->begin(r->files->ctx, file, &r->sink_err);
}

static void end(struct wire_reader *r)
{
	if (is_heard(r))
		r->sink_rc = r->files->end(r->files->ctx, &r->sink_err);
}

static int give_data(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	struct wire_reader *r = ctx;

	if (is_heard(r))
		r->sink_rc = r->files->data(r->files->ctx, data, len, &r->sink_err);
	return 0;
}

int wire_take_file(struct wire_reader *r, struct wire_file *out, struct us_err *err)
{
	int rc;

	*out = (struct wire_file){buf_span(&r->lx->text), r->lx->guid, r->lx->size, true};
	begin(r, out);
	rc = dlist_read_file(r->lx, give_data, r, err);
	out->partition = SPAN_NULL;
	if (rc < 0)
		return rc;
	end(r);
	return 0;
}

void wire_tell_no_file(struct wire_reader *r)
{
	struct wire_file file = {.present = false};

	begin(r, &file);
	end(r);
}

/* A list of files, or a kvlist of them; what else it holds is passed over. */
static int read_files(struct wire_reader *r, struct us_err *err)
{
	for (;;) {
		int token = dlist_next(r->lx, err), rc;
		struct wire_file file;

		if (token < 0 || token == DLIST_TOKEN_CLOSE)
			return token < 0 ? token : 0;
		rc = token == DLIST_TOKEN_FILE ? wire_take_file(r, &file, err)
					       : wire_pass(r->lx, token, err);
		if (rc < 0)
			return rc;
	}
}

int wire_read_messages(struct dlist_lexer *lx, const struct wire_file_sink *sink,
		       struct us_err *err)
{
	struct wire_reader r = {.lx = lx, .files = sink};
	int token = dlist_next(lx, err), rc;

	if (token == DLIST_TOKEN_LIST || token == DLIST_TOKEN_KVLIST)
		rc = read_files(&r, err);
	else
		rc = token < 0 ? token : wire_pass(lx, token, err);
	if (rc == 0)
		rc = wire_read_end(lx, err);
	if (rc == 0 && r.sink_rc < 0) {
		if (err)
			*err = r.sink_err;
		rc = r.sink_rc;
	}
	return rc;
}
