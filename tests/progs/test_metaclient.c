/* test_metaclient.c - a client of metad for the tests: writes rows and says which were acknowledged, or looks for them.
 *
 *	test_metaclient CONFIGDIRECTORY write ID [lazy]	row after row until TERM; each number is printed when it is durable
 *	test_metaclient CONFIGDIRECTORY check ID N	are rows 0 .. N-1 there, each with what was written?
 *	test_metaclient CONFIGDIRECTORY try ID		one row; prints the US_E code and the text of the error
 *	test_metaclient CONFIGDIRECTORY hold		take the tables, say so, keep them until TERM
 *
 * Every row comes in a batch of three: the row, a copy of it, and a counter that must have been one less.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/mem.h"
#include "server/base/process.h"
#include "server/base/wait.h"
#include "server/store/meta/meta.h"

#define WAIT_MS 20000

static int usage(void)
{
	fputs("usage: test_metaclient configdirectory write|check|try|hold id [n]\n", stderr);
	return 64;
}

static struct meta *open_meta(const char *dir, bool may_own)
{
	char *meta_dir = us_asprintf("%s/meta", dir), *socket = us_asprintf("%s/socket/metad", dir);
	struct meta_config config = {.directory = meta_dir,
				     .socket = socket,
				     .may_own = may_own,
				     .wait_ms = may_own ? 300 : WAIT_MS};
	struct meta *meta;
	struct us_err err;

	if (meta_open(&config, &meta, &err) < 0) {
		printf("%d %s\n", err.code, err.text);
		exit(1);
	}
	free(meta_dir);
	free(socket);
	return meta;
}

static void payload_of(const char *id, long n, char out[120])
{
	snprintf(out, 120, "%%(ID %s N %ld TEXT \"some more bytes, as rows have them %ld\")", id, n,
		 n * 7919);
}

static int write_row(struct meta *meta, const char *id, long n, enum meta_durability durability,
		     uint64_t *counter_version, struct us_err *err)
{
	char key[80], counter[80], payload[120];
	struct buf ignored = BUF_INIT;
	struct meta_stamp stamp;
	struct meta_batch batch;
	int rc;

	snprintf(key, sizeof(key), "%s/%ld", id, n);
	snprintf(counter, sizeof(counter), "counter/%s", id);
	payload_of(id, n, payload);
	meta_batch_init(&batch);
	meta_batch_expect(&batch, META_QUOTA, span_of(counter), *counter_version);
	meta_batch_put(&batch, META_QUOTA, span_of(counter), span_of(payload));
	meta_batch_put(&batch, META_QUOTA, span_of(key), span_of(payload));
	meta_batch_put(&batch, META_SEEN, span_of(key), span_of(payload));
	rc = meta_commit(meta, &batch, durability, err);
	if (rc == 0)
		rc = meta_get(meta, META_QUOTA, span_of(counter), &ignored, &stamp, err);
	if (rc > 0 && stamp.nonce != batch.nonce)
		rc = us_fail(err, US_ECORRUPT, "the counter is another's");
	if (rc > 0)
		*counter_version = stamp.version;
	meta_batch_fini(&batch);
	buf_free(&ignored);
	return rc == 0 ? us_fail(err, US_ENOENT, "the counter is not there") : rc;
}

static int write_rows(struct meta *meta, const char *id, enum meta_durability durability)
{
	uint64_t version = 0;
	int64_t worst = 0;
	struct us_err err;

	for (long n = 0; !process_flags.stop; n++) {
		int64_t began = wait_clock_ms();
		int rc = write_row(meta, id, n, durability, &version, &err);
		if (rc < 0) {
			printf("! %d %s\n", rc, err.text);
			return 1;
		}
		if (wait_clock_ms() - began > worst)
			worst = wait_clock_ms() - began;
		printf("%ld %lld\n", n, (long long)worst);
		fflush(stdout);
	}
	return 0;
}

static int check_row(struct meta *meta, enum meta_table table, const char *id, long n)
{
	char key[80], payload[120];
	struct buf found = BUF_INIT;
	struct meta_stamp stamp;
	struct us_err err;
	int rc, wrong;

	snprintf(key, sizeof(key), "%s/%ld", id, n);
	payload_of(id, n, payload);
	rc = meta_get(meta, table, span_of(key), &found, &stamp, &err);
	wrong = rc <= 0 || strcmp(found.data, payload) != 0;
	if (wrong)
		printf("%s %s: %d %s\n", meta_table_name(table), key, rc,
		       rc < 0 ? err.text : found.data);
	buf_free(&found);
	return wrong;
}

static int check_rows(struct meta *meta, const char *id, long n)
{
	int wrong = 0;

	for (long i = 0; i < n; i++)
		wrong += check_row(meta, META_QUOTA, id, i) + check_row(meta, META_SEEN, id, i);
	printf("%d of %ld are wrong\n", wrong, 2 * n);
	return wrong != 0;
}

static int try_row(struct meta *meta, const char *id)
{
	struct meta_batch batch;
	struct us_err err = US_ERR_INIT;
	int rc;

	meta_batch_init(&batch);
	meta_batch_put(&batch, META_QUOTA, span_of(id), SPAN_LIT("x"));
	rc = meta_commit(meta, &batch, META_DURABLE, &err);
	meta_batch_fini(&batch);
	printf("%d %s\n", rc, err.text);
	return rc < 0;
}

static int hold(void)
{
	puts("held");
	fflush(stdout);
	while (!process_flags.stop)
		(void)wait_ready(NULL, 0, -1, &process_flags.stop, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "", *id = argc > 3 ? argv[3] : "";
	bool holds = strcmp(what, "hold") == 0;
	struct meta *meta;
	int status;

	failpoint_init();
	process_signals_catch();
	if (argc < 3 || (!holds && argc < 4))
		return usage();
	meta = open_meta(argv[1], holds);
	if (holds)
		status = hold();
	else if (strcmp(what, "write") == 0)
		status = write_rows(meta, id, argc > 4 ? META_LAZY : META_DURABLE);
	else if (strcmp(what, "check") == 0)
		status = check_rows(meta, id, argc > 4 ? atol(argv[4]) : 0);
	else if (strcmp(what, "try") == 0)
		status = try_row(meta, id);
	else
		status = usage();
	meta_close(&meta);
	return status;
}
