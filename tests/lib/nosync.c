/* nosync.c - syncs that do nothing, by LD_PRELOAD, for a server whose power is cut: that must be noticed (test_power_cut_live.py). */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int syncfs(int fd)
{
	(void)fd;
	return 0;
}
