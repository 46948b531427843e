// What keeps the verifier from saying "checked". `code` decides what a reader is told; messages are for whoever looks into it.

export class VerifierError extends Error {}

// Bytes that are not what their format says. Nothing in them was trusted.
export class FormatError extends VerifierError {
  code = "format";
}

// A signature, hash, length or name does not hold: this is not what was published.
export class VerificationError extends VerifierError {
  code = "verification";
}

// All signatures hold, but the newest of them has expired: this may be an old state.
export class StaleError extends VerifierError {
  code = "stale";
}

// A file could not be had: this says nothing about what was published.
export class FetchError extends VerifierError {
  code = "fetch";
}

// What is wrong with a file's form, or with what it says, if `wrong`.
export function malformed(wrong, message) {
  if (wrong) throw new FormatError(message);
}

export function refuted(wrong, message) {
  if (wrong) throw new VerificationError(message);
}
