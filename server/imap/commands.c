/* commands.c - see commands.h. */
#include "server/imap/commands.h"

#include "server/base/mem.h"
#include "server/imap/append.h"

static const struct command commands[] = {
	/* name            shown            in            flags  parser       handler, stream */
	{"CAPABILITY", "Capability", IN_ANY, 0, NULL, run_capability, NULL},
	{"NOOP", "Noop", IN_ANY, 0, NULL, run_noop, NULL},
	{"LOGOUT", "Logout", IN_ANY, CMD_NO_NEWS, NULL, run_logout, NULL},
	{"ID", "Id", IN_ANY, 0, parse_id, run_id, NULL},
	{"STARTTLS", "Starttls", IN_ANY, CMD_NO_NEWS, NULL, run_starttls, NULL},
	{"COMPRESS", "Compress", IN_LOGGED_IN, CMD_NO_NEWS, parse_compress, run_compress, NULL},

	{"AUTHENTICATE", "Authenticate", IN_ANY, CMD_SECRET, parse_authenticate, run_authenticate,
	 NULL},
	{"LOGIN", "Login", IN_ANY, CMD_SECRET, parse_login, run_login, NULL},

	{"ENABLE", "Enable", IN_LOGGED_IN, 0, parse_enable, run_enable, NULL},
	{"NAMESPACE", "Namespace", IN_LOGGED_IN, 0, NULL, run_namespace, NULL},
	{"IDLE", "Idle", IN_LOGGED_IN, 0, NULL, run_idle, NULL},

	{"SELECT", "Select", IN_LOGGED_IN, CMD_NO_NEWS, parse_select, run_select, NULL},
	{"EXAMINE", "Examine", IN_LOGGED_IN, CMD_NO_NEWS, parse_select, run_examine, NULL},
	{"CHECK", "Check", IN_SELECTED, 0, NULL, run_check, NULL},
	{"CLOSE", "Close", IN_SELECTED, CMD_NO_NEWS, NULL, run_close, NULL},
	{"UNSELECT", "Unselect", IN_SELECTED, CMD_NO_NEWS, NULL, run_unselect, NULL},

	{"FETCH", "Fetch", IN_SELECTED, CMD_HAS_UID_FORM | CMD_KEEPS_NUMBERS, parse_fetch,
	 run_fetch, NULL},
	{"SEARCH", "Search", IN_SELECTED, CMD_HAS_UID_FORM | CMD_KEEPS_NUMBERS, parse_search,
	 run_search, NULL},
	{"STORE", "Store", IN_SELECTED, CMD_HAS_UID_FORM | CMD_KEEPS_NUMBERS | CMD_WRITES,
	 parse_store, run_store, NULL},
	{"COPY", "Copy", IN_SELECTED, CMD_HAS_UID_FORM | CMD_WRITES, parse_copy, run_copy, NULL},
	{"MOVE", "Move", IN_SELECTED, CMD_HAS_UID_FORM | CMD_WRITES, parse_copy, run_move, NULL},
	{"EXPUNGE", "Expunge", IN_SELECTED, CMD_HAS_UID_FORM | CMD_WRITES, parse_expunge,
	 run_expunge, NULL},
	{"APPEND", "Append", IN_LOGGED_IN, CMD_WRITES, parse_append, run_append, &append_stream},

	{"CREATE", "Create", IN_LOGGED_IN, CMD_WRITES, parse_create, run_create, NULL},
	{"DELETE", "Delete", IN_LOGGED_IN, CMD_WRITES, parse_mailbox, run_delete, NULL},
	{"RENAME", "Rename", IN_LOGGED_IN, CMD_WRITES, parse_rename, run_rename, NULL},
	{"SUBSCRIBE", "Subscribe", IN_LOGGED_IN, CMD_WRITES, parse_mailbox, run_subscribe, NULL},
	{"UNSUBSCRIBE", "Unsubscribe", IN_LOGGED_IN, CMD_WRITES, parse_mailbox, run_unsubscribe,
	 NULL},
	{"LIST", "List", IN_LOGGED_IN, 0, parse_list, run_list, NULL},
	{"LSUB", "Lsub", IN_LOGGED_IN, 0, parse_lsub, run_lsub, NULL},
	{"STATUS", "Status", IN_LOGGED_IN, 0, parse_status, run_status, NULL},

	{"GETMETADATA", "Getmetadata", IN_LOGGED_IN, 0, parse_getmetadata, run_getmetadata, NULL},
	{"SETMETADATA", "Setmetadata", IN_LOGGED_IN, CMD_WRITES, parse_setmetadata, run_setmetadata,
	 NULL},

	{"GETACL", "Getacl", IN_LOGGED_IN, 0, parse_mailbox, run_getacl, NULL},
	{"MYRIGHTS", "Myrights", IN_LOGGED_IN, 0, parse_mailbox, run_myrights, NULL},
	{"LISTRIGHTS", "Listrights", IN_LOGGED_IN, 0, parse_acl_identifier, run_listrights, NULL},
	{"DELETEACL", "Deleteacl", IN_LOGGED_IN, CMD_WRITES, parse_acl_identifier, run_deleteacl,
	 NULL},
	{"SETACL", "Setacl", IN_LOGGED_IN, CMD_WRITES, parse_setacl, run_setacl, NULL},

	{"GETQUOTA", "Getquota", IN_LOGGED_IN, 0, parse_mailbox, run_getquota, NULL},
	{"GETQUOTAROOT", "Getquotaroot", IN_LOGGED_IN, 0, parse_mailbox, run_getquotaroot, NULL},
	{"SETQUOTA", "Setquota", IN_LOGGED_IN, CMD_WRITES, parse_setquota, run_setquota, NULL},

	{"SYNCGET", "Syncget", IN_LOGGED_IN, CMD_ADMIN | CMD_NO_NEWS | CMD_HAND_OVER, NULL,
	 run_sync, &sync_stream},
	{"SYNCAPPLY", "Syncapply", IN_LOGGED_IN, CMD_ADMIN | CMD_NO_NEWS | CMD_HAND_OVER, NULL,
	 run_sync, &sync_stream},
	{"SYNCRESTORE", "Syncrestore", IN_LOGGED_IN, CMD_ADMIN | CMD_NO_NEWS | CMD_HAND_OVER, NULL,
	 run_sync, &sync_stream},
	{"SYNCRESTART", "Syncrestart", IN_LOGGED_IN, CMD_ADMIN | CMD_NO_NEWS, NULL, run_syncrestart,
	 &sync_stream},
};

const struct command *command_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (span_is_nocase(name, commands[i].name))
			return &commands[i];
	return NULL;
}

const struct command *command_at(size_t i)
{
	return i < ARRAY_SIZE(commands) ? &commands[i] : NULL;
}
