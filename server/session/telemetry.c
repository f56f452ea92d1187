/* telemetry.c - see telemetry.h. */
#include "server/session/telemetry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/session/host.h"

void telemetry_begin(const struct host *host, struct span user, const char *session,
		     struct stream *stream)
{
	char *directory, *path;
	struct stat st;
	int fd;

	if (span_find(user, '/') || span_starts(user, "."))
		return;
	directory = us_asprintf("%s/log/%.*s", conf_str(host->conf, CONF_configdirectory),
				SPAN_ARG(user));
	path = conf_bool(host->conf, CONF_telemetry_bysessionid)
		       ? us_asprintf("%s/%s", directory, session)
		       : us_asprintf("%s/%s-%d", directory, host->ident, (int)getpid());
	if (stat(directory, &st) == 0 && S_ISDIR(st.st_mode) &&
	    io_open(NULL, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644, &fd,
		    NULL) == 0)
		stream_set_telemetry(stream, fd);
	free(path);
	free(directory);
}
