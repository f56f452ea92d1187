/* mend.h - put a single flipped bit right.
 *
 * A CRC-32C tells not only that one bit is wrong but which: over less than 2^31 bits each single error changes the sum in
 * a way of its own. So a flipped bit, the commonest damage there is to data at rest, costs nothing. Damage that is not one
 * bit is taken for one with a chance of (bits of the data) in 2^32; who mends what is large looks at the result.
 */
#ifndef US_STORE_MEND_H
#define US_STORE_MEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEND_NO_HOLE SIZE_MAX

/* `is`: the sum of bytes[0..len) as they are; `wanted`: what is stored. A flip in the stored sum itself is well too: true,
 * with nothing changed. hole: offset of four bytes that were summed as zeros, MEND_NO_HOLE for none. False: it is more
 * than one bit; nothing is changed. */
bool mend_bit(void *bytes, size_t len, size_t hole, uint32_t is, uint32_t wanted);

#endif
