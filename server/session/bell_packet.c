/* bell_packet.c - see bell_packet.h. */
#include "server/session/bell_packet.h"

#include <stdint.h>
#include <string.h>

static const char magic[4] = {'U', 'S', 'B', 1};

int bell_packet_parse(struct span text, struct bell_packet *out, struct us_err *err)
{
	struct bell_packet packet = {0};
	uint32_t word;

	if (text.len < BELL_PACKET_WORD || memcmp(text.ptr, magic, sizeof(magic)) != 0)
		return us_fail(err, US_EPROTO, "no packet of this version");
	memcpy(&word, text.ptr + sizeof(magic), sizeof(word));
	if (word < BELL_WATCH || word > BELL_REFUSED)
		return us_fail(err, US_EPROTO, "a packet of kind %u", word);
	packet.word = (enum bell_word)word;
	if (word != BELL_WATCH && text.len != BELL_PACKET_WORD)
		return us_fail(err, US_EPROTO, "a packet of kind %u with %zu bytes", word,
			       text.len);
	if (word == BELL_WATCH) {
		if (text.len <= BELL_PACKET_WATCH || text.len > BELL_PACKET_MAX)
			return us_fail(err, US_EPROTO, "no name of a partition");
		memcpy(&packet.id, text.ptr + BELL_PACKET_WORD, sizeof(packet.id));
		packet.partition = span_from(text, BELL_PACKET_WATCH);
		if (memchr(packet.partition.ptr, '\0', packet.partition.len))
			return us_fail(err, US_EPROTO, "NUL in the name of a partition");
	}
	*out = packet;
	return 0;
}

int bell_packet_put(const struct bell_packet *packet, unsigned char out[BELL_PACKET_MAX],
		    struct us_err *err)
{
	uint32_t word = packet->word;

	if (word == BELL_WATCH &&
	    (!packet->partition.len || packet->partition.len > BELL_PARTITION))
		return us_fail(err, US_ELIMIT, "a partition's name of %zu bytes",
			       packet->partition.len);
	memcpy(out, magic, sizeof(magic));
	memcpy(out + sizeof(magic), &word, sizeof(word));
	if (word != BELL_WATCH)
		return BELL_PACKET_WORD;
	memcpy(out + BELL_PACKET_WORD, &packet->id, sizeof(packet->id));
	memcpy(out + BELL_PACKET_WATCH, packet->partition.ptr, packet->partition.len);
	return BELL_PACKET_WATCH + (int)packet->partition.len;
}
