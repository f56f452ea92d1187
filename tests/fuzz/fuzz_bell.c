/* fuzz_bell.c - any bytes as what is said at idled's socket: what is taken is what its packet is written as. */
#include <stdint.h>
#include <string.h>

#include "server/session/bell_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char bytes[BELL_PACKET_MAX];
	struct bell_packet packet;
	int len;

	if (bell_packet_parse(span_make(data, size), &packet, NULL) < 0)
		return 0;
	len = bell_packet_put(&packet, bytes, NULL);
	us_assert(len >= 0 && (size_t)len == size && memcmp(bytes, data, size) == 0);
	return 0;
}
