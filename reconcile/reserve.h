/* reserve.h - which message bodies the replica has, as far as this connection knows: asked in good-sized questions, told once.
 *
 *	reserve_want() ...  --> reserve_next() --> APPLY RESERVE --> reserve_answer()
 *
 * Bodies are known by partition and guid, as the replica stages them; reserve_restart() forgets, as it does.
 */
#ifndef US_RECONCILE_RESERVE_H
#define US_RECONCILE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "reconcile/wire_command.h"

#define RESERVE_MAX 8192 /* guids in one question */

struct reserve; /* opaque */

struct reserve *reserve_new(void);
void reserve_free(struct reserve **r);

/* This body will be needed. Does nothing if that is known of it already. true: enough for a question has come together. */
bool reserve_want(struct reserve *r, struct span partition, const struct guid *guid);
/* The next question, of one partition; names are put into it. false: nothing is to be asked. What *out points to lives until the
 * answer. */
bool reserve_next(struct reserve *r, const struct wire_names *names, struct wire_reserve *out);
/* The answer to it: all but these are there. */
void reserve_answer(struct reserve *r, const struct wire_guids *missing);
/* It was uploaded just now. */
void reserve_sent(struct reserve *r, struct span partition, const struct guid *guid);
/* Need it not be uploaded? */
bool reserve_has(const struct reserve *r, struct span partition, const struct guid *guid);
/* Is nothing known of any body: has the replica staged nothing? Is it a lot? */
bool reserve_is_empty(const struct reserve *r);
bool reserve_is_much(const struct reserve *r);
/* The replica has forgotten what it staged; the link may be another one. */
void reserve_restart(struct reserve *r);

#endif
