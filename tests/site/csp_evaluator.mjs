// What Google's csp_evaluator finds in a policy. Arguments: folder of csp_evaluator, policy. Prints a list of severity (10 high, 60 remark), directive, text.

import { createRequire } from "node:module";

const [folder, policy] = process.argv.slice(2);
const load = createRequire(`${folder}/`);
const { CspEvaluator } = load("./dist/evaluator.js");
const { CspParser } = load("./dist/parser.js");
const findings = new CspEvaluator(new CspParser(policy).csp).evaluate();
console.log(JSON.stringify(findings.map(({ severity, directive, description }) => [severity, directive, description])));
