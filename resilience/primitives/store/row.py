"""What one process's row of a breaker's window holds, and where: `window` says how it is counted."""

# A row, in words of eight bytes. Times are stored as floats in the same places.
TAG = 0  # which window the row counts for; -1 while it is being cleared
COUNT = 1  # successes, ever
CARRIED = 2  # how many of them are in buckets
CURRENT = 3  # the number of the bucket to which the others belong
TROUBLE = 4  # failures and slow calls in this window, never forgotten: says cheaply that all is well
RUN = 5  # failures of this process in a row, since the success that made the total RUN_AT
RUN_AT = 6  # the total of successes of all processes when the run was last lengthened
REJECTED = 7  # refusals, ever
WIDTH = 8  # of a bucket, in microseconds: a process that is configured otherwise counts apart
FAILED = 9  # failures in this window, never forgotten: where the ring stands
OWNER = 10  # the number of the process (`Store.me`) that counts here, or did last
RING = 12  # times of the last failures
RING_SIZE = 8
BUCKETS = RING + RING_SIZE  # pairs: successes; bucket number, failures and slow calls packed
BUCKET_COUNT = 10
ROW_WORDS = BUCKETS + 2 * BUCKET_COUNT
