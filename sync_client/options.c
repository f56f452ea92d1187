/* options.c - see options.h. */
#include "sync_client/options.h"

#include <stdlib.h>
#include <unistd.h>

#include "server/base/span.h"

#define SECONDS_MAX 31536000u

const char *options_usage(void)
{
	return "usage: sync_client -u [options] user ...\n"
	       "       sync_client -m [options] mailbox ...\n"
	       "       sync_client -s [options] user ...\n"
	       "       sync_client -A [options] [prefix ...]\n"
	       "       sync_client -r | -R [-1] [options]\n"
	       "options: [-C imapd.conf] [-S server] [-n channel] [-f file] [-F shutdown-file]\n"
	       "         [-p partition] [-t seconds] [-d seconds] [-w seconds] [-alLNoOvz]\n";
}

static int seconds(const char *text, int letter, long *out, struct us_err *err)
{
	uint64_t n;

	if (!span_u64(span_of(text), SECONDS_MAX, &n))
		return us_fail(err, US_EINVAL, "-%c wants a number of seconds", letter);
	*out = (long)n;
	return 0;
}

static int mode(struct options *o, enum options_mode wanted, struct us_err *err)
{
	if (o->mode != MODE_NONE && o->mode != wanted)
		return us_fail(err, US_EINVAL, "only one of -u, -m, -s, -A, -r and -R");
	o->mode = wanted;
	return 0;
}

static int flag(struct options *o, int letter, struct us_err *err)
{
	bool *flags[128] = {['1'] = &o->one_pass,   ['o'] = &o->once,     ['O'] = &o->no_copyback,
			    ['N'] = &o->no_wait,    ['z'] = &o->compress, ['l'] = &o->log_actions,
			    ['L'] = &o->local_only, ['a'] = &o->archive};

	if (letter == 'v')
		o->verbose++;
	else if (letter > 0 && letter < 128 && flags[letter])
		*flags[letter] = true;
	else
		return us_fail(err, US_EINVAL, "there is no such option");
	return 0;
}

static int one_option(struct options *o, int letter, const char *value, struct us_err *err)
{
	switch (letter) {
	case 'u':
		return mode(o, MODE_USERS, err);
	case 'm':
		return mode(o, MODE_MAILBOXES, err);
	case 's':
		return mode(o, MODE_META, err);
	case 'A':
		return mode(o, MODE_ALL, err);
	case 'r':
	case 'R':
		o->background = letter == 'r';
		return mode(o, MODE_ROLLING, err);
	case 'C':
		o->config = value;
		return 0;
	case 'S':
		o->server = value;
		return 0;
	case 'n':
		o->channel = value;
		return 0;
	case 'f':
		o->file = value;
		return 0;
	case 'F':
		o->shutdown = value;
		return 0;
	case 'p':
		o->partition = value;
		return 0;
	case 't':
		return seconds(value, letter, &o->restart_s, err);
	case 'd':
		return seconds(value, letter, &o->delay_s, err);
	case 'w':
		return seconds(value, letter, &o->wait_s, err);
	default:
		return flag(o, letter, err);
	}
}

static int check(const struct options *o, struct us_err *err)
{
	bool wants_names =
		o->mode == MODE_USERS || o->mode == MODE_MAILBOXES || o->mode == MODE_META;

	if (o->mode == MODE_NONE)
		return us_fail(err, US_EINVAL, "one of -u, -m, -s, -A, -r and -R is wanted");
	if (wants_names && !o->n_args && !o->file)
		return us_fail(err, US_EINVAL, "no names are given");
	if (o->mode == MODE_ROLLING && o->n_args)
		return us_fail(err, US_EINVAL, "a rolling client takes no names");
	if (o->mode != MODE_ROLLING && o->one_pass)
		return us_fail(err, US_EINVAL, "-1 goes with -r or -R");
	return 0;
}

int options_read(int argc, char **argv, struct options *out, struct us_err *err)
{
	int letter, rc = 0;

	*out = (struct options){.channel = "", .restart_s = 600, .delay_s = -1};
	opterr = 0;
	while (rc == 0 && (letter = getopt(argc, argv, "C:umsAarR1n:f:S:F:d:t:w:p:zlLvoON")) != -1)
		rc = one_option(out, letter, optarg, err);
	if (rc < 0)
		return rc;
	out->args = argv + optind;
	out->n_args = argc - optind;
	return check(out, err);
}
