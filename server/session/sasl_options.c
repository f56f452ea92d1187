/* sasl_options.c - see sasl_options.h. */
#include "server/session/sasl_options.h"

#include <stdio.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/span.h"

static const char *get(const struct sasl_options *options, const char *prefix, const char *plugin,
		       const char *option)
{
	char key[256];
	int len = snprintf(key, sizeof(key), "%s%ssasl_%s%s%s", prefix ? prefix : "",
			   prefix ? "_" : "", plugin ? plugin : "", plugin ? "_" : "", option);

	if (len < 0 || (size_t)len >= sizeof(key))
		return NULL;
	for (char *c = key; *c;
	     c++) /* plugins go by their mechanisms' names; keys are lower case */
		*c = (char)us_lower((unsigned char)*c);
	return options->get(options->ctx, key);
}

static int getopt_callback(void *ctx, const char *plugin, const char *option, const char **result,
			   unsigned *len)
{
	const struct sasl_options *options = ctx;
	const char *value = NULL;

	if (plugin && options->ident)
		value = get(options, options->ident, plugin, option);
	if (!value && plugin)
		value = get(options, NULL, plugin, option);
	if (!value && options->ident)
		value = get(options, options->ident, NULL, option);
	if (!value)
		value = get(options, NULL, NULL, option);
	if (!value)
		return SASL_FAIL;
	*result = value;
	if (len)
		*len = (unsigned)strlen(value);
	return SASL_OK;
}

/* A failed login is told by whoever answers the client, with his address and the name: SASL's own line is for
 * debugging. Its traces may show passwords and go nowhere. */
static int log_callback(void *ctx UNUSED, int level, const char *message)
{
	static const int levels[] = {
		[SASL_LOG_ERR] = LOG_ERR,      [SASL_LOG_FAIL] = LOG_DEBUG,
		[SASL_LOG_WARN] = LOG_WARNING, [SASL_LOG_NOTE] = LOG_INFO,
		[SASL_LOG_DEBUG] = LOG_DEBUG,
	};

	if (level >= SASL_LOG_ERR && level <= SASL_LOG_DEBUG)
		log_event(levels[level], "session.sasl.said", LF_STR("text", message));
	return SASL_OK;
}

void sasl_options_callbacks(struct sasl_options *options,
			    sasl_callback_t out[SASL_OPTIONS_CALLBACKS])
{
	out[0] = SASL_OPTIONS_ROW(SASL_CB_GETOPT, getopt_callback, options);
	out[1] = SASL_OPTIONS_ROW(SASL_CB_LOG, log_callback, options);
	out[2] = SASL_OPTIONS_END;
}

static int code_of(int result)
{
	switch (result) {
	case SASL_NOMECH:
	case SASL_WRONGMECH:
		return US_ENOTSUP;
	case SASL_BADPROT:
	case SASL_BADPARAM:
		return US_EPROTO;
	case SASL_FAIL:
	case SASL_BUFOVER:
	case SASL_CONFIGERR:
		return US_EIO;
	case SASL_TRYAGAIN:
	case SASL_UNAVAIL:
		return US_EREMOTE;
	default:
		return US_EAUTH;
	}
}

int sasl_options_fail(struct us_err *err, int result)
{
	us_assert(result != SASL_NOMEM);
	/* that there is no such user is nobody's business */
	if (result == SASL_NOUSER)
		result = SASL_BADAUTH;
	return us_fail(err, code_of(result), "%s", sasl_errstring(result, NULL, NULL));
}
