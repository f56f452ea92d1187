/* test_stream_tls.c - TLS between two streams, and against clients that are not what they should be. */
#include "tests/unit/base/lines.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/tls.h"
#include "tests/unit/certs.h"

static struct fixture {
	char dir[40];
	struct cert ca, other_ca, server, client, odd;
	struct tls_context *tls_server,
		*tls_client; /* usual ones: the client trusts nobody and all */
} fix;

static int make_fixture(void **state UNUSED)
{
	struct tls_config config = {.session_timeout_s = 3600};
	struct us_err err;

	strcpy(fix.dir, "/tmp/us-tls-XXXXXX");
	assert_non_null(mkdtemp(fix.dir));
	cert_make(&fix.ca, fix.dir, "ca", "Test CA", -1, NULL, NULL);
	cert_make(&fix.other_ca, fix.dir, "other", "Other CA", -1, NULL, NULL);
	cert_make(&fix.server, fix.dir, "server", "b.example.net", -1,
		  "DNS:b.example.net,IP:127.0.0.1", &fix.ca);
	cert_make(&fix.client, fix.dir, "client", "replica-a", -1, NULL, &fix.ca);
	cert_make(&fix.odd, fix.dir, "odd", "admin\0x", 7, NULL, &fix.ca);
	config.cert = fix.server.cert_file;
	config.key = fix.server.key_file;
	assert_ok(tls_server_new(&config, &fix.tls_server, &err), &err);
	assert_ok(tls_client_new(&(struct tls_config){0}, &fix.tls_client, &err), &err);
	return 0;
}

static int drop_fixture(void **state UNUSED)
{
	tls_context_free(&fix.tls_server);
	tls_context_free(&fix.tls_client);
	cert_drop(&fix.ca);
	cert_drop(&fix.other_ca);
	cert_drop(&fix.server);
	cert_drop(&fix.client);
	cert_drop(&fix.odd);
	rmdir(fix.dir);
	return 0;
}

/* ---- both ends -------------------------------------------------------------------------------- */

static const struct stream_config patient = {.read_timeout_ms = 5000,
					     .write_timeout_ms = 5000,
					     .quiet_after_ms = 1000,
					     .high_water = 32768};

struct side {
	struct stream *s;
	struct tls_context *tls;
	struct stream_tls how;
	int rc;
	struct us_err err;
};

static void *shake(void *ctx)
{
	struct side *side = ctx;

	/* services give NULL: so does every server here */
	side->rc = stream_start_tls(side->s, side->tls,
				    side->tls == fix.tls_server ? NULL : &side->how, &side->err);
	return NULL;
}

/* Handshake between two streams, each in its thread. */
static void shake_both(struct side *client, struct side *server)
{
	pthread_t thread;

	client->how.timeout_ms = server->how.timeout_ms = 5000;
	assert_int_equal(pthread_create(&thread, NULL, shake, client), 0);
	shake(server);
	/* who has failed goes away, or the other would wait */
	if (server->rc < 0)
		stream_free(&server->s);
	pthread_join(thread, NULL);
}

static void make_sides(struct side *client, struct side *server, struct tls_context *tls_client,
		       struct tls_context *tls_server)
{
	struct stream *end[2];

	stream_pipe(end, &patient);
	*client = (struct side){.s = end[0], .tls = tls_client};
	*server = (struct side){.s = end[1], .tls = tls_server};
}

static void connect_both(struct side *client, struct side *server)
{
	make_sides(client, server, fix.tls_client, fix.tls_server);
	shake_both(client, server);
	assert_ok(client->rc, &client->err);
	assert_ok(server->rc, &server->err);
}

static void free_sides(struct side *client, struct side *server)
{
	stream_free(&client->s);
	stream_free(&server->s);
}

static void tls_carries_lines(void **state UNUSED)
{
	struct side client, server;
	struct stream_tls_info info;

	connect_both(&client, &server);
	send_line(client.s, "NOOP");
	expect_line(server.s, "NOOP");
	send_line(server.s, "OK Noop completed");
	expect_line(client.s, "OK Noop completed");
	assert_true(stream_tls_info(server.s, &info));
	assert_string_equal(info.version, "TLSv1.3");
	assert_true(info.bits >= 128);
	assert_false(info.resumed);
	assert_null(info.peer_name);
	assert_true(stream_tls_info(client.s, &info));
	assert_null(info.peer_name); /* not verified: no name */
	assert_true(stream_stats(client.s).wire_out > stream_stats(client.s).plain_out);
	assert_int_equal(stream_stats(client.s).plain_out, 6);
	assert_int_equal(stream_stats(server.s).plain_in, 6);
	free_sides(&client, &server);
}

static void starttls_follows_its_reply(void **state UNUSED)
{
	struct side client, server;
	struct stream_tls_info info;

	make_sides(&client, &server, fix.tls_client, fix.tls_server);
	send_line(client.s, "STARTTLS");
	expect_line(server.s, "STARTTLS");
	assert_false(stream_tls_info(server.s, &info));
	stream_write_str(server.s, "OK Begin TLS negotiation now\r\n");
	assert_int_equal(stream_start_tls(server.s, fix.tls_server,
					  &(struct stream_tls){.timeout_ms = 0}, &server.err),
			 US_ETIMEOUT); /* the reply went out before */
	expect_line(client.s, "OK Begin TLS negotiation now");
	free_sides(&client, &server);
}

static void names_are_verified_where_there_is_a_ca(void **state UNUSED)
{
	struct row {
		const char *ca, *host;
		bool verify_host;
		int code;
	} rows[] = {
		{NULL, NULL, false, 0},
		{NULL, "b.example.net", false, 0},
		{fix.ca.cert_file, NULL, false, 0},
		{fix.ca.cert_file, "elsewhere.example.net", false, 0},
		{fix.ca.cert_file, "b.example.net", true, 0},
		{fix.ca.cert_file, "127.0.0.1", true, 0},
		{fix.ca.cert_file, "127.0.0.2", true, US_EAUTH},
		{fix.ca.cert_file, "elsewhere.example.net", true, US_EAUTH},
		{fix.other_ca.cert_file, NULL, false, US_EAUTH},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tls_context *tls;
		struct stream_tls_info info;
		struct side client, server;
		struct us_err err;

		assert_ok(tls_client_new(&(struct tls_config){.ca_file = rows[i].ca}, &tls, &err),
			  &err);
		make_sides(&client, &server, tls, fix.tls_server);
		client.how.hostname = rows[i].host;
		client.how.verify_hostname = rows[i].verify_host;
		shake_both(&client, &server);
		if (client.rc != rows[i].code)
			fail_msg("row %zu: %d %s", i, client.rc, client.err.text);
		if (client.rc < 0)
			assert_non_null(strstr(client.err.text, "certificate of the peer: "));
		if (client.rc == 0 && rows[i].ca) {
			assert_true(stream_tls_info(client.s, &info));
			assert_string_equal(info.peer_name, "b.example.net");
		}
		free_sides(&client, &server);
		tls_context_free(&tls);
	}
}

static void verifying_without_a_ca_is_no_verifying(void **state UNUSED)
{
	struct side client, server;

	make_sides(&client, &server, fix.tls_client, fix.tls_server);
	client.how = (struct stream_tls){"b.example.net", true, 1000};
	shake(&client);
	assert_int_equal(client.rc, US_ECONFIG);
	assert_int_equal(stream_stats(client.s).wire_out, 0);
	free_sides(&client, &server);
}

static void client_certificates_give_a_name(void **state UNUSED)
{
	struct row {
		enum tls_client_certs certs;
		const struct cert *shown;
		int code;
		const char *name;
	} rows[] = {
		{TLS_CLIENT_CERTS_OFF, &fix.client, 0, NULL},
		{TLS_CLIENT_CERTS_OPTIONAL, NULL, 0, NULL},
		{TLS_CLIENT_CERTS_OPTIONAL, &fix.client, 0, "replica-a"},
		{TLS_CLIENT_CERTS_OPTIONAL, &fix.other_ca, US_EAUTH, NULL},
		{TLS_CLIENT_CERTS_OPTIONAL, &fix.odd, 0, NULL}, /* a NUL in the name */
		{TLS_CLIENT_CERTS_REQUIRE, &fix.client, 0, "replica-a"},
		{TLS_CLIENT_CERTS_REQUIRE, NULL, US_EPROTO, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tls_config ours = {.cert = fix.server.cert_file,
					  .key = fix.server.key_file,
					  .ca_file = fix.ca.cert_file,
					  .client_certs = rows[i].certs,
					  .session_timeout_s = 60};
		struct tls_config theirs = {0};
		struct tls_context *tls[2];
		struct stream_tls_info info;
		struct side client, server;
		struct us_err err;

		if (rows[i].shown) {
			theirs.cert = rows[i].shown->cert_file;
			theirs.key = rows[i].shown->key_file;
		}
		assert_ok(tls_server_new(&ours, &tls[0], &err), &err);
		assert_ok(tls_client_new(&theirs, &tls[1], &err), &err);
		make_sides(&client, &server, tls[1], tls[0]);
		shake_both(&client, &server);
		if (server.rc != rows[i].code)
			fail_msg("row %zu: %d %s", i, server.rc, server.err.text);
		if (server.rc == 0) {
			assert_true(stream_tls_info(server.s, &info));
			assert_int_equal(info.peer_name != NULL, rows[i].name != NULL);
			if (info.peer_name)
				assert_string_equal(info.peer_name, rows[i].name);
		}
		free_sides(&client, &server);
		tls_context_free(&tls[0]);
		tls_context_free(&tls[1]);
	}
}

static void versions_meet_or_do_not(void **state UNUSED)
{
	static const struct {
		const char *client, *server, *agreed;
	} rows[] = {
		{NULL, "tls1_2", "TLSv1.2"},
		{"tls1_2", NULL, "TLSv1.2"},
		{"tls1_3", "tls1_2 tls1_3", "TLSv1.3"},
		{"tls1_3", "tls1_2", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tls_config ours = {.cert = fix.server.cert_file,
					  .key = fix.server.key_file,
					  .versions = rows[i].server};
		struct tls_context *tls[2];
		struct stream_tls_info info;
		struct side client, server;
		struct us_err err;

		assert_ok(tls_server_new(&ours, &tls[0], &err), &err);
		assert_ok(tls_client_new(&(struct tls_config){.versions = rows[i].client}, &tls[1],
					 &err),
			  &err);
		make_sides(&client, &server, tls[1], tls[0]);
		shake_both(&client, &server);
		if (rows[i].agreed) {
			assert_ok(server.rc, &server.err);
			assert_ok(client.rc, &client.err);
			assert_true(stream_tls_info(server.s, &info));
			assert_string_equal(info.version, rows[i].agreed);
			send_line(client.s, "NOOP");
			expect_line(server.s, "NOOP");
		} else {
			assert_int_equal(server.rc, US_EPROTO);
			assert_int_equal(client.rc, US_EPROTO);
		}
		free_sides(&client, &server);
		tls_context_free(&tls[0]);
		tls_context_free(&tls[1]);
	}
}

/* ---- who comes in between --------------------------------------------------------------------- */

/* Whoever can write into the unprotected connection appends a command to STARTTLS, to have it carried out
 * as if it had come through TLS. */
static void plain_bytes_before_the_handshake_are_refused(void **state UNUSED)
{
	for (int client = 0; client < 2; client++) {
		struct stream *end[2];
		struct us_err err;
		struct span seen;

		stream_pipe(end, &patient);
		send_line(end[0], client ? "OK Begin TLS negotiation now\r\n* CAPABILITY AUTH=PLAIN"
					 : "STARTTLS\r\nAPPLY UNUSER bob");
		expect_line(end[1], client ? "OK Begin TLS negotiation now" : "STARTTLS");
		assert_int_equal(stream_start_tls(end[1], client ? fix.tls_client : fix.tls_server,
						  &(struct stream_tls){.timeout_ms = 1000}, &err),
				 US_EPROTO);
		assert_non_null(strstr(err.text, "unprotected"));
		/* the bytes are gone and no read goes on behind them */
		assert_int_equal(stream_peek(end[1], &seen, &err), US_EPROTO);
		stream_free(&end[0]);
		stream_free(&end[1]);
	}
}

/* The same with the command in a packet of its own: the handshake takes it for what it is not. */
static void plain_bytes_in_the_handshake_break_it(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	struct span seen;

	stream_pipe(end, &patient);
	send_line(end[0], "APPLY UNUSER bob");
	assert_int_equal(stream_start_tls(end[1], fix.tls_server,
					  &(struct stream_tls){.timeout_ms = 1000}, &err),
			 US_EPROTO);
	assert_int_equal(stream_peek(end[1], &seen, &err), US_EPROTO);
	stream_write_str(end[1], "never in the clear");
	assert_int_equal(stream_flush(end[1], &err), US_EPROTO);
	stream_free(&end[1]);
	assert_int_equal(stream_peek(end[0], &seen, &err), 0);
	stream_free(&end[0]);
}

static void handshakes_end(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;

	stream_pipe(end, &patient);
	assert_int_equal(stream_start_tls(end[1], fix.tls_server,
					  &(struct stream_tls){.timeout_ms = 30}, &err),
			 US_ETIMEOUT);
	stream_free(&end[0]);
	stream_free(&end[1]);
	stream_pipe(end, &patient);
	stream_free(&end[0]);
	assert_int_equal(stream_start_tls(end[1], fix.tls_server,
					  &(struct stream_tls){.timeout_ms = -1}, &err),
			 US_ECLOSED);
	stream_free(&end[1]);
}

static void a_spoilt_record_is_a_protocol_error(void **state UNUSED)
{
	struct side client, server;
	struct us_err err;
	struct span seen;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	client = (struct side){.s = stream_new(fds[0], fds[0], &patient), .tls = fix.tls_client};
	server = (struct side){.s = stream_new(fds[1], fds[1], &patient), .tls = fix.tls_server};
	shake_both(&client, &server);
	assert_ok(server.rc, &server.err);
	assert_int_equal(write(fds[0], "\x17\x03\x03\x00\x14 nothing that we sent", 26), 26);
	assert_int_equal(stream_peek(server.s, &seen, &err), US_EPROTO);
	assert_int_equal(stream_peek(server.s, &seen, &err), US_EPROTO);
	free_sides(&client, &server);
}

/* ---- amounts ---------------------------------------------------------------------------------- */

struct load {
	struct stream *s;
	size_t size;
	FILE *file;
};

static void *push_load(void *ctx)
{
	struct load *load = ctx;
	struct us_err err;
	char block[5000];

	for (size_t at = 0; at < load->size; at += sizeof(block)) {
		memset(block, (int)(at / sizeof(block)), sizeof(block));
		stream_write(load->s, block, sizeof(block));
	}
	if (load->file)
		assert_ok(stream_send_file(load->s, fileno(load->file), 0, 100000, &err), &err);
	assert_ok(stream_flush(load->s, &err), &err);
	return NULL;
}

static void read_load(struct stream *s, size_t size)
{
	struct us_err err;
	char block[5000];

	for (size_t at = 0; at < size; at += sizeof(block)) {
		assert_ok(stream_read(s, block, sizeof(block), &err), &err);
		assert_int_equal((unsigned char)block[0], at / sizeof(block) & 255);
		assert_int_equal((unsigned char)block[4999], at / sizeof(block) & 255);
	}
}

/* Both sides send much before they read any of it, through sockets that hold a fraction, with and without
 * compression in between. */
static void much_goes_both_ways_at_once(void **state UNUSED)
{
	for (int round = 0; round < 2; round++) {
		struct side client, server;
		struct load load = {.size = 200000, .file = tmpfile()};
		pthread_t thread;
		struct us_err err;
		char block[5000];
		int fds[2], small = 4096;

		assert_int_equal(ftruncate(fileno(load.file), 100000), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		for (int i = 0; i < 2; i++)
			setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		client = (struct side){.s = stream_new(fds[0], fds[0], &patient),
				       .tls = fix.tls_client};
		server = (struct side){.s = stream_new(fds[1], fds[1], &patient),
				       .tls = fix.tls_server};
		shake_both(&client, &server);
		assert_ok(server.rc, &server.err);
		if (round) {
			assert_ok(stream_start_deflate(client.s, &err), &err);
			assert_ok(stream_start_deflate(server.s, &err), &err);
		}
		load.s = client.s;
		assert_int_equal(pthread_create(&thread, NULL, push_load, &load), 0);
		push_load(&(struct load){.s = server.s, .size = load.size});
		read_load(server.s, load.size);
		for (int i = 0; i < 20; i++)
			assert_ok(stream_read(server.s, block, sizeof(block), &err), &err);
		assert_false(stream_readable(server.s));
		pthread_join(thread, NULL);
		read_load(client.s, load.size);
		free_sides(&client, &server);
		fclose(load.file);
	}
}

/* A record of 16 KB comes whole off the wire, our buffer takes a quarter: nothing is left in the socket for
 * poll to see. */
static void what_openssl_holds_is_readable(void **state UNUSED)
{
	struct side client, server;
	struct us_err err;
	struct span seen;
	char block[16000] = {0};
	size_t total = 0;

	connect_both(&client, &server);
	stream_write(client.s, block, sizeof(block));
	assert_ok(stream_flush(client.s, &err), &err);
	while (total < sizeof(block)) {
		assert_int_equal(stream_wait(server.s, NULL, 0, 0, &err), (int)STREAM_READABLE);
		assert_true(stream_readable(server.s));
		assert_int_equal(stream_peek(server.s, &seen, &err), 1);
		total += seen.len;
		stream_take(server.s, seen.len);
	}
	assert_int_equal(stream_wait(server.s, NULL, 0, 5, &err), 0);
	free_sides(&client, &server);
}

/* ---- ends and returns ------------------------------------------------------------------------- */

static void both_kinds_of_end_are_ends(void **state UNUSED)
{
	for (int polite = 0; polite < 2; polite++) {
		struct side client, server;
		struct us_err err;
		struct span seen;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		client = (struct side){.s = stream_new(fds[0], fds[0], &patient),
				       .tls = fix.tls_client};
		server = (struct side){.s = stream_new(fds[1], fds[1], &patient),
				       .tls = fix.tls_server};
		shake_both(&client, &server);
		assert_ok(server.rc, &server.err);
		send_line(client.s, "LOGOUT");
		if (polite)
			stream_free(&client.s);
		else
			shutdown(fds[0], SHUT_RDWR);
		expect_line(server.s, "LOGOUT");
		assert_int_equal(stream_peek(server.s, &seen, &err), 0);
		assert_true(stream_eof(server.s));
		free_sides(&client, &server);
	}
}

/* A client by hand, which keeps its session for the next connection. */
struct returning {
	SSL_CTX *ctx;
	SSL_SESSION *session;
	int fd;
	bool resumed;
};

static void *visit(void *ctx)
{
	struct returning *visitor = ctx;
	SSL *ssl = SSL_new(visitor->ctx);
	char line[10];

	SSL_set_fd(ssl, visitor->fd);
	if (visitor->session)
		SSL_set_session(ssl, visitor->session);
	if (SSL_connect(ssl) == 1 && SSL_read(ssl, line, sizeof(line)) > 0) {
		visitor->resumed = SSL_session_reused(ssl) != 0;
		SSL_SESSION_free(visitor->session);
		visitor->session = SSL_get1_session(ssl);
	}
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(visitor->fd);
	return NULL;
}

static bool resumes(struct tls_context *tls, const struct cert *shown)
{
	struct returning visitor = {.ctx = SSL_CTX_new(TLS_client_method())};
	bool ours = false;

	if (shown) {
		assert_int_equal(SSL_CTX_use_certificate(visitor.ctx, shown->x509), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(visitor.ctx, shown->key), 1);
	}
	for (int i = 0; i < 2; i++) {
		struct stream_tls_info info;
		struct us_err err;
		struct stream *s;
		pthread_t thread;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		visitor.fd = fds[1];
		s = stream_new(fds[0], fds[0], &patient);
		assert_int_equal(pthread_create(&thread, NULL, visit, &visitor), 0);
		assert_ok(stream_start_tls(s, tls, &(struct stream_tls){.timeout_ms = 5000}, &err),
			  &err);
		send_line(s, "hello");
		pthread_join(thread, NULL);
		assert_true(stream_tls_info(s, &info));
		ours = info.resumed;
		assert_int_equal(info.peer_name != NULL, shown != NULL);
		stream_free(&s);
	}
	assert_int_equal(ours, visitor.resumed);
	SSL_SESSION_free(visitor.session);
	SSL_CTX_free(visitor.ctx);
	return ours;
}

static void sessions_resume_unless_told_not_to(void **state UNUSED)
{
	struct tls_config config = {.cert = fix.server.cert_file, .key = fix.server.key_file};
	struct tls_context *tls;
	struct us_err err;

	assert_true(resumes(fix.tls_server, NULL));
	assert_ok(tls_server_new(&config, &tls, &err), &err);
	assert_false(resumes(tls, NULL));
	tls_context_free(&tls);
	config.session_timeout_s = 60;
	config.ca_file = fix.ca.cert_file;
	config.client_certs = TLS_CLIENT_CERTS_REQUIRE;
	assert_ok(tls_server_new(&config, &tls, &err), &err);
	assert_true(resumes(tls, &fix.client)); /* and the name is known again */
	tls_context_free(&tls);
}

/* ---- contexts --------------------------------------------------------------------------------- */

static void wrong_configurations_are_told_apart(void **state UNUSED)
{
	char missing[100], locked[100];
	FILE *file;

	snprintf(missing, sizeof(missing), "%s/missing.pem", fix.dir);
	snprintf(locked, sizeof(locked), "%s/locked.key", fix.dir);
	file = fopen(locked, "w");
	assert_non_null(file);
	assert_true(PEM_write_PKCS8PrivateKey(file, fix.server.key, EVP_aes_128_cbc(), "secret", 6,
					      NULL, NULL));
	fclose(file);
	const char *cert = fix.server.cert_file, *key = fix.server.key_file;
	const struct {
		struct tls_config config;
		const char *says;
	} rows[] = {
		{{.cert = cert}, "needs a certificate and a key"},
		{{.key = key}, "needs a certificate and a key"},
		{{.cert = cert, .key = ""}, "needs a certificate and a key"},
		{{.cert = missing, .key = key}, "missing.pem: No such file"},
		{{.cert = cert, .key = missing}, "missing.pem: No such file"},
		{{.cert = key, .key = key}, "TLS certificate"},
		{{.cert = cert, .key = cert}, "TLS key"},
		{{.cert = cert, .key = fix.client.key_file}, "client.key"},
		{{.cert = cert, .key = locked}, "locked.key"},
		{{.cert = cert, .key = key, .versions = "tls1_0 tls1_2"}, "tls1_0 is not safe"},
		{{.cert = cert, .key = key, .versions = "tls1_1"}, "tls1_1 is not safe"},
		{{.cert = cert, .key = key, .versions = "tls1_4"}, "unknown TLS version tls1_4"},
		{{.cert = cert, .key = key, .versions = " "}, "no TLS version"},
		{{.cert = cert, .key = key, .ciphers = "NOSUCH"}, "NOSUCH"},
		{{.cert = cert, .key = key, .ca_file = missing}, "missing.pem: No such file"},
		{{.cert = cert, .key = key, .client_certs = TLS_CLIENT_CERTS_REQUIRE}, "no CA"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tls_context *tls = NULL;
		struct us_err err = US_ERR_INIT;

		assert_int_equal(tls_server_new(&rows[i].config, &tls, &err), US_ECONFIG);
		if (!strstr(err.text, rows[i].says))
			fail_msg("row %zu: %s", i, err.text);
		assert_null(tls);
	}
	unlink(locked);
}

static void clients_need_nothing_but_not_half_a_pair(void **state UNUSED)
{
	struct tls_context *tls = NULL;
	struct us_err err;

	assert_int_equal(tls_client_new(&(struct tls_config){.cert = fix.client.cert_file}, &tls,
					&err),
			 US_ECONFIG);
	assert_null(tls);
	assert_ok(tls_client_new(&(struct tls_config){.cert = fix.client.cert_file,
						      .key = fix.client.key_file,
						      .ca_dir = fix.dir},
				 &tls, &err),
		  &err);
	tls_context_free(&tls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_carries_lines),
		cmocka_unit_test(starttls_follows_its_reply),
		cmocka_unit_test(names_are_verified_where_there_is_a_ca),
		cmocka_unit_test(verifying_without_a_ca_is_no_verifying),
		cmocka_unit_test(client_certificates_give_a_name),
		cmocka_unit_test(versions_meet_or_do_not),
		cmocka_unit_test(plain_bytes_before_the_handshake_are_refused),
		cmocka_unit_test(plain_bytes_in_the_handshake_break_it),
		cmocka_unit_test(handshakes_end),
		cmocka_unit_test(a_spoilt_record_is_a_protocol_error),
		cmocka_unit_test(much_goes_both_ways_at_once),
		cmocka_unit_test(what_openssl_holds_is_readable),
		cmocka_unit_test(both_kinds_of_end_are_ends),
		cmocka_unit_test(sessions_resume_unless_told_not_to),
		cmocka_unit_test(wrong_configurations_are_told_apart),
		cmocka_unit_test(clients_need_nothing_but_not_half_a_pair),
	};

	return cmocka_run_group_tests(tests, make_fixture, drop_fixture);
}
