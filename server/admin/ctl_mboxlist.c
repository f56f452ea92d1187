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
 * The text is listdump.h's.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/admin/listdump.h"
#include "server/admin/mboxlist.h"
#include "server/admin/tool.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/acl.h"
#include "server/store/folder.h"
#include "server/store/partition.h"
#include "server/store/rows.h"

#define PROGRAM    "ctl_mboxlist"
#define USAGE_EXIT 1 /* as Cyrus's */

struct options {
	const char *conf_path, *partition, *file;
	int operation; /* 'd', 'u', 'm', 'v' */
	bool remove, intermediates, legacy;
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
		else if (letter == 'L')
			o->legacy = true;
		else if (strchr("dumv", letter) && !o->operation)
			o->operation = letter;
		else if (!strchr("awi", letter))
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

/* ---- dump --------------------------------------------------------------------------------------- */

struct dump {
	struct tool *tool;
	const struct options *opt;
	struct buf *names; /* dumped, to be removed; NUL behind each */
	bool any;
};

static void print_entry(struct dump *d, struct span name, const struct mailbox_row *row)
{
	struct buf text = BUF_INIT;

	listdump_format(name, row, &text);
	printf("%s\n%s", d->any ? "," : "", text.data);
	d->any = true;
	buf_free(&text);
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

/* ---- undump --------------------------------------------------------------------------------------- */

struct undump {
	struct tool *tool;
	bool failed; /* an entry could not be carried out */
};

/* What is wrong with one entry does not stop the others. */
static int restore_entry(void *ctx, struct span name, const struct mailbox_row *row,
			 struct us_err *err)
{
	struct undump *u = ctx;

	if (mboxlist_put(u->tool->host.store, name, row, err) < 0) {
		us_err_prefix(err, "%.*s", SPAN_ARG(name));
		tool_warn(u->tool, err);
		u->failed = true;
	}
	return 0;
}

static void complain_of_line(void *ctx, const struct us_err *err)
{
	struct undump *u = ctx;

	tool_warn(u->tool, err);
	u->failed = true;
}

static int undump(struct tool *t, const struct options *o, struct us_err *err)
{
	struct undump u = {.tool = t};
	int rc = o->legacy ? listdump_read_lines(stdin, restore_entry, complain_of_line, &u, err)
			   : listdump_read(stdin, restore_entry, &u, err);

	return rc < 0 ? rc : u.failed ? EX_DATAERR : 0;
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
		return undump(t, o, err);
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
