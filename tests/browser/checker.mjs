// All that the browser's verifier is made of, as its modules have it.

export * from "../../site_templates/check/bytes.js";
export * from "../../site_templates/check/ed25519.js";
export * from "../../site_templates/check/errors.js";
export * from "../../site_templates/check/json.js";
export * from "../../site_templates/check/minisign.js";
export * from "../../site_templates/check/note.js";
export * from "../../site_templates/check/policy.js";
export * from "../../site_templates/check/tlog.js";
export * from "../../site_templates/check/tuf.js";
