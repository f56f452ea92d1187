/* json_text.c - see json_text.h. */
#include "server/admin/json_text.h"

#include <stdlib.h>

json_t *json_text(struct span s)
{
	json_t *text = json_stringn(s.ptr ? s.ptr : "", s.len);
	char *copy;

	if (text)
		return text;
	copy = span_dup(s);
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)copy[i] >= 0x80)
			copy[i] = '?';
	text = json_stringn(copy, s.len);
	free(copy);
	return text;
}
