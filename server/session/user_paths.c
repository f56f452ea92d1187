/* user_paths.c - see user_paths.h. */
#include "server/session/user_paths.h"

#include "server/store/partition.h"

static void add_place(const struct storeid *inbox, struct buf *out)
{
	buf_add_char(out, '/');
	partition_mailbox_path(inbox, out);
}

void user_sieve_path(const struct conf *conf, const struct storeid *inbox, struct buf *out)
{
	buf_add_str(out, conf_str(conf, CONF_sievedir));
	if (inbox)
		add_place(inbox, out);
	else
		buf_add_str(out, "/global");
}

void user_files_path(const struct conf *conf, const struct storeid *inbox, struct buf *out)
{
	buf_add_str(out, conf_str(conf, CONF_configdirectory));
	if (!inbox)
		return;
	buf_add_str(out, "/user");
	add_place(inbox, out);
}
