// Puts beside the compiled JavaScript what tsc leaves behind: the scripts that Redis runs. Run after tsc, from anywhere.
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = join(root, 'src');
const compiled = join(root, 'dist', 'src');

const names = existsSync(sources) ? readdirSync(sources, { recursive: true, encoding: 'utf8' }) : [];
for (const name of names.filter((one) => one.endsWith('.lua'))) {
  mkdirSync(dirname(join(compiled, name)), { recursive: true });
  cpSync(join(sources, name), join(compiled, name));
}
