// Mozilla's Observatory over a page of this machine: its own requests, tests and marks. Arguments: folder of the package, port, path.
// Its scan() knows only the usual ports; what follows is that function (scanner/index.js) for another one.

const [folder, port, path] = process.argv.slice(2);
const load = (name) => import(`${folder}/src/${name}.js`);
const { retrieve } = await load("retriever/retriever");
const { ALL_TESTS } = await load("constants");
const { getGradeForScore, getScoreModifier } = await load("grader/grader");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await load("grader/charts");

const found = await retrieve("localhost", { httpsPort: port, httpPort: 1, path });
const { status } = found.responses.auto;
const marks = ALL_TESTS.map((test) => test(found)).map(({ result, pass }) => ({ result, pass, modifier: getScoreModifier(result) }));
const sum = (modifiers) => modifiers.reduce((total, one) => total + one, 100);
const modifiers = marks.map(({ modifier }) => modifier);
const uncurved = sum(modifiers.filter((one) => one < 0));
const { grade, score } = getGradeForScore(uncurved >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? sum(modifiers) : uncurved);
console.log(JSON.stringify({ status, grade, score, marks }));
