/* note.c - see note.h. */
#include "server/store/meta/note.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/checksum.h"
#include "server/base/io.h"

#define MAGIC "USNOT1\r\n"

struct note_file {
	char magic[8];
	uint32_t format; /* 1 */
	uint32_t copy, first_log, reserved;
	uint64_t size, version;
	int64_t time_s;
	uint8_t zero[12];
	uint32_t crc; /* of all before */
};
_Static_assert(sizeof(struct note_file) == 64, "as in doc/FORMATS.md 9.5");

static struct note_file encode(const struct note *n)
{
	struct note_file f = {.magic = MAGIC, .format = 1};

	f.copy = n->copy;
	f.first_log = n->first_log;
	f.size = n->size;
	f.version = n->version;
	f.time_s = n->time_s;
	f.crc = us_crc32c(0, &f, offsetof(struct note_file, crc));
	return f;
}

int note_read(int dir, const char *name, struct note *out, struct us_err *err)
{
	struct buf text = BUF_INIT;
	struct note_file f;
	int rc = io_read_file(dir, name, sizeof(f), &text, err);

	if (rc == US_ENOENT)
		return 0;
	if (rc == 0 && text.len == sizeof(f))
		memcpy(&f, text.data, sizeof(f));
	if (rc == US_ELIMIT ||
	    (rc == 0 && (text.len != sizeof(f) || memcmp(f.magic, MAGIC, 8) || f.format != 1 ||
			 f.crc != us_crc32c(0, &f, offsetof(struct note_file, crc)))))
		rc = us_fail(err, US_ECORRUPT, "%s is damaged", name);
	buf_free(&text);
	if (rc < 0)
		return rc;
	*out = (struct note){f.copy, f.first_log, f.size, f.version, f.time_s};
	return 1;
}

int note_write(int dir, const char *name, const struct note *note, struct us_err *err)
{
	struct note_file f = encode(note);
	int fd = -1;
	int rc = io_open(FP("meta.note.open"), dir, name, O_WRONLY | O_CREAT, 0600, &fd, err);

	if (rc == 0)
		rc = io_pwrite(FP("meta.note.write"), fd, &f, sizeof(f), 0, err);
	io_close(&fd);
	return rc;
}

int note_replace(int dir, const char *name, const struct note *note, struct us_err *err)
{
	struct io_replace_points points = {FP("meta.backup.note.write"),
					   FP("meta.backup.note.sync"),
					   FP("meta.backup.note.rename"),
					   FP("meta.backup.note.sync_dir")};
	struct note_file f = encode(note);

	return io_replace(&points, dir, name, &f, sizeof(f), 0600, err);
}
