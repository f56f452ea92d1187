/* mend.c - see mend.h.
 *
 * CRCs are linear: the difference of the two sums depends on the place of the error only. Walking from the last byte to
 * the first, the difference each of a byte's bits would make is kept, and moved on by one byte of zeros a step.
 */
#include "server/store/mend.h"

#define CASTAGNOLI 0x82f63b78u /* bits reversed, as it is computed */

static uint32_t through_one_byte(uint32_t remainder)
{
	for (int i = 0; i < 8; i++)
		remainder = remainder & 1 ? remainder >> 1 ^ CASTAGNOLI : remainder >> 1;
	return remainder;
}

static void make_table(uint32_t table[256])
{
	for (uint32_t i = 0; i < 256; i++)
		table[i] = through_one_byte(i);
}

bool mend_bit(void *bytes, size_t len, size_t hole, uint32_t is, uint32_t wanted)
{
	uint32_t table[256], difference[8], error = is ^ wanted;
	unsigned char *at = bytes;

	if (!(error & (error - 1)))
		return true; /* none, or one bit of the sum */
	make_table(table);
	for (int bit = 0; bit < 8; bit++)
		difference[bit] = table[1u << bit];
	for (size_t i = len; i-- > 0;) {
		bool in_hole = hole != MEND_NO_HOLE && i - hole < 4;
		for (int bit = 0; bit < 8; bit++) {
			if (difference[bit] == error && !in_hole) {
				at[i] ^= (unsigned char)(1u << bit);
				return true;
			}
			difference[bit] = table[difference[bit] & 0xff] ^ difference[bit] >> 8;
		}
	}
	return false;
}
