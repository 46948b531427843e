// Caps on every size that a stranger controls, in bytes unless a name says otherwise; as in verifier/limits.py.

export const MAX_ROOT = 512_000;
export const MAX_TIMESTAMP = 16_384;
export const MAX_SNAPSHOT = 5_000_000;
export const MAX_TARGETS = 5_000_000;
export const MAX_ROOT_ROTATIONS = 256;
export const MAX_DELEGATIONS = 32;
export const MAX_JSON_DEPTH = 200;
export const MAX_TIMESTAMP_AHEAD_SECONDS = 86_400;
export const MAX_TIMESTAMP_VALIDITY_SECONDS = 172_800;
export const MAX_MINISIGN = 8_192;
export const MAX_PUBLIC_KEY = 1_024;
export const MAX_KEY_NAME = 255;
export const MAX_VERIFIER_KEY = 4_096;
export const MAX_NOTE = 131_072;
export const MAX_NOTE_SIGNATURES = 64;
export const MAX_CHECKPOINT_EXTENSIONS = 16;
export const MAX_TREE_PROOF = 63;
export const MAX_PROOF_EXTRA = 8_192;
export const MAX_PROOF = 147_456;
export const MAX_POLICY = 131_072;
export const MAX_POLICY_LINES = 64;
export const MAX_TILE = 8_192;
export const MAX_SHOWN_FILE = 8_000_000;
export const MAX_MIRRORS = 32;
