/* listdump.c - see listdump.h. */
#include "server/admin/listdump.h"

#include <stdlib.h>

#include <jansson.h>

#include "server/admin/json_text.h"
#include "server/base/mem.h"
#include "server/store/acl.h"

/* ---- writing ------------------------------------------------------------------------------------- */

static void put_text(json_t *object, const char *key, struct span value)
{
	json_object_set_new(object, key, json_text(value));
}

static void put_number(json_t *object, const char *key, uint64_t n)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	json_object_set_new(object, key, json_string(digits));
}

static json_t *acl_json(struct span acl)
{
	json_t *object = json_object();
	struct span identifier, rights;

	while (acl_next(&acl, &identifier, &rights)) {
		char *key = span_dup(identifier);
		if (json_object_set_new(object, key, json_text(rights)) < 0) /* no UTF-8 */
			json_object_set_new_nocheck(object, "?", json_text(rights));
		free(key);
	}
	return object;
}

/* Keys in Cyrus's order. */
static json_t *row_json(struct span name, const struct mailbox_row *row)
{
	json_t *object = json_object();

	put_text(object, "name", name);
	put_number(object, "mtime", (uint64_t)(row->mtime > 0 ? row->mtime : 0));
	put_number(object, "uidvalidity", row->uidvalidity);
	put_number(object, "createdmodseq", row->createdmodseq);
	put_number(object, "foldermodseq", row->foldermodseq);
	put_text(object, "mbtype", row->type);
	if (row->partition.len)
		put_text(object, "partition", row->partition);
	if (row->server.len)
		put_text(object, "server", row->server);
	json_object_set_new(object, "acl", acl_json(row->acl));
	if (row->uniqueid.len)
		put_text(object, "uniqueid", row->uniqueid);
	json_object_set_new(object, "name_history", json_array());
	return object;
}

void listdump_format(struct span name, const struct mailbox_row *row, struct buf *out)
{
	json_t *key = json_text(name), *object = row_json(name, row);
	char *key_text = json_dumps(key, JSON_ENCODE_ANY);
	char *text = json_dumps(object, JSON_PRESERVE_ORDER);

	buf_printf(out, "%s: %s", key_text ? key_text : "\"\"", text ? text : "{}");
	free(key_text);
	free(text);
	json_decref(key);
	json_decref(object);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int next_byte(FILE *in)
{
	int c;

	do
		c = getc(in);
	while (c == ' ' || c == '\t' || c == '\r' || c == '\n');
	return c;
}

static int parse_error(struct us_err *err, const char *what)
{
	return us_fail(err, US_EINVAL, "parse error in the dump: %s", what);
}

/* A JSON value that begins here; what follows it stays unread. */
static json_t *read_value(FILE *in, struct us_err *err)
{
	json_error_t error;
	json_t *value = json_loadf(in, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);

	if (!value)
		(void)us_fail(err, US_EINVAL, "parse error at line %d: %s", error.line, error.text);
	return value;
}

static struct span member_text(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_string(value)
		       ? span_make(json_string_value(value), json_string_length(value))
		       : SPAN_NULL;
}

/* Cyrus writes numbers as strings; either will do. 0: absent, or none. */
static uint64_t member_number(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	uint64_t n = 0;

	if (json_is_integer(value) && json_integer_value(value) > 0)
		return (uint64_t)json_integer_value(value);
	(void)span_u64(member_text(object, key), UINT64_MAX, &n); /* stays 0 if it is none */
	return n;
}

static void acl_text(json_t *object, struct buf *out)
{
	const char *identifier;
	json_t *rights;

	json_object_foreach(json_object_get(object, "acl"), identifier, rights)
	{
		if (json_is_string(rights))
			buf_printf(out, "%s\t%s\t", identifier, json_string_value(rights));
	}
}

struct reader {
	FILE *in;
	mboxlist_fn *fn;
	void *ctx;
};

static int tell_entry(struct reader *r, struct span name, json_t *object, struct us_err *err)
{
	struct buf acl = BUF_INIT;
	struct mailbox_row row = {.type = member_text(object, "mbtype"),
				  .uniqueid = member_text(object, "uniqueid"),
				  .partition = member_text(object, "partition"),
				  .server = member_text(object, "server"),
				  .uidvalidity = (uint32_t)member_number(object, "uidvalidity"),
				  .createdmodseq = member_number(object, "createdmodseq"),
				  .foldermodseq = member_number(object, "foldermodseq"),
				  .mtime = (int64_t)member_number(object, "mtime")};
	int rc;

	acl_text(object, &acl);
	row.acl = buf_span(&acl);
	rc = r->fn(r->ctx, name, &row, err);
	buf_free(&acl);
	return rc;
}

/* "name": {...} */
static int read_entry(struct reader *r, struct us_err *err)
{
	json_t *key = read_value(r->in, err), *object = NULL;
	int rc = key ? 0 : US_EINVAL;

	if (rc == 0 && (!json_is_string(key) || json_string_length(key) > LISTDUMP_NAME_MAX))
		rc = parse_error(err, "a name is expected");
	if (rc == 0 && next_byte(r->in) != ':')
		rc = parse_error(err, "':' is expected");
	if (rc == 0 && !(object = read_value(r->in, err)))
		rc = US_EINVAL;
	if (rc == 0 && !json_is_object(object))
		rc = parse_error(err, "an object is expected");
	if (rc == 0)
		rc = tell_entry(r, span_make(json_string_value(key), json_string_length(key)),
				object, err);
	json_decref(key);
	json_decref(object);
	return rc;
}

int listdump_read(FILE *in, mboxlist_fn *fn, void *ctx, struct us_err *err)
{
	struct reader r = {in, fn, ctx};
	int c, rc = 0;

	if (next_byte(in) != '{')
		return parse_error(err, "'{' is expected");
	c = next_byte(in);
	if (c == '}')
		return 0;
	ungetc(c, in);
	do {
		rc = read_entry(&r, err);
		c = rc == 0 ? next_byte(in) : EOF;
	} while (c == ',');
	if (rc == 0 && c != '}')
		rc = parse_error(err, "'}' is expected");
	return rc;
}
