/* fuzz_login.c - any bytes as what comes with a login: base64, a user id, the name of a server.
 *
 * Base64 that is taken is what its octets are written as. An id in its canonical form stays as it is, and its INBOX is that of nobody
 * else. A server's name gives nothing that was not in it.
 *
 * Input: one byte of options, then the text.
 */
#include <stdint.h>
#include <string.h>

#include "server/base/base64.h"
#include "server/base/connect.h"
#include "server/session/identity.h"
#include "server/store/mboxname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_base64(struct span text)
{
	struct buf octets = BUF_INIT, again = BUF_INIT, third = BUF_INIT;

	if (base64_decode(text, &octets)) {
		us_assert(octets.len <= text.len / 4 * 3);
		base64_encode(buf_span(&octets), &again);
		us_assert(again.len == text.len);
		us_assert(base64_decode(buf_span(&again), &third));
		us_assert(span_eq(buf_span(&third), buf_span(&octets)));
	} else {
		us_assert(!octets.len);
	}
	buf_free(&octets);
	buf_free(&again);
	buf_free(&third);
}

static void check_inbox(struct span id)
{
	struct buf inbox = BUF_INIT, owner = BUF_INIT;

	mboxname_user_inbox(id, &inbox);
	if (mboxname_check_storable(buf_span(&inbox), NULL) == 0) {
		us_assert(mboxname_is_inbox(buf_span(&inbox)));
		us_assert(mboxname_owner(buf_span(&inbox), "DELETED", &owner));
		us_assert(span_eq(buf_span(&owner), id));
	}
	buf_free(&inbox);
	buf_free(&owner);
}

static void check_id(struct span text, bool tolower)
{
	struct identity_policy policy = {.admins = "admin",
					 .loginrealms = "dom.example",
					 .username_tolower = tolower};
	char id[IDENTITY_MAX + 1], again[IDENTITY_MAX + 1];

	if (identity_canonicalize(&policy, text, id, NULL) < 0)
		return;
	us_assert(id[0] && strlen(id) <= text.len);
	us_assert(identity_canonicalize(&policy, span_of(id), again, NULL) == 0);
	us_assert(strcmp(id, again) == 0);
	check_inbox(span_of(id));
}

static bool is_inside(struct span part, struct span whole)
{
	return !part.ptr || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_target(struct span text)
{
	struct connect_target target;

	if (connect_parse(text, &target, NULL) < 0)
		return;
	us_assert(target.host.len && is_inside(target.host, text) && is_inside(target.port, text));
	us_assert(!target.local || span_eq(target.host, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text;

	if (!size)
		return 0;
	text = span_make(data + 1, size - 1);
	check_base64(text);
	check_id(text, data[0] & 1);
	check_target(text);
	return 0;
}
