// npm run bench [-- NAME…]: figures as JSON lines on stdout, progress and a table on stderr. NAME: figures whose name
// begins so. Every ratio is measured in this one run, turn about with what it is compared to. A limit that is missed is
// told, and is no error.
import { argv, exit, stderr, stdout } from 'node:process';
import { enginePackages } from './packages.js';
import { prepare } from './prepare.js';

prepare({ npm: true, build: true, packages: enginePackages });

const { benches, needed } = await import('./bench/engine.js');
const { tableOf } = await import('./bench/figures.js');

const wanted = argv.slice(2);
const isWanted = (figure) => wanted.length === 0 || wanted.some((name) => figure.startsWith(name));
const chosen = needed(isWanted);
if (chosen.length === 0) {
  stderr.write(`no figure begins with ${wanted.join(' or ')}; there are:\n`);
  for (const figure of benches.flatMap(({ figures }) => figures)) stderr.write(`  ${figure}\n`);
  exit(64);
}

const rows = [];
for (const bench of chosen) {
  for (const figure of (await bench.measure()).filter(({ figure }) => isWanted(figure))) {
    stdout.write(`${JSON.stringify(figure)}\n`);
    rows.push(figure);
  }
}
stderr.write(`\n${tableOf(rows)}`);
