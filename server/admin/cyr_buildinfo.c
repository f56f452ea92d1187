/* cyr_buildinfo.c - what this installation has, in the words of Cyrus's cyr_buildinfo.
 *
 * A component is there if its program is installed beside this one: managers decide by it which services they may
 * start, and a service that is not done is not installed.
 */
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "config.h"
#include "server/base/buf.h"
#include "server/base/conf_options.h"
#include "server/base/mem.h"

#define USAGE_STATUS  255 /* as Cyrus's tool has it */
#define INDEX_VERSION 17  /* of the Cyrus whose mailboxes ours are like (MAILBOX_MINOR_VERSION) */

static bool is_in(const char *folder, const char *program)
{
	char *path = us_asprintf("%s/%s", folder, program);
	bool there = access(path, X_OK) == 0;

	free(path);
	return there;
}

static bool is_installed(const char *program)
{
	static const char *const folders[] = {LIBEXECDIR, LIBEXECDIR "/cyrus-imapd", SBINDIR,
					      BINDIR};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	if (n > 0 && is_in(dirname(self), program))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (is_in(folders[i], program))
			return true;
	return false;
}

static bool is_obeyed(enum conf_key key)
{
	return conf_option(key)->status == CONF_OBEYED;
}

static json_t *components(void)
{
	return json_pack("{sb sb sb sb sb sb sb sb sb sb sb sb sb sb}", "event_notification", 0,
			 "gssapi", 0, "autocreate", is_obeyed(CONF_autocreate_quota), "idled",
			 is_installed("idled"), "httpd", is_installed("httpd"), "kerberos_v4", 0,
			 "murder", is_installed("mupdate"), "nntpd", is_installed("nntpd"),
			 "replication", is_installed("sync_client"), "sieve",
			 is_installed("timsieved"), "calalarmd", is_installed("calalarmd"), "jmap",
			 0, "objectstore", 0, "backup", is_installed("backupd"));
}

static json_t *dependencies(void)
{
	static const char *const none[] = {"pcre",  "clamav",   "openio",  "nghttp2",
					   "wslay", "brotli",   "xml2",    "ical",
					   "icu4c", "shapelib", "chardet", "cld2"};
	json_t *all = json_pack("{sb sb sb sb}", "ldap", 0, "openssl", 1, "zlib", 1, "jansson", 1);

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		json_object_set_new(all, none[i], json_false());
	return all;
}

static json_t *buildinfo(void)
{
	return json_pack("{so so s{sb sb sb} s{sb sb ss} s{} s{si}}", "component", components(),
			 "dependency", dependencies(), "database", "mysql", 0, "pgsql", 0, "sqlite",
			 0, "search", "squat", 0, "xapian", 0, "xapian_cjk_tokens", "none",
			 "hardware", "version", "MAILBOX_MINOR_VERSION", INDEX_VERSION);
}

static void print_section(const char *section, json_t *items)
{
	for (void *i = json_object_iter(items); i; i = json_object_iter_next(items, i)) {
		char *text = json_dumps(json_object_iter_value(i), JSON_ENCODE_ANY);
		printf("%s.%s=%s\n", section, json_object_iter_key(i), text);
		free(text);
	}
}

/* Two levels: section.name=value. */
static void print_flat(json_t *all)
{
	for (void *i = json_object_iter(all); i; i = json_object_iter_next(all, i))
		print_section(json_object_iter_key(i), json_object_iter_value(i));
}

static int usage(void)
{
	fputs("cyr_buildinfo [-C <file>] [format]\n"
	      "Where format is one of:\n\n"
	      "  * pretty        - pretty-print JSON (default)\n"
	      "  * dense         - print dense JSON\n"
	      "  * flat          - print as flattened properties\n\n"
	      "The -C option is accepted but ignored.\n",
	      stderr);
	return USAGE_STATUS;
}

static bool print_as(json_t *all, const char *format)
{
	if (strcmp(format, "flat") == 0) {
		print_flat(all);
		return true;
	}
	if (strcmp(format, "dense") != 0 && strcmp(format, "pretty") != 0)
		return false;
	json_dumpf(all, stdout, format[0] == 'p' ? JSON_INDENT(2) : 0);
	putchar('\n');
	return true;
}

int main(int argc, char **argv)
{
	json_t *all;
	int letter;
	bool well;

	while ((letter = getopt(argc, argv, "C:")) != -1)
		if (letter != 'C')
			return usage();
	all = buildinfo();
	well = print_as(all, optind < argc ? argv[optind] : "pretty");
	json_decref(all);
	if (!well)
		return usage();
	return fflush(stdout) == 0 ? 0 : 1;
}
