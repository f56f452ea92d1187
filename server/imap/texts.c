/* texts.c - see texts.h. */
#include "server/imap/texts.h"

#include <stddef.h>

#include "server/base/err.h"
#include "server/base/mem.h"

/* Where a code means something else to a command (a partition, a quota root), the command says so itself. */
static const struct {
	int code;
	const char *text;
} texts[] = {
	{US_EIO, "System I/O error"},
	{US_EBUSY, "Mailbox is locked"},
	{US_ENOENT, "Mailbox does not exist"},
	{US_EPROTO, "Protocol error"},
	{US_ELIMIT, "Over a configured limit"},
	{US_ECORRUPT, "System I/O error"},
	{US_EEXIST, "Mailbox already exists"},
	{US_EPERM, "Permission denied"},
	{US_EQUOTA, "Over quota"},
	{US_ETIMEOUT, "Server(s) unavailable to complete operation"},
	{US_ECLOSED, "Server(s) unavailable to complete operation"},
	{US_ECONFIG, "Unknown/invalid partition"},
	{US_EINVAL, "Invalid mailbox name"},
	{US_EMOVED, "Mailbox already exists"},
	{US_ECHANGED, "Mailbox is locked"},
	{US_ECHECKSUM, "System I/O error"},
	{US_EAUTH, "authentication failure"},
	{US_EREMOTE, "The remote Server(s) denied the operation"},
	{US_ENOSPC, "System I/O error"},
	{US_ELINK, "Server(s) unavailable to complete operation"},
	{US_ENOTSUP, "Operation is not supported on mailbox"},
};

const char *imap_text(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return "Internal Error";
}

const char *imap_code(int code)
{
	return code == US_EPROTO ? NULL : us_err_imap(code);
}

bool imap_text_is_for_operator(int code)
{
	return code == US_EIO || code == US_ENOSPC || code == US_ECONFIG ||
	       us_err_class(code) == US_REPAIR;
}
