/* programs.c - see programs.h. */
#include "server/master/programs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "server/base/mem.h"
#include "server/base/span.h"

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR);
}

/* The program in one of the directories of `list`, or NULL. */
static char *find_in(struct span list, const char *name)
{
	struct span dir;

	while (span_split(&list, ':', &dir)) {
		char *path = us_asprintf("%.*s/%s", SPAN_ARG(dir), name);

		if (dir.len && is_program(path))
			return path;
		free(path);
	}
	return NULL;
}

int programs_find(const char *name, char **out, struct us_err *err)
{
	char *found;

	if (name[0] == '/') {
		found = is_program(name) ? us_strdup(name) : NULL;
	} else {
		const char *elsewhere = getenv(PROGRAMS_ENV);

		found = find_in(span_of(elsewhere ? elsewhere : LIBEXECDIR ":" SBINDIR), name);
	}
	if (!found)
		return us_fail(err, US_ENOENT, "no executable file %s", name);
	*out = found;
	return 0;
}
