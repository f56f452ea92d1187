/* ctl_mboxlist.c - the list of mailboxes as text, out and in: one JSON object keyed by mailbox name, as Cyrus has it.
 *
 *	-d	each row, and each tombstone whose name nobody has, in the order of names
 *	-u	rows that are missing become mailboxes, empty ones; rows that are there take ACL and partition
 *	-v	rows whose directory is missing
 *
 * Two differences in what is behind it. A row comes with its directory here, so -u creates mailboxes where Cyrus's writes
 * rows for reconstruct to fill; and nothing changes that replicas do not hear of, so -x is a removal like any other: its
 * bytes wait in the trash, its tombstones stay.
 *
 * The dump may be long, so an entry at a time is in memory: it is written as it is met, and read value by value.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

#include "server/admin/json_text.h"
#include "server/admin/mboxlist.h"
#include "server/admin/tool.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/acl.h"
#include "server/store/folder.h"
#include "server/store/partition.h"
#include "server/store/rows.h"

#define PROGRAM    "ctl_mboxlist"
#define MOST_NAME  4096 /* bytes of a mailbox name in a dump */
#define USAGE_EXIT 1    /* as Cyrus's */

struct options {
	const char *conf_path, *partition, *file;
	int operation; /* 'd', 'u', 'm', 'v' */
	bool remove, intermediates;
};

static int usage(void)
{
	fputs("DUMP:\n"
	      "  " PROGRAM " [-C <alt_config>] -d [-x] [-y] [-p partition] [-f filename]\n"
	      "UNDUMP:\n"
	      "  " PROGRAM " [-C <alt_config>] -u [-f filename] [-L]    [< mboxlist.dump]\n"
	      "VERIFY:\n"
	      "  " PROGRAM " [-C <alt_config>] -v [-f filename]\n",
	      stderr);
	return USAGE_EXIT;
}

/* Of two operations none is meant. */
static int read_options(struct options *o, int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "C:awmdurcxf:p:viyL")) != -1) {
		if (letter == 'C')
			o->conf_path = optarg;
		else if (letter == 'p')
			o->partition = optarg;
		else if (letter == 'f')
			o->file = optarg;
		else if (letter == 'x')
			o->remove = true;
		else if (letter == 'y')
			o->intermediates = true;
		else if (strchr("dumv", letter) && !o->operation)
			o->operation = letter;
		else if (!strchr("awiL", letter))
			return usage();
	}
	if (!o->operation || optind < argc || (o->remove && o->operation != 'd'))
		return usage();
	return 0;
}

/* There is one list of mailboxes. A script that says -f says where Cyrus's was. */
static int check_file(const struct tool *t, const struct options *o, struct us_err *err)
{
	char *known;
	bool is_known;

	if (!o->file)
		return 0;
	known = us_asprintf("%s/mailboxes.db", conf_str(t->conf, CONF_configdirectory));
	is_known = strcmp(o->file, known) == 0;
	free(known);
	return is_known ? 0
			: us_fail(err, US_EBUSY,
				  "can't read mailboxes file %s: metad(8) keeps the only one",
				  o->file);
}

/* ---- values as JSON ------------------------------------------------------------------------------ */

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

/* ---- dump --------------------------------------------------------------------------------------- */

struct dump {
	struct tool *tool;
	const struct options *opt;
	struct buf *names; /* dumped, to be removed; NUL behind each */
	bool any;
};

static void print_entry(struct dump *d, struct span name, const struct mailbox_row *row)
{
	json_t *key = json_text(name), *object = row_json(name, row);
	char *key_text = json_dumps(key, JSON_ENCODE_ANY);
	char *text = json_dumps(object, JSON_PRESERVE_ORDER);

	printf("%s\n%s: %s", d->any ? "," : "", key_text ? key_text : "\"\"", text ? text : "{}");
	d->any = true;
	free(key_text);
	free(text);
	json_decref(key);
	json_decref(object);
}

static bool is_wanted(const struct dump *d, const struct mailbox_row *row)
{
	if (mboxtype_has(row->type, MBOXTYPE_INTERMEDIATE) && !d->opt->intermediates)
		return false;
	return !d->opt->partition || span_is(row->partition, d->opt->partition);
}

static int dump_row(void *ctx, struct span name, const struct mailbox_row *row,
		    struct us_err *err UNUSED)
{
	struct dump *d = ctx;

	if (!is_wanted(d, row))
		return 0;
	print_entry(d, name, row);
	if (d->names && !mboxtype_has(row->type, MBOXTYPE_DELETED)) {
		buf_add_span(d->names, name);
		buf_add_char(d->names, '\0');
	}
	return 0;
}

/* Only when all of the dump was written: what is removed must be on paper. */
static int remove_dumped(struct dump *d, struct us_err *err)
{
	struct span rest = buf_span(d->names), name;
	int rc = 0;

	if (fflush(stdout) != 0 || ferror(stdout))
		return us_fail_errno(err, "the dump cannot be written, nothing is removed");
	while (rc == 0 && span_split(&rest, '\0', &name))
		if (name.len)
			rc = folder_delete(d->tool->host.store, name, FOLDER_DELETE_TRASH, err);
	return rc;
}

static int dump(struct tool *t, const struct options *o, struct us_err *err)
{
	struct buf names = BUF_INIT;
	struct dump d = {.tool = t, .opt = o, .names = o->remove ? &names : NULL};
	int rc;

	putchar('{');
	/* A tombstone is on no partition. */
	rc = mboxlist_each(t->host.store, /* dead */ !o->partition, dump_row, &d, err);
	fputs(d.any ? "\n}\n" : "\n\n}\n", stdout);
	if (rc == 0 && d.names)
		rc = remove_dumped(&d, err);
	buf_free(&names);
	return rc;
}

/* ---- undump: reading ------------------------------------------------------------------------------ */

static int next_byte(void)
{
	int c;

	do
		c = getchar();
	while (c == ' ' || c == '\t' || c == '\r' || c == '\n');
	return c;
}

static int parse_error(struct us_err *err, const char *what)
{
	return us_fail(err, US_EINVAL, "parse error in the dump: %s", what);
}

/* A JSON value that begins here; what follows it stays unread. */
static json_t *read_value(struct us_err *err)
{
	json_error_t error;
	json_t *value = json_loadf(stdin, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);

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

/* ---- undump: carrying out -------------------------------------------------------------------------- */

/* One entry. What is wrong with one does not stop the others. */
static int restore_entry(struct tool *t, struct span name, json_t *object, struct us_err *err)
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
	rc = mboxlist_put(t->host.store, name, &row, err);
	buf_free(&acl);
	return rc < 0 ? us_err_prefix(err, "%.*s", SPAN_ARG(name)) : 0;
}

/* "name": {...}; *failed if it could not be carried out. */
static int undump_one(struct tool *t, bool *failed, struct us_err *err)
{
	json_t *key = read_value(err), *object = NULL;
	int rc = key ? 0 : US_EINVAL;

	if (rc == 0 && (!json_is_string(key) || json_string_length(key) > MOST_NAME))
		rc = parse_error(err, "a name is expected");
	if (rc == 0 && next_byte() != ':')
		rc = parse_error(err, "':' is expected");
	if (rc == 0 && !(object = read_value(err)))
		rc = US_EINVAL;
	if (rc == 0 && !json_is_object(object))
		rc = parse_error(err, "an object is expected");
	if (rc == 0 && restore_entry(t, span_make(json_string_value(key), json_string_length(key)),
				     object, err) < 0) {
		tool_warn(t, err);
		*failed = true;
	}
	json_decref(key);
	json_decref(object);
	return rc;
}

static int undump(struct tool *t, struct us_err *err)
{
	bool failed = false;
	int c, rc = 0;

	if (next_byte() != '{')
		return parse_error(err, "'{' is expected");
	c = next_byte();
	if (c == '}')
		return 0;
	ungetc(c, stdin);
	do {
		rc = undump_one(t, &failed, err);
		c = rc == 0 ? next_byte() : EOF;
	} while (c == ',');
	if (rc == 0 && c != '}')
		rc = parse_error(err, "'}' is expected");
	return rc < 0 ? rc : failed ? EX_DATAERR : 0;
}

/* ---- verify --------------------------------------------------------------------------------------- */

struct verify {
	struct tool *tool;
	unsigned n;
};

static int verify_row(void *ctx, struct span name, const struct mailbox_row *row,
		      struct us_err *err UNUSED)
{
	struct verify *v = ctx;
	struct partition *p = store_partition(v->tool->host.store, row->local_partition);
	int dir = -1;

	if (!mailbox_row_is_real(row))
		return 0;
	if (!p || partition_open_mailbox(p, &row->storeid, &dir, NULL) < 0) {
		printf("'%.*s' has a DB entry but no directory on partition '%.*s'\n",
		       SPAN_ARG(name), SPAN_ARG(row->local_partition));
		v->n++;
	}
	io_close(&dir);
	return 0;
}

static int verify(struct tool *t, struct us_err *err)
{
	struct verify v = {t, 0};
	int rc = folder_list(t->host.store, SPAN_NULL, verify_row, &v, err);

	return rc < 0 ? rc : v.n ? EX_DATAERR : 0;
}

/* ---- main ------------------------------------------------------------------------------------------ */

static int work(struct tool *t, const struct options *o, struct us_err *err)
{
	int rc = check_file(t, o, err);

	if (rc < 0)
		return rc;
	switch (o->operation) {
	case 'd':
		return dump(t, o, err);
	case 'u':
		return undump(t, err);
	case 'v':
		return verify(t, err);
	default:
		return us_fail(err, US_ENOTSUP, "there is no mupdate server in this configuration");
	}
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct us_err err = US_ERR_INIT;
	struct tool t;
	int rc = read_options(&o, argc, argv);

	if (rc)
		return rc;
	rc = tool_begin(&t, PROGRAM, o.conf_path,
			o.operation == 'u' || o.remove ? HOST_STORE_WRITE : HOST_STORE_READ, &err);
	if (rc == 0)
		rc = work(&t, &o, &err);
	return tool_end(&t, rc, &err);
}
