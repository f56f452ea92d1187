/* fuzz_address.c - any bytes as an address list: all of it is passed, groups begin and end in turn, and
 * what is given holds no more than what was there. */
#include <stdint.h>

#include "server/base/err.h"
#include "server/store/mime/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mime_addresses list;
	struct mime_address a;
	bool in_group = false;
	size_t n = 0;

	mime_addresses_init(&list, span_make(data, size));
	while (mime_addresses_next(&list, &a)) {
		us_assert(++n <= 2 * size + 1);
		us_assert(a.name.len + a.route.len + a.local.len + a.domain.len <= 2 * size);
		if (a.kind == MIME_ADDRESS_MAILBOX) {
			us_assert(a.local.ptr);
		} else {
			us_assert(in_group == (a.kind == MIME_ADDRESS_GROUP_END));
			in_group = a.kind == MIME_ADDRESS_GROUP;
		}
	}
	us_assert(!in_group && mime_lexer_peek(&list.lx) < 0);
	us_assert(!mime_addresses_next(&list, &a));
	mime_addresses_fini(&list);
	return 0;
}
