/* bell_packet.h - what a session that waits for news of a mailbox, and idled, say to each other.
 *
 *	session  WATCH partition, store id	whose bell it waits for; again: another one instead
 *	idled	 HUNG				from here on no publication is missed: now look
 *		 RING				something was published: look
 *		 FELL				the bell went away with its mailbox, or the mailbox moved: look, and ask again
 *		 REFUSED			it cannot be: no such mailbox, or the system has no more watches
 *
 * One packet of a SOCK_SEQPACKET socket each, in the machine's byte order: both ends are on one machine, and of one version, or
 * the answer is REFUSED. The socket is the service user's, so whoever can speak there may read every mailbox; but all he can name
 * is a mailbox.
 *
 *	offset	size
 *	0	4	"USB" and the version, 1
 *	4	4	word
 *	8	16	WATCH only: store id
 *	24	1-255	WATCH only: name of the partition, to the end of the packet, without NUL
 */
#ifndef US_SESSION_BELL_PACKET_H
#define US_SESSION_BELL_PACKET_H

#include <stddef.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/storeid.h"

#define BELL_PACKET_WORD  8
#define BELL_PACKET_WATCH 24
#define BELL_PARTITION    255
#define BELL_PACKET_MAX   (BELL_PACKET_WATCH + BELL_PARTITION)

enum bell_word {
	BELL_WATCH = 1,
	BELL_HUNG,
	BELL_RING,
	BELL_FELL,
	BELL_REFUSED,
};

struct bell_packet {
	enum bell_word word;
	struct storeid id;     /* WATCH */
	struct span partition; /* WATCH; borrowed from the text that was parsed */
};

/* US_EPROTO: malformed, or of another version. Pure. */
int bell_packet_parse(struct span text, struct bell_packet *out, struct us_err *err);
/* The packet as bytes; how many. US_ELIMIT: the partition's name is too long, or empty. */
int bell_packet_put(const struct bell_packet *packet, unsigned char out[BELL_PACKET_MAX],
		    struct us_err *err);

#endif
