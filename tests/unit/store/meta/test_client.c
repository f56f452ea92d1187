/* test_client.c - clients and metad's loop, over a real socket; the server lives in a child that tests kill. */
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/process.h"
#include "server/base/wait.h"
#include "server/store/meta/packet.h"
#include "server/store/meta/server.h"

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct rig {
	char root[40], dir[60], socket[60];
	int listen_fd; /* ours, as it is master's */
	pid_t server;
	struct failpoint_page *page; /* shared with the server */
	struct meta *meta;
	struct us_err err;
};

/* ---- the server ---------------------------------------------------------------------------------- */

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 100), 0);
	return fd;
}

static void serve(struct rig *rig, size_t max_clients)
{
	struct meta_server_config config = {.listen_fd = rig->listen_fd,
					    .max_request = 16u << 20,
					    .max_clients = max_clients};
	struct engine_config tables = {.directory = rig->dir, .wait_ms = 2000};
	struct meta_server *server;
	struct us_err err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (engine_open(&tables, &config.engine, &err) < 0)
		_exit(2);
	failpoint_use(rig->page);
	if (meta_server_new(&config, &server, &err) < 0)
		_exit(3);
	while (!engine_failed(config.engine)) {
		(void)meta_server_turn(server, 100, NULL, &err);
		(void)engine_tend(config.engine, &err);
	}
	_exit(1);
}

static void start_server(struct rig *rig, size_t max_clients)
{
	rig->server = fork();
	assert_true(rig->server >= 0);
	if (rig->server == 0)
		serve(rig, max_clients);
}

static void kill_server(struct rig *rig)
{
	int status;

	kill(rig->server, SIGKILL);
	assert_int_equal(waitpid(rig->server, &status, 0), rig->server);
}

static struct meta *client(struct rig *rig, unsigned wait_ms)
{
	struct meta_config config = {.directory = rig->dir,
				     .socket = rig->socket,
				     .wait_ms = wait_ms};
	struct meta *meta;

	assert_ok(meta_open(&config, &meta, &rig->err), &rig->err);
	return meta;
}

static int setup(void **state)
{
	struct rig *rig = us_calloc(1, sizeof(*rig));

	strcpy(rig->root, "/tmp/us-metad-XXXXXX");
	assert_non_null(mkdtemp(rig->root));
	snprintf(rig->dir, sizeof(rig->dir), "%s/meta", rig->root);
	snprintf(rig->socket, sizeof(rig->socket), "%s/metad", rig->root);
	rig->page = mmap(NULL, sizeof(*rig->page), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	failpoint_page_init(rig->page);
	rig->listen_fd = listen_at(rig->socket);
	start_server(rig, 100);
	rig->meta = client(rig, 20000);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char command[80];

	meta_close(&rig->meta);
	kill_server(rig);
	close(rig->listen_fd);
	munmap(rig->page, sizeof(*rig->page));
	snprintf(command, sizeof(command), "rm -rf %s", rig->root);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

/* ---- helpers ------------------------------------------------------------------------------------- */

static int try_put(struct meta *meta, const char *key, const char *payload,
		   enum meta_durability durability, struct us_err *err)
{
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	meta_batch_put(&batch, META_QUOTA, span_of(key), span_of(payload));
	rc = meta_commit(meta, &batch, durability, err);
	meta_batch_fini(&batch);
	return rc;
}

static void put(struct rig *rig, struct meta *meta, const char *key, const char *payload)
{
	assert_ok(try_put(meta, key, payload, META_DURABLE, &rig->err), &rig->err);
}

static struct meta_stamp expect_row(struct rig *rig, struct meta *meta, const char *key,
				    const char *payload)
{
	struct buf text = BUF_INIT;
	struct meta_stamp stamp = {0, 0, 0};
	int rc = meta_get(meta, META_QUOTA, span_of(key), &text, &stamp, &rig->err);

	assert_ok(rc, &rig->err);
	assert_int_equal(rc, payload != NULL);
	assert_string_equal(text.data, payload ? payload : "");
	buf_free(&text);
	return stamp;
}

static uint64_t figure(struct rig *rig, const char *name)
{
	struct buf text = BUF_INIT;
	const char *at;
	uint64_t n;

	assert_ok(meta_stat(rig->meta, &text, &rig->err), &rig->err);
	at = strstr(text.data, name);
	assert_non_null(at);
	n = strtoull(at + strlen(name), NULL, 10);
	buf_free(&text);
	return n;
}

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* ---- tests --------------------------------------------------------------------------------------- */

static void what_one_writes_the_other_reads(void **state)
{
	struct rig *rig = *state;
	struct meta *other = client(rig, 20000);

	expect_row(rig, other, "a", NULL);
	put(rig, rig->meta, "a", "1");
	expect_row(rig, other, "a", "1");
	expect_row(rig, rig->meta, "a", "1");
	put(rig, other, "a", "2");
	expect_row(rig, rig->meta, "a", "2");
	expect_row(rig, other, "b", NULL);
	expect_row(rig, other, "b", NULL);
	meta_close(&other);
}

static void a_row_asked_for_again_is_remembered(void **state)
{
	struct rig *rig = *state;
	uint64_t before;

	put(rig, rig->meta, "a", "1");
	expect_row(rig, rig->meta, "a", "1"); /* finds the file of generations */
	pause_ms(1100);
	expect_row(rig, rig->meta, "a", "1");
	expect_row(rig, rig->meta, "nothing", NULL);
	before = figure(rig, "gets=");
	for (int i = 0; i < 100; i++) {
		expect_row(rig, rig->meta, "a", "1");
		expect_row(rig, rig->meta, "nothing", NULL);
	}
	assert_int_equal(figure(rig, "gets="), before);
	put(rig, rig->meta, "nothing", "now");
	expect_row(rig, rig->meta, "nothing", "now");
	assert_int_equal(figure(rig, "gets="), before + 1);
	kill_server(rig);
	start_server(rig, 100);
	assert_int_equal(figure(rig, "gets="), 0); /* it is there */
	expect_row(rig, rig->meta, "nothing", "now");
	assert_int_equal(figure(rig, "gets="), 1); /* another epoch */
}

static void give_serial(struct rig *rig, uint64_t serial)
{
	struct meta_batch batch;

	meta_batch_init(&batch);
	meta_batch_serial(&batch, META_QUOTA, SPAN_LIT("a"), serial);
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	meta_batch_fini(&batch);
}

static uint64_t serial_of(struct rig *rig)
{
	struct buf text = BUF_INIT;
	struct meta_stamp stamp = {0, 0, 0};

	assert_int_equal(meta_get(rig->meta, META_QUOTA, SPAN_LIT("a"), &text, &stamp, &rig->err),
			 1);
	buf_free(&text);
	return stamp.serial;
}

/* Each delivery raises one: nobody has to ask for the row again because of that. Who needs the serial does. */
static void a_serial_costs_nothing_that_is_remembered(void **state)
{
	struct rig *rig = *state;
	uint64_t before;

	put(rig, rig->meta, "a", "1");
	expect_row(rig, rig->meta, "a", "1");
	pause_ms(1100);
	expect_row(rig, rig->meta, "a", "1");
	before = figure(rig, "gets=");
	for (uint64_t i = 1; i <= 20; i++) {
		give_serial(rig, i);
		expect_row(rig, rig->meta, "a", "1");
	}
	assert_int_equal(figure(rig, "gets="), before);
	meta_forget(rig->meta, META_QUOTA, SPAN_LIT("a"));
	meta_forget(rig->meta, META_QUOTA, SPAN_LIT("not remembered"));
	assert_int_equal(serial_of(rig), 20);
	assert_int_equal(serial_of(rig), 20);
	assert_int_equal(figure(rig, "gets="), before + 1);
}

/* Somebody removes the file of generations, and another owner makes a new one. */
static void a_lost_file_of_generations_is_noticed(void **state)
{
	struct rig *rig = *state;
	struct meta *other = client(rig, 20000);
	char path[90];

	put(rig, rig->meta, "a", "1");
	expect_row(rig, rig->meta, "a", "1");
	pause_ms(1100);
	expect_row(rig, rig->meta, "a", "1");
	kill_server(rig);
	snprintf(path, sizeof(path), "%s/generations", rig->dir);
	assert_int_equal(unlink(path), 0);
	start_server(rig, 100);
	put(rig, other, "a", "2");
	pause_ms(1100);
	expect_row(rig, rig->meta, "a", "2");
	meta_close(&other);
}

/* It looks whether metad is there, and is its client then, from the first question on. */
static void a_tool_is_a_client_where_metad_runs(void **state)
{
	struct rig *rig = *state;
	struct meta_config config = {.directory = rig->dir,
				     .socket = rig->socket,
				     .may_own = true,
				     .wait_ms = 20000};
	struct meta *tool;

	put(rig, rig->meta, "a", "1");
	assert_ok(meta_open(&config, &tool, &rig->err), &rig->err);
	put(rig, tool, "b", "2");
	expect_row(rig, tool, "a", "1");
	expect_row(rig, rig->meta, "b", "2");
	meta_close(&tool);
}

static int count(void *ctx, struct span key UNUSED, struct span payload UNUSED,
		 const struct meta_stamp *stamp UNUSED)
{
	++*(unsigned *)ctx;
	return 0;
}

static void large_things_go_over_the_socket(void **state)
{
	struct rig *rig = *state;
	char *large = us_calloc(1, META_PAYLOAD_MAX + 1), key[16];
	struct meta_batch batch;
	unsigned n = 0;

	memset(large, 'x', META_PAYLOAD_MAX);
	put(rig, rig->meta, "large", large);
	expect_row(rig, rig->meta, "large", large);
	large[1000] = '\0';
	meta_batch_init(&batch);
	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		meta_batch_put(&batch, META_SEEN, span_of(key), span_of(large));
	}
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	assert_ok(meta_range(rig->meta, META_SEEN, SPAN_NULL, SPAN_NULL, 0, count, &n, &rig->err),
		  &rig->err);
	assert_int_equal(n, 10000);
	for (int i = 0; i < 10000; i++)
		meta_batch_put(&batch, META_SEEN, span_of("again"), span_of(large));
	/* More than the server takes: a refusal, and the next question is answered again. */
	assert_int_equal(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), US_ELIMIT);
	meta_batch_fini(&batch);
	put(rig, rig->meta, "after", "1");
	free(large);
}

static void a_child_has_a_connection_of_its_own(void **state)
{
	struct rig *rig = *state;
	int status;
	pid_t child;

	put(rig, rig->meta, "a", "1");
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		meta_after_fork(rig->meta);
		for (int i = 0; i < 200; i++)
			if (try_put(rig->meta, "child", "x", META_LAZY, &rig->err) < 0)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 200; i++)
		put(rig, rig->meta, "parent", "y");
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	expect_row(rig, rig->meta, "child", "x");
	expect_row(rig, rig->meta, "parent", "y");
}

static void clients_wait_while_metad_restarts(void **state)
{
	struct rig *rig = *state;
	char key[16];
	int status;
	pid_t child;

	put(rig, rig->meta, "k", "1");
	kill_server(rig);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) { /* starts another in a while */
		pause_ms(300);
		close(0);
		serve(rig, 100);
	}
	put(rig, rig->meta, "k", "2"); /* waits */
	expect_row(rig, rig->meta, "k", "2");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	start_server(rig, 100);
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(rig, rig->meta, key, key);
		kill_server(rig);
		start_server(rig, 100);
		expect_row(rig, rig->meta, key, key);
	}
}

/* Dead masters leave children that are told to stop and ask metad a hundred things more. */
static void who_is_to_stop_waits_for_no_other_master(void **state)
{
	struct rig *rig = *state;
	struct meta *patient = client(rig, 60000);
	int64_t began = wait_clock_ms();

	kill_server(rig);
	close(rig->listen_fd);
	process_flags.stop = 1;
	for (int i = 0; i < 3; i++)
		assert_int_equal(try_put(patient, "a", "1", META_DURABLE, &rig->err), US_ETIMEOUT);
	process_flags.stop = 0;
	assert_true(wait_clock_ms() < began + 30000);
	unlink(rig->socket);
	rig->listen_fd = listen_at(rig->socket);
	start_server(rig, 100);
	process_flags.stop =
		1; /* while there is one he is asked, though he is only just starting */
	put(rig, patient, "a", "2");
	process_flags.stop = 0;
	meta_close(&patient);
}

static void no_metad_is_a_timeout(void **state)
{
	struct rig *rig = *state;
	struct meta *hasty = client(rig, 300);

	kill_server(rig);
	assert_int_equal(try_put(hasty, "a", "1", META_DURABLE, &rig->err), US_ETIMEOUT);
	start_server(rig, 100);
	expect_row(rig, rig->meta, "a", NULL); /* who gave up has given up */
	put(rig, hasty, "a", "2");
	meta_close(&hasty);
}

/* A batch dies with metad in the middle of it and is sent again: done once, conditions and all. */
static void a_batch_is_repeated_and_recognised(void **state)
{
	static const char *const points[] = {"meta.db.write", "meta.db.fsync", "meta.reply"};
	struct rig *rig = *state;

	put(rig, rig->meta, "a", "0");
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		struct meta_stamp before =
			expect_row(rig, rig->meta, "a", NULL == points[i] ? "" : (i ? "n" : "0"));
		struct meta_batch batch;
		int status;
		pid_t nurse;

		snprintf(rig->page->name, sizeof(rig->page->name), "%s", points[i]);
		rig->page->fired = 0;
		rig->page->countdown = 0;
		rig->page->action = FAILPOINT_KILL;
		nurse = fork();
		assert_true(nurse >= 0);
		if (nurse == 0) {
			while (!rig->page->fired)
				pause_ms(1);
			pause_ms(30);
			serve(rig, 100);
		}
		meta_batch_init(&batch);
		meta_batch_expect(&batch, META_QUOTA, SPAN_LIT("a"), before.version);
		meta_batch_put(&batch, META_QUOTA, SPAN_LIT("a"), SPAN_LIT("n"));
		assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
		assert_true(expect_row(rig, rig->meta, "a", "n").nonce == batch.nonce);
		meta_batch_fini(&batch);
		assert_int_equal(rig->page->fired, 1);
		waitpid(rig->server, &status, 0);
		rig->server = nurse;
	}
}

static void a_failed_sync_is_never_a_yes(void **state)
{
	struct rig *rig = *state;
	struct meta *hasty = client(rig, 500);
	int status;

	put(rig, rig->meta, "a", "1");
	snprintf(rig->page->name, sizeof(rig->page->name), "meta.db.fsync");
	rig->page->action = FAILPOINT_EIO;
	assert_int_equal(try_put(hasty, "a", "2", META_DURABLE, &rig->err), US_ETIMEOUT);
	assert_int_equal(rig->page->fired, 1);
	assert_int_equal(waitpid(rig->server, &status, 0), rig->server);
	assert_int_equal(WEXITSTATUS(status), 1);
	start_server(rig, 100);
	put(rig, rig->meta, "b", "2");
	expect_row(rig, rig->meta, "b", "2");
	meta_close(&hasty);
}

static void barriers_and_lazy_batches(void **state)
{
	struct rig *rig = *state;
	uint64_t flushes = figure(rig, "flushes=");

	for (int i = 0; i < 50; i++)
		assert_ok(try_put(rig->meta, "lazy", "1", META_LAZY, &rig->err), &rig->err);
	assert_true(figure(rig, "flushes=") <= flushes + 1);
	assert_ok(meta_barrier(rig->meta, &rig->err), &rig->err);
	assert_true(figure(rig, "flushes=") > flushes);
	kill_server(rig);
	start_server(rig, 100);
	expect_row(rig, rig->meta, "lazy", "1");
	assert_ok(try_put(rig->meta, "lazy", "2", META_LAZY, &rig->err), &rig->err);
	pause_ms(1300); /* it promised a second */
	kill_server(rig);
	start_server(rig, 100);
	expect_row(rig, rig->meta, "lazy", "2");
}

/* ---- strangers ------------------------------------------------------------------------------------ */

static int dial(struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {10, 0};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->socket);
	assert_int_equal(connect(fd, (void *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* Send bytes; what comes until the server hangs up, or as long as `enough` bytes are not there. */
static size_t talk(int fd, struct span bytes, char *in, size_t size, size_t enough)
{
	size_t n = 0;

	assert_int_equal(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), bytes.len);
	while (n < enough) {
		ssize_t got = recv(fd, in + n, size - n, 0);
		assert_true(got >= 0);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return n;
}

static void strangers_are_told_and_shown_out(void **state)
{
	static const char *const junk[] = {"\x10\0\0\0\x63\0\0\0aaaaaaaa",
					   "\1\0\0\0\1\0\0\0aaaaaaaa",
					   "\x10\0\0\0\x04\0\0\0aaaaaaaa", /* no HELLO */
					   "\x14\0\0\0\x01\0\0\0aaaaaaaa\x09\0\0\0"};
	static const size_t lengths[] = {16, 16, 16, 20};
	struct rig *rig = *state;
	char in[1000];

	for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
		int fd = dial(rig);
		size_t n = talk(fd, span_make(junk[i], lengths[i]), in, sizeof(in), sizeof(in));
		struct packet packet;
		struct span body;
		size_t used;
		assert_int_equal(packet_next(span_make(in, n), &packet, &used, &rig->err), 1);
		assert_true(answer_parse(packet.body, &body, &rig->err) == US_EPROTO);
		close(fd);
	}
	put(rig, rig->meta, "a", "1");
}

static void requests_of_a_connection_keep_their_order(void **state)
{
	static const unsigned kinds[] = {PACKET_HELLO, PACKET_BARRIER, PACKET_GET, PACKET_BARRIER,
					 PACKET_STAT};
	struct rig *rig = *state;
	struct buf out = BUF_INIT, hello = BUF_INIT, get = BUF_INIT;
	char in[4000];
	int fd = dial(rig);
	size_t n, at = 0;

	request_hello(&hello);
	request_get(&get, META_QUOTA, SPAN_LIT("x"));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		message_put(&out, kinds[i], 100 + i,
			    kinds[i] == PACKET_HELLO ? buf_span(&hello)
			    : kinds[i] == PACKET_GET ? buf_span(&get)
						     : SPAN_NULL);
	n = talk(fd, buf_span(&out), in, sizeof(in), 16 + 8 + 4 + 2 * 24 + 24 + 8 + 16 + 8 + 60);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet packet;
		size_t used;
		assert_int_equal(packet_next(span_make(in + at, n - at), &packet, &used, &rig->err),
				 1);
		assert_int_equal(packet.kind, kinds[i] | PACKET_ANSWER);
		assert_int_equal(packet.number, 100 + i);
		at += used;
	}
	close(fd);
	buf_free(&out);
	buf_free(&hello);
	buf_free(&get);
}

/* What somebody sent who has gone is not done any more; what he had been answered is. */
static void a_batch_of_the_dead_is_dropped(void **state)
{
	struct rig *rig = *state;
	struct buf out = BUF_INIT, body = BUF_INIT;
	struct meta_batch batch;
	int fd;

	put(rig, rig->meta, "a", "1");
	kill(rig->server, SIGSTOP);
	fd = dial(rig);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_QUOTA, SPAN_LIT("a"), SPAN_LIT("stale"));
	request_hello(&body);
	message_put(&out, PACKET_HELLO, 1, buf_span(&body));
	buf_clear(&body);
	meta_batch_encode(&batch, &body);
	message_put(&out, PACKET_BATCH, 2, buf_span(&body));
	assert_int_equal(send(fd, out.data, out.len, 0), out.len);
	close(fd);
	kill(rig->server, SIGCONT);
	assert_ok(meta_barrier(rig->meta, &rig->err), &rig->err);
	expect_row(rig, rig->meta, "a", "1");
	meta_batch_fini(&batch);
	buf_free(&out);
	buf_free(&body);
}

static void more_clients_than_allowed_wait(void **state)
{
	struct rig *rig = *state;
	struct meta *clients[6];

	kill_server(rig);
	start_server(rig, 4);
	put(rig, rig->meta, "a", "1");
	for (int i = 0; i < 3; i++) {
		clients[i] = client(rig, 20000);
		expect_row(rig, clients[i], "a", "1");
	}
	clients[3] = client(rig, 200);
	assert_int_equal(try_put(clients[3], "a", "2", META_DURABLE, &rig->err), US_ETIMEOUT);
	meta_close(&clients[0]);
	put(rig, clients[3], "a", "3");
	expect_row(rig, rig->meta, "a", "3");
	for (int i = 1; i < 4; i++)
		meta_close(&clients[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_one_writes_the_other_reads),
		T(a_row_asked_for_again_is_remembered),
		T(a_serial_costs_nothing_that_is_remembered),
		T(a_lost_file_of_generations_is_noticed),
		T(a_tool_is_a_client_where_metad_runs),
		T(large_things_go_over_the_socket),
		T(a_child_has_a_connection_of_its_own),
		T(clients_wait_while_metad_restarts),
		T(who_is_to_stop_waits_for_no_other_master),
		T(no_metad_is_a_timeout),
		T(a_batch_is_repeated_and_recognised),
		T(a_failed_sync_is_never_a_yes),
		T(barriers_and_lazy_batches),
		T(strangers_are_told_and_shown_out),
		T(requests_of_a_connection_keep_their_order),
		T(a_batch_of_the_dead_is_dropped),
		T(more_clients_than_allowed_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
