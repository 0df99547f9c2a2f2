// Brings a fresh clone to where tests, demo, lab and bench can start: npm packages, Debian packages, the build.
// Says what it does before it does it; silent and quick when there is nothing to do. Plain Node: node_modules may be missing.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execPath, exit, stderr } from 'node:process';
import { installPackages } from './packages.js';

const root = resolve(import.meta.dirname, '..');
const built = join(root, 'dist', '.built');
/** Lines shown of a command that failed. */
const mostLines = 40;
const buildInputs = [
  'src',
  'tasks',
  'scripts/copy-assets.js',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
];

/**
 * Prepare this checkout. Where something cannot be prepared: one clear line on stderr, and the process ends, with 78 when
 * something is missing, else 1.
 */
export function prepare({ npm = false, build = false, packages = [] }) {
  try {
    installPackages(packages, say);
    if (npm && npmPackagesAreStale()) {
      say('installing the npm packages of package-lock.json');
      must('npm', ['ci', '--include=dev', '--no-audit', '--no-fund']);
    }
    if (build && buildIsStale()) {
      say('building dist/');
      must('npm', ['run', '--silent', 'build']);
      writeFileSync(built, '');
    }
  } catch (error) {
    say(error.message);
    exit(error.exitCode ?? 1);
  }
}

function say(text) {
  stderr.write(`cephflow: ${text}\n`);
}

// Not by date: a git checkout touches package-lock.json, and `npm ci` throws away what others may be using.
function npmPackagesAreStale() {
  const wanted = packagesOf(join(root, 'package-lock.json'));
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(wanted).some(([place, { version, optional, devOptional, peer }]) => {
    if (place === '') return false;
    const found = installed[place]?.version;
    return found === undefined ? !(optional || devOptional || peer) : found !== version;
  });
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}

function buildIsStale() {
  const stamp = modified(built);
  return stamp === undefined || buildInputs.some((input) => newest(join(root, input)) > stamp);
}

function newest(path) {
  const own = modified(path) ?? 0;
  if (own === 0 || !statSync(path).isDirectory()) return own;
  return Math.max(own, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function must(file, words) {
  const done = spawnSync(file, words, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (done.error !== undefined) throw new Error(`${file}: ${done.error.message} (node is ${execPath})`);
  if (done.status === 0) return;
  // npm puts the reason first and its whole manual behind it; compilers say on stdout what is wrong.
  const said = `${done.stdout}${done.stderr}`.trim().split('\n').slice(0, mostLines).join('\n');
  throw new Error(`${file} ${words.join(' ')}: exit code ${done.status}\n${said}`);
}
