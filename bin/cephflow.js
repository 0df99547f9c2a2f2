#!/usr/bin/env node
import { existsSync } from 'node:fs';

// libraries look at it, and none of them should be in its development mode on an operator's machine
process.env.NODE_ENV ??= 'production';

const main = new URL('../dist/src/cli/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write('cephflow is not built here: type `npm run build` in its folder\n');
  process.exitCode = 78;
}
