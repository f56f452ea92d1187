/* ctl_deliver.c - what was delivered where (store/duplicate.h): shown, and forgotten after some days.
 *
 * Marks keep a second copy of a message out of a mailbox. They can be as many as there were deliveries, so somebody must
 * forget the old ones, by an entry among START or EVENTS of cyrus.conf.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/admin/tool.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/duplicate.h"

#define USAGE_STATUS 255 /* as Cyrus's tool has it */
#define MOST_DAYS    36500

struct order {
	const char *conf_path, *file;
	bool dump, prune;
	uint64_t days;
};

static int usage(void)
{
	fputs("ctl_deliver [-C <altconfig>] -d [-f <dbfile>]\n"
	      "ctl_deliver [-C <altconfig>] -E <days>\n",
	      stderr);
	return USAGE_STATUS;
}

/* ---- -d ------------------------------------------------------------------------------------------- */

/* Padded to a width; ids are what strangers sent, and a terminal may read this. */
static void print_word(struct span word, int width)
{
	for (size_t i = 0; i < word.len; i++)
		putchar((unsigned char)word.ptr[i] < ' ' || word.ptr[i] == 0x7f ? '?'
										: word.ptr[i]);
	if (word.len < (size_t)width)
		printf("%*s", width - (int)word.len, "");
}

static int print_entry(void *ctx, const struct duplicate_entry *entry, struct us_err *err UNUSED)
{
	uint64_t *n = ctx;

	fputs("id: ", stdout);
	print_word(entry->id, 40);
	fputs("\tto: ", stdout);
	print_word(entry->uniqueid, 20);
	printf("\tat: %" PRId64 "\tuid: %" PRIu32 "\n", entry->time, entry->uid);
	++*n;
	return 0;
}

static int dump(const struct tool *t, struct us_err *err)
{
	uint64_t n = 0;
	int rc;

	printf("it is NOW: %" PRId64 "\n", (int64_t)time(NULL));
	rc = duplicate_list(t->host.store, print_entry, &n, err);
	if (rc == 0)
		printf("got %" PRIu64 " entries\n", n);
	return rc;
}

/* There is one such database here, whatever directory a Cyrus would look for it in. */
static bool is_ours(const char *file)
{
	const char *slash = file ? strrchr(file, '/') : NULL;

	return !file || strcmp(slash ? slash + 1 : file, "deliver.db") == 0;
}

/* ---- -E ------------------------------------------------------------------------------------------- */

static int64_t keep_since(void *ctx, struct span uniqueid UNUSED)
{
	return *(const int64_t *)ctx;
}

static int prune(const struct tool *t, uint64_t days, struct us_err *err)
{
	/* 0 is everything, also what was delivered within this second. */
	int64_t since = days ? (int64_t)time(NULL) - (int64_t)days * 86400 : INT64_MAX;
	struct duplicate_pruning how = {.keep_since = keep_since, .ctx = &since};
	uint64_t seen, n;
	int rc = duplicate_prune(t->host.store, &how, &seen, &n, err);

	if (n)
		log_event(LOG_INFO, "admin.deliver.pruned", LF_NUM("marks", n));
	return rc;
}

/* ---- the command line ------------------------------------------------------------------------------ */

static bool take_option(struct order *o, int letter)
{
	switch (letter) {
	case 'C':
		o->conf_path = optarg;
		return true;
	case 'd':
		return o->dump = true;
	case 'f':
		o->file = optarg;
		return true;
	case 'E':
		o->prune = true;
		return span_u64(span_of(optarg), MOST_DAYS, &o->days);
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct order o = {0};
	struct us_err err = US_ERR_INIT;
	struct tool t;
	int letter, rc;

	while ((letter = getopt(argc, argv, "C:df:E:")) != -1)
		if (!take_option(&o, letter))
			return usage();
	if (o.dump == o.prune || (o.prune && o.file))
		return usage();
	if (!is_ours(o.file)) {
		fputs("ctl_deliver: unable to init duplicate delivery database\n", stderr);
		return 1;
	}
	rc = tool_begin(&t, "ctl_deliver", o.conf_path,
			o.prune ? HOST_STORE_WRITE : HOST_STORE_READ, &err);
	if (rc == 0)
		rc = o.dump ? dump(&t, &err) : prune(&t, o.days, &err);
	return tool_end(&t, rc, &err);
}
