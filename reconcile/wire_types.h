/* wire_types.h - the small lists commands and answers share. All are borrowed; n may be 0 with a NULL pointer. */
#ifndef US_RECONCILE_WIRE_TYPES_H
#define US_RECONCILE_WIRE_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/checksum.h"
#include "server/base/span.h"

struct wire_names {
	const struct span *names;
	size_t n;
};

struct wire_guids {
	const struct guid *guids;
	size_t n;
};

struct wire_uids {
	const uint32_t *uids;
	size_t n;
};

#endif
