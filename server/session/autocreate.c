/* autocreate.c - see autocreate.h. */
#include "server/session/autocreate.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"

struct maker {
	const struct host *host;
	const char *user;
	struct mboxname_view names; /* as the user sees them */
	struct span inbox;          /* internal */
};

static void log_failure(const struct maker *m, struct span folder, const struct us_err *err)
{
	log_event(LOG_WARNING, "session.autocreate.failed", LF_STR("user", m->user),
		  LF_SPAN("mailbox", folder), LF_ERR(err));
}

/* ---- one folder ------------------------------------------------------------------------------------ */

static int make_folder(const struct maker *m, struct span name, struct us_err *err)
{
	struct buf acl = BUF_INIT;
	int rc = host_initial_acl(m->host, name, &acl, err);

	if (rc == 0) {
		struct folder_create options = {
			.acl = buf_span(&acl),
			.options = (uint32_t)conf_int(m->host->conf, CONF_mailbox_default_options) |
				   MAILBOX_OPTION_POP3_NEW_UIDL,
		};
		rc = folder_create(m->host->store, name, &options, err);
	}
	buf_free(&acl);
	return rc;
}

/* autocreate_acl: "folder identifier rights" three by three. */
static int grant_rights(const struct maker *m, struct span folder, struct mailbox *box,
			struct us_err *err)
{
	struct span rest = span_of(conf_str(m->host->conf, CONF_autocreate_acl)), name, id, letters;
	struct buf acl = BUF_INIT;
	int rc = 0;

	while (rc == 0 && span_word(&rest, &name) && span_word(&rest, &id) &&
	       span_word(&rest, &letters)) {
		char bad;
		uint32_t rights = acl_parse_rights(letters, m->host->deleteright, &bad);

		if (!span_eq(name, folder))
			continue;
		buf_clear(&acl);
		acl_set(box->row.acl, id, rights, m->host->deleteright, &acl);
		rc = folder_set_acl(box, buf_span(&acl), err);
	}
	buf_free(&acl);
	return rc;
}

/* xlist-FLAG: folder makes \Flag that folder's special use, the flag's letters as they were written. */
static int mark_special_use(const struct maker *m, struct span folder, struct mailbox *box,
			    struct us_err *err)
{
	struct conf_item item;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && conf_next(m->host->conf, "xlist-", &at, &item)) {
		char *use;

		if (!span_is(folder, item.text))
			continue;
		use = us_asprintf("\\%s", item.key + strlen("xlist-"));
		rc = annotation_set(box, ANNOTATION_SPECIAL_USE, span_of(m->user), span_of(use),
				    err);
		free(use);
	}
	return rc;
}

static int adorn(const struct maker *m, struct span folder, struct span name, struct us_err *err)
{
	struct mailbox *box = NULL;
	int rc = mailbox_open(m->host->store, name, &box, err);

	if (rc == 0)
		rc = mailbox_lock(box, err);
	if (rc == 0) {
		rc = grant_rights(m, folder, box, err);
		if (rc == 0)
			rc = mark_special_use(m, folder, box, err);
		mailbox_unlock(box);
	}
	mailbox_close(&box);
	return rc;
}

/* ---- lists of folders ------------------------------------------------------------------------------- */

/* Call fn for each name of a list "A|B|C", internal form. */
static void each_folder(const struct maker *m, const char *list, bool shared,
			int (*fn)(const struct maker *m, struct span folder, struct span name,
				  struct us_err *err))
{
	struct span rest = span_of(list), folder;
	struct mboxname_view names = m->names;

	names.admin = shared; /* shared folders are written as administrators see them */
	while (span_split(&rest, '|', &folder)) {
		struct us_err err = US_ERR_INIT;
		struct buf name = BUF_INIT;

		folder = span_trim(folder);
		if (folder.len) {
			int rc = mboxname_from_external(&names, folder, &name, &err);

			if (rc == 0)
				rc = fn(m, folder, buf_span(&name), &err);
			if (rc < 0)
				log_failure(m, folder, &err);
		}
		buf_free(&name);
	}
}

static int make_one(const struct maker *m, struct span folder, struct span name, struct us_err *err)
{
	int rc = make_folder(m, name, err);

	return rc < 0 ? rc : adorn(m, folder, name, err);
}

static int subscribe_one(const struct maker *m, struct span folder UNUSED, struct span name,
			 struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	int rc = mailbox_row_get(m->host->store, name, pool, &row, NULL, NULL, err);

	if (rc > 0)
		rc = subscription_set(m->host->store, span_of(m->user), name, true, err);
	else if (rc == 0)
		rc = us_fail(err, US_ENOENT, "there is no such folder to subscribe to");
	pool_free(&pool);
	return rc;
}

static int subscribe_if_visible(void *ctx, struct span name, const struct mailbox_row *row,
				struct us_err *err)
{
	const struct maker *m = ctx;
	struct acl_identity id = {m->user, NULL, NULL};

	if (mboxname_in_user_tree(name) || mboxname_is_deleted(name, m->names.deletedprefix) ||
	    !mailbox_row_is_real(row) ||
	    !(acl_rights(row->acl, &id, m->host->deleteright) & ACL_LOOKUP))
		return 0;
	return subscription_set(m->host->store, span_of(m->user), name, true, err);
}

/* ---- a user ---------------------------------------------------------------------------------------- */

static int limit_inbox(const struct maker *m, struct us_err *err)
{
	struct state_quota quota = {.root = m->inbox};
	int storage = conf_int(m->host->conf, CONF_autocreate_quota);
	int messages = conf_int(m->host->conf, CONF_autocreate_quota_messages);

	for (size_t i = 0; i < STATE_RESOURCES; i++)
		quota.limit[i] = STATE_NO_LIMIT;
	if (storage > 0)
		quota.limit[STATE_STORAGE] = storage;
	if (messages > 0)
		quota.limit[STATE_MESSAGE] = messages;
	return storage > 0 || messages > 0 ? quota_set(m->host->store, &quota, err) : 0;
}

static void make_rest(struct maker *m)
{
	const struct conf *conf = m->host->conf;
	struct us_err err = US_ERR_INIT;

	if (limit_inbox(m, &err) < 0 ||
	    subscription_set(m->host->store, span_of(m->user), m->inbox, true, &err) < 0)
		log_failure(m, m->inbox, &err);
	each_folder(m, conf_str(conf, CONF_autocreate_inbox_folders), false, make_one);
	each_folder(m, conf_str(conf, CONF_autocreate_subscribe_folders), false, subscribe_one);
	if (conf_bool(conf, CONF_autocreate_subscribe_sharedfolders_all)) {
		if (folder_list(m->host->store, SPAN_NULL, subscribe_if_visible, m, &err) < 0)
			log_failure(m, SPAN_LIT(""), &err);
		return;
	}
	each_folder(m, conf_str(conf, CONF_autocreate_subscribe_sharedfolders), true,
		    subscribe_one);
}

/* 1: made; 0: it was there, or somebody else is making it. */
static int make_inbox(struct maker *m, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	int rc = mailbox_row_get(m->host->store, m->inbox, pool, &row, NULL, NULL, err);

	pool_free(&pool);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = make_folder(m, m->inbox, err);
	return rc == US_EEXIST ? 0 : rc < 0 ? rc : 1;
}

static int make_user(const struct host *host, const char *user, struct us_err *err)
{
	struct maker m = {host, user, host_view(host, NULL), SPAN_NULL};
	struct buf inbox = BUF_INIT;
	int rc;

	m.names.userid = user;
	mboxname_user_inbox(span_of(user), &inbox);
	m.inbox = buf_span(&inbox);
	rc = make_inbox(&m, err);
	if (rc > 0) {
		log_event(LOG_NOTICE, "session.autocreate.made", LF_STR("user", user));
		make_rest(&m);
	}
	buf_free(&inbox);
	return rc;
}

static bool gets_one(const struct host *host, const char *user)
{
	const char *list = conf_str(host->conf, CONF_autocreate_users);
	struct span rest = span_of(list), word;

	if (conf_int(host->conf, CONF_autocreate_quota) < 0)
		return false;
	while (span_word(&rest, &word))
		if (span_is(word, "anyone"))
			return true;
	return identity_listed(&host->policy, list, user);
}

int autocreate_at_login(const struct host *host, const struct identity *who, struct us_err *err)
{
	if (strcmp(who->user, "anonymous") == 0 || !gets_one(host, who->user))
		return 0;
	return make_user(host, who->user, err);
}

bool autocreate_would_on_post(const struct host *host, const char *user)
{
	return conf_bool(host->conf, CONF_autocreate_post) && gets_one(host, user);
}

int autocreate_on_post(const struct host *host, const char *user, struct us_err *err)
{
	return autocreate_would_on_post(host, user) ? make_user(host, user, err) : 0;
}
