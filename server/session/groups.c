/* groups.c - see groups.h. */
#include "server/session/groups.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "server/base/pool.h"

#define NO_GROUP    ((gid_t)-1)
#define MOST_GROUPS 65536 /* what the kernel allows a process */
#define MOST_RECORD \
	65536 /* bytes of one record of the name service; a larger group is passed over */

static gid_t primary_group(const char *user, char *space)
{
	struct passwd record, *found = NULL;

	return getpwnam_r(user, &record, space, MOST_RECORD, &found) == 0 && found ? found->pw_gid
										   : NO_GROUP;
}

static const char *name_of(gid_t gid, char *space, struct pool *pool)
{
	struct group record, *found = NULL;

	if (gid == NO_GROUP || getgrgid_r(gid, &record, space, MOST_RECORD, &found) != 0 || !found)
		return NULL;
	return pool_printf(pool, "group:%s", found->gr_name);
}

/* To be freed; NULL: none. */
static gid_t *list_groups(const char *user, gid_t primary, int *n)
{
	gid_t *gids = NULL;

	for (*n = 64; *n <= MOST_GROUPS;) {
		int before = *n;

		gids = us_realloc(gids, us_mul_size((size_t)*n, sizeof(gids[0])));
		if (getgrouplist(user, primary, gids, n) >= 0)
			return gids;
		if (*n <= before) /* it did not say how many there are */
			*n = before * 2;
	}
	free(gids);
	return NULL;
}

static const char *const *ask(const char *user, struct pool *pool, size_t *n_out)
{
	char *space = us_malloc(MOST_RECORD);
	int n = 0;
	gid_t *gids = list_groups(user, primary_group(user, space), &n);
	const char **names =
		pool_alloc(pool, us_mul_size(gids ? (size_t)n : 0, sizeof(names[0])) + 1);

	*n_out = 0;
	for (int i = 0; gids && i < n; i++) {
		const char *name = name_of(gids[i], space, pool);

		if (name)
			names[(*n_out)++] = name;
	}
	free(gids);
	free(space);
	return names;
}

struct groups {
	struct pool *pool;
	const char *user;
	const char *const *names; /* NULL: not asked for yet */
	size_t n;
};

struct groups *groups_new(const char *user)
{
	struct pool *pool = pool_new();
	struct groups *groups = pool_alloc(pool, sizeof(*groups));

	*groups = (struct groups){.pool = pool, .user = pool_strdup(pool, user)};
	return groups;
}

void groups_free(struct groups **groups)
{
	if (*groups)
		pool_free(&(struct pool *){(*groups)->pool});
	*groups = NULL;
}

const char *const *groups_names(void *ctx, size_t *n_out)
{
	struct groups *groups = ctx;

	*n_out = 0;
	if (!groups)
		return NULL;
	if (!groups->names)
		groups->names = ask(groups->user, groups->pool, &groups->n);
	*n_out = groups->n;
	return groups->names;
}

/* Nobody has an empty name, so every source that is configured is asked. */
void groups_warm_up(void)
{
	struct groups *nobodys = groups_new("");
	size_t n;

	(void)groups_names(nobodys, &n);
	groups_free(&nobodys);
}
