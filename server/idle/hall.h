/* hall.h - the sessions that wait, connected to idled's socket (server/session/bell_packet.h).
 *
 * A session is a descriptor and a waiter. Its socket takes but a few packets: one who does not fetch them has a RING among them,
 * and will look; so nobody is waited for, and nobody's silence costs memory. One who cannot be told anything else is closed, which
 * tells him, too.
 */
#ifndef US_IDLE_HALL_H
#define US_IDLE_HALL_H

#include <signal.h>
#include <stdbool.h>

#include "server/base/err.h"

struct conf;
struct hall; /* opaque */

/* Listen on idlesocket, in the place of whoever did so until now: he leaves, and his sessions come to us. conf is borrowed. */
int hall_open(const struct conf *conf, struct hall **out, struct us_err *err);
void hall_close(struct hall **hall);

/* Wait for something to do and do it. `open`: the signals let in meanwhile, and only then. US_ECHANGED: another idled has taken
 * our place, or the socket was removed. */
int hall_turn(struct hall *hall, const sigset_t *open, struct us_err *err);

#endif
