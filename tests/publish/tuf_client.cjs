// Downloads TUF targets with stock tuf-js. Arguments: folder of tuf-js, site, first root, empty folder, target paths.
// Prints one JSON object: target path to the downloaded file. Any refusal ends it with exit code 1.
const fs = require("node:fs");
const path = require("node:path");

const [library, site, root, work, ...targets] = process.argv.slice(2);
const { Updater } = require(library);

async function main() {
  const metadataDir = path.join(work, "metadata");
  const targetDir = path.join(work, "targets");
  fs.mkdirSync(metadataDir);
  fs.mkdirSync(targetDir);
  fs.copyFileSync(root, path.join(metadataDir, "root.json"));
  const updater = new Updater({
    metadataDir,
    targetDir,
    metadataBaseUrl: `${site}/metadata/`,
    targetBaseUrl: `${site}/targets/`,
    config: { fetchRetry: 0 },
  });
  await updater.refresh();
  const found = {};
  for (const [number, target] of targets.entries()) {
    const info = await updater.getTargetInfo(target);
    if (!info) throw new Error(`no target ${target}`);
    found[target] = await updater.downloadTarget(info, path.join(targetDir, String(number)));
  }
  console.log(JSON.stringify(found));
}

main().catch((error) => {
  console.error(`${error.constructor.name}: ${error.message}`);
  process.exit(1);
});
