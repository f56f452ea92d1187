/* wire_files.h - bodies on the wire: "%{partition guid size}" CRLF octets, handed on as they come.
 *
 *	APPLY MESSAGE (%{p guid n}CRLF... %{p guid n}CRLF...)	any number, one behind the other
 *	* MESSAGE %{p guid n}CRLF...				one; NIL when the replica cannot give it
 *
 * Octets are not checked against the guid here.
 */
#ifndef US_RECONCILE_WIRE_FILES_H
#define US_RECONCILE_WIRE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/dlist_lexer.h"
#include "server/base/err.h"
#include "server/base/pool.h"

/* Most bodies real clients put into one APPLY MESSAGE. */
#define WIRE_MAX_FILES 1024

struct wire_file {
	struct span partition; /* valid during begin() */
	struct guid guid;
	uint64_t size;
	bool present; /* false: NIL stood in its place; nothing but begin() and end() is called */
};

/* For each body begin(), then data() until all octets came, then end(). After one of them gave a negative code none is
 * called any more; the line is read to its end and the code comes back. */
struct wire_file_sink {
	int (*begin)(void *ctx, const struct wire_file *file, struct us_err *err);
	int (*data)(void *ctx, const void *data, size_t len, struct us_err *err);
	int (*end)(void *ctx, struct us_err *err);
	void *ctx;
};

/* The value of APPLY MESSAGE and the line end. Whatever is no body is passed over. */
int wire_read_messages(struct dlist_lexer *lx, const struct wire_file_sink *sink,
		       struct us_err *err);

#endif
