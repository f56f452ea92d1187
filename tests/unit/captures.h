/* captures.h - walk through the recordings in tests/captures (their README has the form), turn by turn. */
#ifndef US_TESTS_UNIT_CAPTURES_H
#define US_TESTS_UNIT_CAPTURES_H

#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>

#include "server/base/io.h"

/* One turn: consecutive octets of one side. who: 'C' client, 'S' server; 'a', 'b', 'c': the state of that host, lines as a server
 * would say them. */
typedef void captures_fn(void *ctx, const char *file, char who, struct span octets);

struct captures_turn {
	captures_fn *fn;
	void *ctx;
	const char *file;
	char who;
	struct buf octets;
};

static inline void captures_end_turn(struct captures_turn *t)
{
	if (t->octets.len)
		t->fn(t->ctx, t->file, t->who, buf_span(&t->octets));
	buf_clear(&t->octets);
}

static inline void captures_line(struct captures_turn *t, struct span line)
{
	static const char state[] = "=== STATE ";
	bool in_state = t->who >= 'a', said;
	char who;

	said = line.len >= 3 && (line.ptr[0] == 'C' || line.ptr[0] == 'S') &&
	       (line.ptr[1] == ':' || line.ptr[1] == '>') && line.ptr[2] == ' ';
	who = said ? line.ptr[0] : in_state ? t->who : 0;
	if (span_starts(line, "## ") || span_starts(line, "=== ") || (in_state && !line.len))
		who = span_starts(line, state) ? (char)us_lower(line.ptr[strlen(state)]) : 0;
	if (who != t->who)
		captures_end_turn(t);
	t->who = who;
	if (!who || span_starts(line, state))
		return;
	buf_add_span(&t->octets, said ? span_from(line, 3) : line);
	if (!said)
		buf_add_str(&t->octets, line.len && line.ptr[line.len - 1] == '\r' ? "\n" : "\r\n");
	else if (line.ptr[1] == ':')
		buf_add_str(&t->octets, "\r\n");
}

static inline void captures_file(const char *name, captures_fn *fn, void *ctx)
{
	struct captures_turn t = {fn, ctx, name, 0, BUF_INIT};
	struct buf text = BUF_INIT;
	struct span rest, line;
	struct us_err err;
	char path[300];

	snprintf(path, sizeof(path), "tests/captures/%s", name);
	assert_ok(io_read_file(AT_FDCWD, test_file(path), 1 << 20, &text, &err), &err);
	for (rest = buf_span(&text); span_split(&rest, '\n', &line);)
		captures_line(&t, line);
	captures_end_turn(&t);
	buf_free(&t.octets);
	buf_free(&text);
}

/* All of them, in the order they were recorded as far as that is told: a run of files begins where the one before ended. Gives
 * how many there are. */
static inline unsigned captures_all(captures_fn *fn, void *ctx)
{
	static const char *const run[] = {"01", "02", "03",  "04", "05", "06", "07",
					  "09", "10", "13-", "14", "15", "11", "16",
					  "12", "08", "17",  "22", "18"};
	struct dirent **names;
	int n = scandir(test_file("tests/captures"), &names, NULL, alphasort);
	unsigned files = 0;

	assert_true(n > 0);
	for (size_t k = 0; k <= ARRAY_SIZE(run); k++)
		for (int i = 0; i < n; i++) {
			char *name = names[i]->d_name;
			if (!strstr(name, ".txt") ||
			    (k < ARRAY_SIZE(run) && strncmp(name, run[k], strlen(run[k])) != 0))
				continue;
			captures_file(name, fn, ctx);
			files++;
			name[0] = 0; /* done */
		}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return files;
}

#endif
