/* state.h - the plain data of a snapshot: what one side of a replication knows about an object.
 *
 * No behaviour, no ownership beyond the pool a snapshot is built in, nothing but base: the store fills
 * these from its files, reconcile/wire.c from what a peer sent, and reconcile compares the two. Field
 * names are those of the csync protocol (doc/PROTOCOL.md); times are seconds since 1970 UTC.
 */
#ifndef US_STORE_STATE_H
#define US_STORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/checksum.h"
#include "server/base/span.h"

/* System flags as on disk (doc/FORMATS.md 2.2) and in every struct that has `system_flags`. */
enum state_system_flag {
	FLAG_ANSWERED = 1u << 0,
	FLAG_FLAGGED = 1u << 1,
	FLAG_DELETED = 1u << 2,
	FLAG_DRAFT = 1u << 3,
	FLAG_SEEN = 1u << 4,
};

/* Options of a mailbox, on the wire the letters P S D A in this order. */
enum state_mailbox_option {
	MAILBOX_OPTION_POP3_NEW_UIDL = 1u << 0,
	MAILBOX_OPTION_SHARED_SEEN = 1u << 1,
	MAILBOX_OPTION_DUP_DELIVER = 1u << 2,
	MAILBOX_OPTION_HAS_ALARMS = 1u << 3,
};

struct state_annotation {
	struct span entry;  /* "/comment", no /shared or /private prefix */
	struct span userid; /* empty: shared */
	struct span value;
	uint64_t modseq; /* 0 for mailbox annotations */
};

struct state_record {
	uint32_t uid;
	uint32_t system_flags;
	bool expunged;
	bool unlinked; /* local side only: the message file is gone */
	uint64_t modseq;
	int64_t last_updated;
	int64_t internaldate;
	uint64_t size;
	struct guid guid;
	/* Virtual annotations of the wire, fields here: 0 means absent. */
	uint64_t thrid;
	int64_t savedate;
	uint64_t createdmodseq;
	/* Keywords with the spelling of this side, in its own order; compared without ASCII case. */
	const struct span *keywords;
	size_t n_keywords;
	/* Real annotations, sorted by entry, user, value. */
	const struct state_annotation *annotations;
	size_t n_annotations;
};

struct state_mailbox {
	struct span uniqueid;
	struct span name;     /* internal: user.bob.Sent */
	struct span mboxtype; /* "" plain e-mail; else as on the wire: "f", "ei", ... */
	uint32_t sync_crc, sync_crc_annot; /* 0: do not care */
	bool has_sync_crc_annot; /* a partial update and an intermediate entry leave it out */
	uint32_t last_uid;
	uint64_t highestmodseq;
	uint32_t recentuid;
	int64_t recenttime;
	int64_t last_appenddate;
	int64_t pop3_last_login;
	int64_t pop3_show_after;
	uint64_t xconvmodseq;
	uint64_t raclmodseq;
	uint32_t uidvalidity;
	struct span partition; /* the name both sides use; SPAN_NULL for an intermediate entry */
	struct span acl;       /* identifier TAB rights TAB ..., as stored */
	uint32_t options;
	struct span quotaroot; /* SPAN_NULL: none; information only */
	uint64_t createdmodseq;
	uint64_t foldermodseq;                      /* 0: not said */
	const struct state_annotation *annotations; /* the mailbox's own: always the complete set */
	size_t n_annotations;
	/* Only in APPLY, first attempt. */
	bool has_since;
	uint64_t since_modseq;
	uint32_t since_crc, since_crc_annot;
	/* Local side only. */
	uint64_t deletedmodseq;
	struct span former_names[8]; /* newest first */
	size_t n_former_names;
	/* The records that were asked for, UIDs ascending. */
	const struct state_record *records;
	size_t n_records;
};

#define STATE_NO_LIMIT (-1)
enum state_resource {
	STATE_STORAGE, /* KiB */
	STATE_MESSAGE,
	STATE_ANNOTATION_STORAGE, /* KiB */
	STATE_NUM_FOLDERS,
	STATE_RESOURCES
};
/* Their names in rows, on the wire and to clients; what a table of them begins with. */
#define STATE_RESOURCE_NAMES                                              \
	{                                                                 \
		[STATE_STORAGE] = "STORAGE", [STATE_MESSAGE] = "MESSAGE", \
		[STATE_ANNOTATION_STORAGE] = "X-ANNOTATION-STORAGE",      \
		[STATE_NUM_FOLDERS] = "X-NUM-FOLDERS",                    \
	}

struct state_quota {
	struct span root;
	int64_t limit[STATE_RESOURCES]; /* STATE_NO_LIMIT: none */
	uint64_t modseq;
};

struct state_seen {
	struct span uniqueid;
	int64_t lastread;
	uint32_t lastuid;
	int64_t lastchange;
	struct span seenuids; /* "1:4,7" */
};

/* A sieve script as the commands without SIEVE-MAILBOX show it. */
struct state_sieve {
	struct span filename; /* "name.script", or "name.bc" for the active one */
	int64_t last_update;
	struct guid guid; /* all zero: not known */
	bool active;
};

struct state_server_annotation {
	struct span mboxname; /* "" */
	struct state_annotation annotation;
};

/* A removal one side knows about. */
struct state_tombstone {
	struct span uniqueid;
	struct span name; /* the name it had last */
	uint32_t uidvalidity;
	uint64_t modseq;
	int64_t time;
};

/* All of one user, or a set of mailboxes (then only `mailboxes` is filled). */
struct state_user {
	struct span userid;
	const struct state_mailbox *mailboxes; /* in the order of the mailbox list */
	size_t n_mailboxes;
	const struct state_quota *quotas;
	size_t n_quotas;
	const struct span *subscriptions; /* internal names, sorted */
	size_t n_subscriptions;
	const struct state_seen *seen;
	size_t n_seen;
	const struct state_sieve *sieve;
	size_t n_sieve;
	const struct state_tombstone *tombstones; /* local side only */
	size_t n_tombstones;
};

#endif
