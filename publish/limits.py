"""Caps on what the publisher reads, in bytes unless a name says otherwise."""

SECRET_KEY_FILE = 4_096
PASSPHRASE_FILE = 4_096
CONFIG_FILE = 256_000

WORKERS_COUNT = 64
KEYS_COUNT = 32  # of one role
VALIDITY_DAYS = 36_500
PLAN_FILE = 64_000_000
TARGET_FILE = 256_000_000  # what stands at a target where one of ours belongs
