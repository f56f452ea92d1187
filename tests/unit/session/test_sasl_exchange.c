/* test_sasl_exchange.c - base64 lines between a client and libsasl, over a socket. */
#include "tests/unit/sasl.h"

#include "server/base/base64.h"
#include "server/base/stream.h"
#include "server/session/sasl_exchange.h"

#define REALM "b.example.net"

static const struct sasl_wire wire = {"334 ", 64};

static struct fixture {
	struct sasldb db;
	struct sasl_test_options options;
	struct sasl_srv_library *lib;
} fix;

static int make_fixture(void **state UNUSED)
{
	struct sasl_options options = {"csync", sasl_test_get, &fix.options};
	struct us_err err;

	sasldb_make(&fix.db);
	sasldb_add(fix.db.file, REALM, "bob", "bobpw");
	sasl_test_set(&fix.options, "sasl_sasldb_path", fix.db.file);
	sasl_test_set(&fix.options, "sasl_mech_list", "PLAIN LOGIN");
	sasl_test_set(&fix.options, "sasl_pwcheck_method", "auxprop");
	assert_ok(sasl_srv_library_new(&options, &fix.lib, &err), &err);
	return 0;
}

static int drop_fixture(void **state UNUSED)
{
	sasl_srv_library_free(&fix.lib);
	sasldb_drop(&fix.db);
	return 0;
}

static struct sasl_srv *make_sasl(void)
{
	struct sasl_srv_config config = {.service = "csync",
					 .servername = REALM,
					 .plaintext = true,
					 .policy = {.username_tolower = true}};

	return sasl_srv_new(fix.lib, &config);
}

static const char *base64(const char *octets, size_t len)
{
	static char text[4][100];
	static unsigned next;
	struct buf out = BUF_INIT;
	char *slot = text[next++ % 4];

	base64_encode(span_make(octets, len), &out);
	snprintf(slot, sizeof(text[0]), "%s", out.data);
	buf_free(&out);
	return slot;
}

#define PLAIN_OF(octets) base64(octets, sizeof(octets) - 1)

/* What one login comes to, and what the client was shown. */
struct result {
	int rc;
	enum sasl_end end;
	struct us_err err;
	struct buf shown;
	char user[256];
};

/* `initial` NULL: none. The client says `lines` without waiting, and then nothing more. */
static void log_in(const char *mech, const char *initial, const char *lines, struct result *out)
{
	struct stream_config config = STREAM_CONFIG_DEFAULT;
	struct sasl_srv *sasl = make_sasl();
	struct stream *server;
	ssize_t n;
	int ends[2];

	*out = (struct result){.end = (enum sasl_end)99, .err = US_ERR_INIT, .shown = BUF_INIT};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(write(ends[1], lines, strlen(lines)), strlen(lines));
	shutdown(ends[1], SHUT_WR);
	server = stream_new(ends[0], ends[0], &config);
	out->rc = sasl_exchange(sasl, server, &wire, span_of(mech),
				initial ? span_of(initial) : SPAN_NULL, &out->end, &out->err);
	if (out->rc == 0 && out->end == SASL_END_ACCEPTED)
		snprintf(out->user, sizeof(out->user), "%s", sasl_srv_identity(sasl)->user);
	sasl_srv_free(&sasl);
	(void)stream_flush(server, NULL);
	stream_free(&server);
	n = recv(ends[1], buf_reserve(&out->shown, 4096), 4096, MSG_DONTWAIT);
	out->shown.len = n > 0 ? (size_t)n : 0;
	close(ends[1]);
}

static void exchange_comes_to_its_end(void **state UNUSED)
{
	const struct {
		const char *mech, *initial, *lines;
		enum sasl_end end;
		int code;          /* of the error, where there is one */
		const char *shown; /* challenges */
	} rows[] = {
		{"PLAIN", PLAIN_OF("\0bob\0bobpw"), "", SASL_END_ACCEPTED, 0, ""},
		{"PLAIN", NULL, "AGJvYgBib2Jwdw==\r\n", SASL_END_ACCEPTED, 0, "334 \r\n"},
		{"LOGIN", NULL, "Ym9i\r\nYm9icHc=\r\n", SASL_END_ACCEPTED, 0,
		 "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"},
		{"PLAIN", PLAIN_OF("\0bob\0wrong"), "", SASL_END_REFUSED, US_EAUTH, ""},
		{"PLAIN", "=", "", SASL_END_REFUSED, US_EPROTO, ""},
		{"FOO", NULL, "", SASL_END_REFUSED, US_ENOTSUP, ""},
		{"FOO", "!!!", "", SASL_END_NO_BASE64, US_EPROTO, ""},
		{"PLAIN", "!!!", "", SASL_END_NO_BASE64, US_EPROTO, ""},
		{"PLAIN", NULL, "!!!\r\n", SASL_END_NO_BASE64, US_EPROTO, "334 \r\n"},
		{"PLAIN", NULL, "*\r\n", SASL_END_CANCELED, 0, "334 \r\n"},
		{"LOGIN", NULL, "Ym9i\r\n*\r\n", SASL_END_CANCELED, 0,
		 "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"},
		{"PLAIN", NULL,
		 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
		 SASL_END_NO_BASE64, US_EPROTO, "334 \r\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result r;

		log_in(rows[i].mech, rows[i].initial, rows[i].lines, &r);
		if (r.rc != 0 || r.end != rows[i].end)
			fail_msg("row %zu: %d, end %d: %s", i, r.rc, (int)r.end, r.err.text);
		assert_int_equal(r.err.code, rows[i].code);
		assert_span(buf_span(&r.shown), rows[i].shown);
		assert_string_equal(r.user, r.end == SASL_END_ACCEPTED ? "bob" : "");
		buf_free(&r.shown);
	}
}

static void lost_connection_is_no_end(void **state UNUSED)
{
	static const char *const rows[] =
		{"", "AGJv",
		 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result r;

		log_in("PLAIN", NULL, rows[i], &r);
		assert_int_equal(r.rc, US_ECLOSED);
		assert_int_equal(r.err.code, US_ECLOSED);
		assert_int_equal(r.end, 99); /* untouched */
		buf_free(&r.shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchange_comes_to_its_end),
		cmocka_unit_test(lost_connection_is_no_end),
	};

	return cmocka_run_group_tests(tests, make_fixture, drop_fixture);
}
