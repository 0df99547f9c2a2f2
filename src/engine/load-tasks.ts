import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { register as registerHooks } from 'node:module';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { register as registerTsx } from 'tsx/esm/api';
import { CephflowError } from '../base/errors.ts';
import { isTask, type Task } from '../task/task.ts';

/** Hold a task with the file it came from. `hash` is the SHA-256 of that file: plans pin it. */
export interface LoadedTask {
  readonly task: Task;
  readonly file: string;
  readonly hash: string;
}

/** Hold all tasks of this installation by name. */
export type TaskLibrary = ReadonlyMap<string, LoadedTask>;

/** Endings of files with code of users: tasks and playbooks. */
export const codeExtensions: readonly string[] = ['.ts', '.mts', '.js', '.mjs'];

/**
 * Load every task file of some folders. The name of a file is the name of its task.
 * @param folders absolute paths, the shipped folder first; a name may be in one of them only
 * @throws TASK_INVALID with every file that holds no task, and what to mend
 */
export async function loadTasks(folders: readonly string[]): Promise<TaskLibrary> {
  const library = new Map<string, LoadedTask>();
  const faults: string[] = [];
  for (const folder of folders) {
    for (const file of await listTaskFiles(folder)) {
      const loaded = await loadTask(file);
      const twin = typeof loaded === 'string' ? undefined : library.get(loaded.task.name);
      if (typeof loaded === 'string') faults.push(`${file}: ${loaded}`);
      else if (twin) faults.push(`${file}: task ${loaded.task.name} is already in ${twin.file}: rename one`);
      else library.set(loaded.task.name, loaded);
    }
  }
  if (faults.length > 0) throw new CephflowError('TASK_INVALID', faults.join('\n'));
  return library;
}

async function listTaskFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new CephflowError('TASK_INVALID', `the folder of tasks ${folder} cannot be read`, {
      cause,
      hint: 'look at `tasks` in the config: it lists folders that exist',
    });
  });
  return names
    .filter((name) => codeExtensions.includes(extname(name)) && !name.endsWith('.d.ts'))
    .sort()
    .map((name) => resolve(join(folder, name)));
}

/** Load one file; a text says what is wrong with it. */
async function loadTask(file: string): Promise<LoadedTask | string> {
  const content = await readFile(file);
  const loaded = await importDefault(file);
  if ('fault' in loaded) return loaded.fault;
  const found = loaded.value;
  if (!isTask(found)) return 'its default export is no task: write `export default task({ … })`';
  const expected = basename(file, extname(file));
  if (found.name !== expected)
    return `it holds task ${found.name}: call the file ${found.name}${extname(file)}`;
  return { task: found, file, hash: createHash('sha256').update(content).digest('hex') };
}

/** Load the default export of a file in TypeScript or JavaScript that may import `cephflow`; or say why that fails. */
export async function importDefault(
  file: string,
): Promise<{ readonly value: unknown } | { readonly fault: string }> {
  mapCephflowToThisInstallation();
  try {
    return { value: (await importFile(file)).default };
  } catch (thrown) {
    return { fault: explainImportFailure(file, thrown) };
  }
}

function explainImportFailure(file: string, thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const isTakenForCommonJs = file.endsWith('.ts') && /require|cephflow'|ESM|import statement/.test(message);
  const mend = isTakenForCommonJs
    ? '; is there a package.json with "type": "module" beside it? Else call it .mts'
    : '';
  return `it cannot be loaded: ${message}${mend}`;
}

type Import = (url: string) => Promise<{ readonly default?: unknown }>;

const isTypeScript = (file: string) => file.endsWith('.ts') || file.endsWith('.mts');
/** Run from its sources, cephflow itself is TypeScript: then a task in JavaScript needs tsx too, for what it imports. */
const isRunFromSource = isTypeScript(import.meta.url);

function importFile(file: string): Promise<{ readonly default?: unknown }> {
  const load = isRunFromSource || isTypeScript(file) ? typeScript() : plain;
  return load(pathToFileURL(file).href);
}

const plain: Import = (url) => import(/* @vite-ignore */ url);

let loadTypeScript: Import | undefined;

/** tsx costs a tenth of a second to start: only where there is a file in TypeScript. */
function typeScript(): Import {
  if (loadTypeScript) return loadTypeScript;
  const tsx = registerTsx({ namespace: 'cephflow-tasks' });
  // hooks run last registered first: ours must see `cephflow` before tsx does
  registerResolveHook();
  loadTypeScript = (url) => tsx.import(url, import.meta.url) as ReturnType<Import>;
  return loadTypeScript;
}

let isMapped = false;

function mapCephflowToThisInstallation(): void {
  if (!isMapped) registerResolveHook();
  isMapped = true;
}

/**
 * Bare `cephflow` means the running installation, from whatever folder it is imported: users' folders are no npm
 * installs of it. Written as text because Node runs hooks in a thread of its own, where our TypeScript is not loaded.
 */
const resolveHook = `
let target;
export async function initialize(data) { target = data.target; }
export async function resolve(specifier, context, next) {
  if (specifier !== 'cephflow') return next(specifier, context);
  return target.endsWith('.ts') ? next(target, context) : { url: target, format: 'module', shortCircuit: true };
}`;

function registerResolveHook(): void {
  const target = new URL(isRunFromSource ? '../index.ts' : '../index.js', import.meta.url).href;
  registerHooks(`data:text/javascript,${encodeURIComponent(resolveHook)}`, { data: { target } });
}
