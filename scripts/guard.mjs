// Run before every npm script: says clearly when a script does not run on the repository's own Node.js.
const REPOSITORY_MAJOR = 24;
const [major] = process.versions.node.split(".").map(Number);
if (major < REPOSITORY_MAJOR) {
  console.error(
    `The scripts of this repository run on Node.js ${REPOSITORY_MAJOR}, this is ${process.versions.node}.\n` +
      "Node.js 24 comes with `npm ci`, as the dev dependency `node` (its install script must be allowed to\n" +
      "run). Start things through `npm run …`, which takes it from node_modules, not by their own path.",
  );
  process.exit(1);
}
