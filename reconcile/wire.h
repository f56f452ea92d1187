/* wire.h - csync as text and as plain data: the one header for whoever speaks the protocol.
 *
 *	a command	"APPLY RENAME %(OLDMBOXNAME ...)"	struct wire_command	wire_command.h
 *	an answer's lines	"* QUOTA %(ROOT ...)"		struct wire_item	wire_item.h
 *	its last line	"NO IMAP_SYNC_CHECKSUM ..."		enum wire_answer	wire_answer.h
 *	inside both	MAILBOX, RECORD, bodies			state.h's structs	wire_mailbox.h, wire_files.h
 *
 * Pure: text in, struct out, and back; no file, socket or clock. Reading pulls tokens from a struct dlist_lexer, so a
 * span in a test and a connection are read by the same code, and what can be large (records, bodies) is handed on
 * piece by piece. Everything else is built in the caller's pool and bounded by the lexer's limits.tree (one record by a quarter
 * of it).
 *
 * Three kinds of trouble, kept apart because their answers differ:
 *	US_EPROTO; any code with lexer.ended false	the line makes no sense: skip it (dlist_skip_line), answer BAD
 *	US_EINVAL, lexer.ended true			well formed, but a required field is missing or has a wrong form
 *	what the caller's own sink gave			the line was read to its end all the same
 */
#ifndef US_RECONCILE_WIRE_H
#define US_RECONCILE_WIRE_H

#include "reconcile/sums.h"
#include "reconcile/wire_answer.h"
#include "reconcile/wire_command.h"
#include "reconcile/wire_files.h"
#include "reconcile/wire_item.h"
#include "reconcile/wire_mailbox.h"
#include "reconcile/wire_types.h"
#include "reconcile/wire_user.h"

#endif
