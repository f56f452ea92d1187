/* proc_note.c - see proc_note.h.
 *
 * Making a note and cleaning up meet in the lock: the cleaner removes only what it has locked, and the maker, once it has the
 * lock, looks whether what it locked still has a name.
 */
#include "server/session/proc_note.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/conf.h"
#include "server/base/io.h"
#include "server/base/mem.h"

#define MOST_NOTE  65536
#define MOST_TRIES 20 /* a millisecond apart */

struct proc_note {
	char *path, *service, *client, *user;
	struct buf line; /* as it stands there */
	int fd;
};

char *proc_note_dir(const struct conf *conf)
{
	const char *path = conf_str(conf, CONF_proc_path);

	return path ? us_strdup(path)
		    : us_asprintf("%s/proc", conf_str(conf, CONF_configdirectory));
}

static void write_note(struct proc_note *note, struct span mailbox)
{
	struct buf line = BUF_INIT;

	buf_printf(&line, "%s\t%s\t%s\t%.*s\t\n", note->service, note->client,
		   note->user ? note->user : "", SPAN_ARG(mailbox));
	if (!span_eq(buf_span(&line), buf_span(&note->line)) &&
	    io_pwrite(NULL, note->fd, line.data, line.len, 0, NULL) == 0 &&
	    (!note->line.len || line.len < note->line.len))
		(void)!ftruncate(note->fd,
				 (off_t)line.len); /* else the old end shows behind a LF */
	buf_free(&note->line);
	note->line = line;
}

/* The file under its name, locked; -1. Who reads or cleans away a note that a process of our id left holds it for a moment;
 * a note is not worth more of a wait. */
static int open_locked(const char *path)
{
	for (int tries = 0; tries < MOST_TRIES; tries++) {
		struct stat st;
		int fd;

		if (io_open(NULL, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644, &fd, NULL) <
		    0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink)
			return fd;
		io_close(&fd);
		(void)poll(NULL, 0, 1);
	}
	return -1;
}

struct proc_note *proc_note_new(const struct conf *conf, const char *service, const char *client)
{
	char *dir = proc_note_dir(conf), *path = us_asprintf("%s/%d", dir, (int)getpid());
	struct proc_note *note = NULL;
	int fd = open_locked(path);

	if (fd < 0 && mkdir(dir, 0755) == 0)
		fd = open_locked(path);
	free(dir);
	if (fd < 0) {
		free(path);
		return NULL;
	}
	note = us_calloc(1, sizeof(*note));
	note->path = path;
	note->fd = fd;
	buf_init(&note->line, 0);
	note->service = us_strdup(service);
	note->client = us_strdup(client);
	write_note(note, SPAN_NULL);
	return note;
}

void proc_note_user(struct proc_note *note, const char *user)
{
	if (!note)
		return;
	free(note->user);
	note->user = us_strdup(user);
	write_note(note, SPAN_NULL);
}

void proc_note_mailbox(struct proc_note *note, struct span mailbox)
{
	if (note)
		write_note(note, mailbox);
}

void proc_note_free(struct proc_note **note)
{
	struct proc_note *n = *note;

	*note = NULL;
	if (!n)
		return;
	(void)unlink(n->path);
	io_close(&n->fd);
	free(n->path);
	free(n->service);
	free(n->client);
	free(n->user);
	buf_free(&n->line);
	free(n);
}

/* 1: its process lives; 0: it does not, and the file is ours; -1: there is none. */
static int open_note(int dir, const char *pid, int how, int *fd)
{
	*fd = openat(dir, pid, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return -1;
	return flock(*fd, how | LOCK_NB) < 0;
}

int proc_note_read(int dir, const char *pid, struct buf *out)
{
	struct buf text = BUF_INIT;
	int fd, rc = 0;

	if (open_note(dir, pid, LOCK_SH, &fd) > 0 &&
	    io_read_file(dir, pid, MOST_NOTE, &text, NULL) == 0) {
		buf_add(out, text.data, strcspn(text.data, "\n"));
		rc = 1;
	}
	io_close(&fd);
	buf_free(&text);
	return rc;
}

static void clean_one(int dir, const char *pid)
{
	int fd;

	if (open_note(dir, pid, LOCK_EX, &fd) == 0)
		(void)unlinkat(dir, pid, 0);
	io_close(&fd);
}

static void clean_all(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	uint64_t pid;

	while (d && (entry = readdir(d)))
		if (span_u64(span_of(entry->d_name), INT32_MAX, &pid) && pid)
			clean_one(dirfd(d), entry->d_name);
	if (d)
		closedir(d);
}

void proc_note_clean(const struct conf *conf, pid_t pid)
{
	char *dir = proc_note_dir(conf), *path = us_asprintf("%s/%d", dir, (int)pid);

	if (pid)
		clean_one(AT_FDCWD, path);
	else
		clean_all(dir);
	free(path);
	free(dir);
}
