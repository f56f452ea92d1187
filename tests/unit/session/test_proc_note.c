/* test_proc_note.c - a note is nobody's failure, and nobody waits for one. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/session/proc_note.h"

static void nobody_waits_for_a_note(void **state UNUSED)
{
	char root[] = "/tmp/us-note-XXXXXX", text[100], path[100];
	struct proc_note *note;
	struct conf *conf = NULL;
	struct us_err err;
	int fd;

	assert_non_null(mkdtemp(root));
	snprintf(text, sizeof(text), "configdirectory: %s\nproc_path: %s\n", root, root);
	assert_ok(conf_parse(span_of(text), "f", "imap", NULL, &conf, &err), &err);
	snprintf(path, sizeof(path), "%s/%d", root, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_SH), 0); /* somebody who reads, and was stopped */
	alarm(20);
	assert_null(proc_note_new(conf, "imap", "x"));
	alarm(0);
	close(fd);
	note = proc_note_new(conf, "imap", "x");
	assert_non_null(note);
	proc_note_free(&note);
	assert_int_equal(rmdir(root), 0);
	conf_free(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_waits_for_a_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
