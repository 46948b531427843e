"""Caps on what the publisher reads, in bytes unless a name says otherwise."""

SECRET_KEY_FILE = 4_096
PASSPHRASE_FILE = 4_096
CONFIG_FILE = 256_000

WORKERS_COUNT = 64
KEYS_COUNT = 32  # of one role
VALIDITY_DAYS = 36_500
PLAN_FILE = 64_000_000
DROPPED_LISTS_BYTES = 64_000_000  # what the guard keeps of drafts that were never published
BUCKET_LEAST_RATE = 1_000_000  # bytes a second: a larger file has the time that this takes
TARGET_FILE = 256_000_000  # what stands at a target where one of ours belongs

# What strangers with write access to a target can make the guard keep, in numbers of files unless a name says bytes.
LISTING_PAGE = 16_000_000  # bytes of an answer with 1,000 keys
STRANGE_FILES = 100_000  # that one look takes in; what belongs there is always taken in
NEIGHBOURS = 1_000  # beside the election's folder, of which is only told
EVIDENCE_FILES = 10_000
EVIDENCE_BYTES = 1_000_000_000
LOOK_BYTES = 64_000_000  # read before the first of them is judged
FINDINGS_LOG_BYTES = 64_000_000  # then another log is begun; the last one is kept
