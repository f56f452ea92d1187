/* peer.h - a replication client in a unit test: commands go through a pipe in memory to server/csync over a real store. */
#ifndef US_TESTS_UNIT_CSYNC_PEER_H
#define US_TESTS_UNIT_CSYNC_PEER_H

#include "tests/unit/store/rig.h"

#include "server/base/dlist_lexer.h"
#include "server/base/stream.h"
#include "server/csync/csync.h"

#define ACL_BOB "bob\tlrswipkxtecdan\t"

struct peer {
	struct rig *rig;
	struct host host;
	struct csync *cs;
	struct stream *ends[2]; /* the client's, the server's */
	struct dlist_lexer lx;
	struct buf answer; /* to the last command, all of it */
};

static inline void peer_connect(struct peer *p)
{
	stream_pipe(p->ends, NULL);
	p->cs = csync_new(&p->host, 1u << 20);
	dlist_lexer_init(&p->lx, stream_source(p->ends[1]), NULL);
}

static inline void peer_disconnect(struct peer *p)
{
	csync_free(&p->cs);
	dlist_lexer_fini(&p->lx);
	stream_free(&p->ends[0]);
	stream_free(&p->ends[1]);
}

/* A client of a store that is there and stays. */
static inline void peer_join(struct peer *p, struct rig *rig)
{
	memset(p, 0, sizeof(*p));
	p->rig = rig;
	p->host = (struct host){.store = rig->store,
				.servername = "b.example.net",
				.deleteright = 'c'};
	buf_init(&p->answer, 0);
	peer_connect(p);
}

static inline void peer_leave(struct peer *p)
{
	peer_disconnect(p);
	buf_free(&p->answer);
}

static inline struct peer *peer_new(void)
{
	struct peer *p = us_calloc(1, sizeof(*p));
	struct rig *rig = us_malloc(sizeof(*rig));

	rig_new(rig);
	peer_join(p, rig);
	return p;
}

static inline void peer_free(struct peer *p)
{
	struct rig *rig = p->rig;

	peer_leave(p);
	rig_free(rig);
	free(rig);
	free(p);
}

static inline int peer_setup(void **state)
{
	*state = peer_new();
	return 0;
}

static inline int peer_teardown(void **state)
{
	peer_free(*state);
	return 0;
}

/* ---- talking ------------------------------------------------------------------------------------- */

/* What waits for us, taken off. */
static inline void peer_hear(struct peer *p)
{
	struct us_err err;

	assert_ok(stream_flush(p->ends[1], &err), &err);
	buf_clear(&p->answer);
	while (stream_readable(p->ends[0])) {
		struct span bytes;
		if (stream_peek(p->ends[0], &bytes, &err) <= 0)
			break;
		buf_add_span(&p->answer, bytes);
		stream_take(p->ends[0], bytes.len);
	}
}

/* Read one command's verb and hand it over. What csync_execute() gives. */
static inline int peer_serve(struct peer *p, struct us_err *err)
{
	int verb = WIRE_VERB_RESTORE;

	dlist_lexer_restart(&p->lx);
	assert_int_equal(dlist_next(&p->lx, err), DLIST_TOKEN_TEXT);
	while (verb > 0 && !span_is(buf_span(&p->lx.text), wire_verb_name((enum wire_verb)verb)))
		verb--;
	return csync_execute(p->cs, (enum wire_verb)verb, &p->lx, p->ends[1], SPAN_NULL, err);
}

/* Send a command (with its CRLF) and give the whole answer. */
static inline const char *peer_send(struct peer *p, struct span command)
{
	struct us_err err;

	stream_write_span(p->ends[0], command);
	assert_ok(stream_flush(p->ends[0], &err), &err);
	assert_ok(peer_serve(p, &err), &err);
	peer_hear(p);
	return p->answer.data;
}

static inline const char *peer_say(struct peer *p, const char *command)
{
	char *line = us_asprintf("%s\r\n", command);
	const char *answer = peer_send(p, span_of(line));

	free(line);
	return answer;
}

/* The last line of the answer, as a code (wire_answer.h). */
static inline int peer_code(struct peer *p)
{
	struct span rest = buf_span(&p->answer), line = SPAN_NULL;

	while (rest.len && span_split(&rest, '\n', &line))
		;
	assert_true(line.len > 0);
	return wire_parse_answer(span_make(line.ptr, line.len - 1), SPAN_NULL, NULL, NULL);
}

static inline int peer_try(struct peer *p, const char *command)
{
	peer_say(p, command);
	return peer_code(p);
}

#define assert_said(p, command, expected) assert_string_equal(peer_say(p, command), expected)
#define OK                                "OK success\r\n"
#define NONEXISTENT                       "NO IMAP_MAILBOX_NONEXISTENT No Such Mailbox\r\n"
#define BAD_PARAMETERS                    "NO IMAP_PROTOCOL_BAD_PARAMETERS\r\n"
#define CHECKSUM                          "NO IMAP_SYNC_CHECKSUM Checksum Failure\r\n"
#define CHANGED                           "NO IMAP_SYNC_CHANGED Changed since last sync\r\n"
#define MOVED                             "NO IMAP_MAILBOX_MOVED Mailbox exists with another name or uniqueid\r\n"
#define PROTOCOL                          "NO IMAP_PROTOCOL_ERROR Protocol error\r\n"
#define UNKNOWN_ERROR                     "NO Unknown error\r\n"

/* Stage a body. */
static inline void peer_body(struct peer *p, const char *text)
{
	struct guid guid = guid_of(span_of(text));
	char hex[GUID_HEX];
	char *line;

	guid_format(&guid, hex);
	line = us_asprintf("APPLY MESSAGE (%%{default %s %zu}\r\n%s)", hex, strlen(text), text);
	assert_said(p, line, OK);
	free(line);
}

/* ---- a mailbox of the client's ---------------------------------------------------------------------- */

struct box {
	struct state_mailbox m;
	struct state_record r[64];
	bool partial; /* sent without sums */
};

static inline struct box box_new(const char *name, const char *uniqueid)
{
	return (struct box){.m = {.uniqueid = span_of(uniqueid),
				  .name = span_of(name),
				  .mboxtype = SPAN_LIT(""),
				  .has_sync_crc_annot = true,
				  .highestmodseq = 1,
				  .uidvalidity = 1000,
				  .partition = SPAN_LIT("default"),
				  .acl = SPAN_LIT(ACL_BOB),
				  .options = MAILBOX_OPTION_POP3_NEW_UIDL,
				  .createdmodseq = 1,
				  .foldermodseq = 1}};
}

/* Add a message of that text; its body is not sent. */
static inline struct state_record *box_add(struct box *b, const char *text, uint32_t flags)
{
	struct state_record *r = &b->r[b->m.n_records++];

	assert_true(b->m.n_records <= ARRAY_SIZE(b->r));
	*r = (struct state_record){.uid = ++b->m.last_uid,
				   .modseq = ++b->m.highestmodseq,
				   .createdmodseq = b->m.highestmodseq,
				   .system_flags = flags,
				   .last_updated = 1795472229,
				   .internaldate = 1769940000,
				   .savedate = 1795472230,
				   .size = strlen(text),
				   .guid = guid_of(span_of(text))};
	b->m.last_appenddate = 1795472230;
	return r;
}

static inline struct state_record *box_find(struct box *b, uint32_t uid)
{
	for (size_t i = 0; i < b->m.n_records; i++)
		if (b->r[i].uid == uid)
			return &b->r[i];
	return NULL;
}

/* Another change of the mailbox: its modseq, given to *r if there is one. */
static inline void box_touch(struct box *b, struct state_record *r)
{
	b->m.highestmodseq++;
	if (r)
		r->modseq = b->m.highestmodseq;
}

static inline void box_settle(struct box *b)
{
	struct sums s = SUMS_EMPTY;

	for (size_t i = 0; i < b->m.n_records; i++)
		sums_add(&s, &b->r[i]);
	b->m.sync_crc = s.basic;
	b->m.sync_crc_annot = s.annot;
	b->m.records = b->r;
}

/* APPLY MAILBOX of it as it stands (box_settle() is the caller's): the answer. */
static inline const char *peer_put(struct peer *p, const struct box *b)
{
	struct buf line = BUF_INIT;
	struct dlist_writer w = dlist_writer(&line, true);
	struct state_mailbox m = b->m;
	const char *answer;

	m.records = b->r; /* a box that was copied brings its records along */
	wire_begin_command(&w, SPAN_NULL, WIRE_APPLY_MAILBOX, false);
	wire_put_mailbox(&w, &m, b->partial ? WIRE_APPLY_PARTIAL : WIRE_APPLY);
	wire_end_command(&w);
	answer = peer_send(p, buf_span(&line));
	buf_free(&line);
	return answer;
}

/* With right sums. */
static inline const char *peer_apply(struct peer *p, struct box *b)
{
	box_settle(b);
	return peer_put(p, b);
}

/* The replica must have exactly this, to the octet, as GET FULLMAILBOX shows it; and its own counters must be right. */
static inline void peer_must_have(struct peer *p, struct box *b)
{
	struct state_mailbox m;
	struct buf expected = BUF_INIT;
	struct dlist_writer w = dlist_writer(&expected, false);
	char *command = us_asprintf("GET FULLMAILBOX %.*s", SPAN_ARG(b->m.name));
	char *name = span_dup(b->m.name);
	struct mailbox *open;

	box_settle(b);
	m = b->m;
	m.has_since = false;
	wire_begin_item(&w, WIRE_ITEM_MAILBOX);
	wire_put_mailbox(&w, &m, WIRE_REPLY_FULL);
	wire_end_item(&w);
	buf_add_str(&expected, OK);
	assert_string_equal(peer_say(p, command), expected.data);
	open = rig_mailbox(p->rig, name);
	rig_check_counters(open);
	mailbox_close(&open);
	buf_free(&expected);
	free(command);
	free(name);
}

static inline void peer_must_lack(struct peer *p, const char *name)
{
	char *command = us_asprintf("GET FULLMAILBOX %s", name);

	assert_said(p, command, NONEXISTENT);
	free(command);
}

/* A mailbox of three messages on both sides: uid 2 expunged, uid 3 has no record any more. */
static inline struct box peer_three(struct peer *p)
{
	struct box b = box_new("user.bob", "uniqueid-bob");

	peer_body(p, "one");
	box_add(&b, "one", FLAG_SEEN);
	box_add(&b, "two", 0)->expunged = true;
	b.m.last_uid = 3;
	b.m.highestmodseq = 10;
	assert_string_equal(peer_apply(p, &b), OK);
	return b;
}

#endif
