// npm test: prepares a fresh clone, then runs every check there is, and ends with the line `N passed, N failed`.
// With words: only the test files whose path holds one of them (npm test -- stories), without the other checks.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { argv, exit, stdout } from 'node:process';
import { enginePackages, labPackages } from './packages.js';
import { prepare } from './prepare.js';

const root = resolve(import.meta.dirname, '..');
/** Scripts of package.json, each a check of its own. */
const checks = ['types', 'lint', 'layering', 'dead-code', 'package'];

const filters = argv.slice(2);
prepare({ npm: true, build: true, packages: [...enginePackages, ...labPackages] });

let passed = 0;
let failed = 0;
for (const name of filters.length === 0 ? checks : []) {
  const { code, output, seconds } = await run(['npm', 'run', '--silent', name]);
  if (code === 0) passed += 1;
  else failed += 1;
  stdout.write(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)\n${code === 0 ? '' : output}`);
}
const tests = await vitest(filters);
passed += tests.passed;
failed += tests.failed;
stdout.write(`\n${passed} passed, ${failed} failed\n`);
exit(failed === 0 && tests.passed > 0 ? 0 : 1);

async function vitest(words) {
  const folder = mkdtempSync(join(tmpdir(), 'cephflow-test-'));
  const report = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile=${report}`];
    const { code } = await run(
      [join(root, 'node_modules', '.bin', 'vitest'), 'run', ...reporters, ...words],
      true,
    );
    const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(report, 'utf8'));
    // a file that cannot be loaded, or an error outside a test, has no failed test: it counts as one all the same
    const broken = numFailedTests === 0 && (code !== 0 || numFailedTestSuites > 0) ? 1 : 0;
    return { passed: numPassedTests, failed: numFailedTests + broken };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run([file, ...words], isShown = false) {
  const began = Date.now();
  return new Promise((done) => {
    const child = spawn(file, words, { cwd: root, stdio: isShown ? 'inherit' : ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout?.on('data', (piece) => {
      output += piece;
    });
    child.stderr?.on('data', (piece) => {
      output += piece;
    });
    child.on('close', (code) =>
      done({ code: code ?? 1, output, seconds: Math.round((Date.now() - began) / 1000) }),
    );
  });
}
