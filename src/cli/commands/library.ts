import { CephflowError } from '../../base/errors.ts';
import { didYouMean } from '../../base/nearest.ts';
import type { LoadedTask } from '../../engine/load-tasks.ts';
import type { CodePlaybook } from '../../plan/code.ts';
import type { Param, Params } from '../../task/params.ts';
import { findCodeFile, listCodeFiles, loadCodePlaybook } from '../code-playbooks.ts';
import { type AddCommand, outputOption } from '../context.ts';
import type { Io } from '../io.ts';
import { listPlaybooks, type PlaybookFile, readPlaybookFile } from '../playbook-files.ts';
import { table, toJson } from '../table.ts';

/** Add `tasks` and `playbooks`: what there is, and one of them with its parameters. */
export const addLibrary: AddCommand = (program, start) => {
  program
    .command('tasks')
    .description('list the tasks, or show one with its parameters')
    .argument('[name]', 'name of a task, such as osd.reweight')
    .addOption(outputOption())
    .action((name: string | undefined, _options: unknown, command) =>
      start(command, async ({ globals, io, wire }) => {
        const library = [...(await wire.library()).values()];
        const shown = name === undefined ? library : [findTask(library, name)];
        if (globals.output === 'json') io.data(toJson(shown.map(taskAsJson)));
        else if (name === undefined) io.data(describeTasks(library, io.dataWidth));
        else io.data(shown.map((one) => describeTask(one, io.dataWidth)).join('\n'));
        return 0;
      }),
    );
  program
    .command('playbooks')
    .description('list the playbooks, or show one with its parameters')
    .argument('[name]', 'name of a playbook, or path of its file')
    .addOption(outputOption())
    .action((name: string | undefined, _options: unknown, command) =>
      start(command, async ({ globals, io, wire }) => {
        const { rows, unreadable } = await readPlaybooks(await wire.playbookFolders(), name);
        if (globals.output === 'json') io.data(toJson(rows));
        else if (name === undefined) io.data(listNames(rows, io.dataWidth));
        else io.data(rows.map((one) => describePlaybook(one, io.dataWidth)).join('\n'));
        if (globals.output === 'text') warnOfUnreadable(unreadable, io, wire.self);
        return 0;
      }),
    );
};

interface ReadPlaybooks {
  readonly rows: readonly ShownPlaybook[];
  /** Files with mistakes. */
  readonly unreadable: readonly string[];
}

async function readPlaybooks(folders: readonly string[], name: string | undefined): Promise<ReadPlaybooks> {
  if (name === undefined) {
    const inYaml = showFiles(listPlaybooks(folders));
    const inCode = await Promise.all(listCodeFiles(folders).map(showCodeIfGood));
    const unreadable = inCode.filter((one) => typeof one === 'string');
    const rows = [...inYaml.rows, ...inCode.filter((one) => typeof one !== 'string')];
    return { rows, unreadable: [...inYaml.unreadable, ...unreadable] };
  }
  const code = findCodeFile(folders, name);
  if (code === undefined) return showFiles([readPlaybookFile(folders, name)]);
  return { rows: [showCode(code, await loadCodePlaybook(code))], unreadable: [] };
}

function showFiles(files: readonly PlaybookFile[]): ReadPlaybooks {
  const rows = files.flatMap(({ playbook, file }): ShownPlaybook[] => {
    if (!playbook) return [];
    const params = playbook.params.map((one) => {
      return [one.name, { ...one.param, hasDefault: one.default !== undefined }] as const;
    });
    return [{ name: playbook.name, summary: playbook.summary, file, params: Object.fromEntries(params) }];
  });
  return { rows, unreadable: files.filter(({ playbook }) => !playbook).map(({ file }) => file) };
}

/** A file that cannot be loaded is given as its name: `lint` tells why. */
async function showCodeIfGood(file: string): Promise<ShownPlaybook | string> {
  try {
    return showCode(file, await loadCodePlaybook(file));
  } catch {
    return file;
  }
}

function showCode(file: string, { name, summary, params = {} }: CodePlaybook): ShownPlaybook {
  const shown = Object.entries(params).map(([param, { default: value, ...rest }]) => {
    return [param, { ...rest, hasDefault: value !== undefined }] as const;
  });
  return { name, summary, file, params: Object.fromEntries(shown) };
}

function findTask(library: readonly LoadedTask[], name: string): LoadedTask {
  const found = library.find((one) => one.task.name === name);
  if (found) return found;
  const known = library.map((one) => one.task.name);
  throw new CephflowError('USAGE', `there is no task ${name}.${didYouMean(name, known)}`, {
    hint: 'cephflow tasks lists them all',
  });
}

const taskAsJson = ({ task, file, hash }: LoadedTask) => {
  const { name, summary, risk, params, output, poll } = task;
  return { name, summary, risk, params, output: output ?? {}, poll, file, hash };
};

function describeTasks(library: readonly LoadedTask[], width: number | undefined): string {
  const rows = library.map(({ task }) => [task.name, task.risk, task.summary]);
  return table(
    ['TASK', 'RISK', 'SUMMARY'],
    rows.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    { width, long: 'wrapped' },
  );
}

function describeTask({ task, file }: LoadedTask, width: number | undefined): string {
  const outputs = Object.entries(task.output ?? {}).map(([name, about]) => [name, '', '', about]);
  const lines = [
    `${task.name}  ${task.summary}`,
    `risk ${task.risk}  file ${file}`,
    '',
    describeParams(task.params, width),
  ];
  if (outputs.length > 0)
    lines.push('', table(['OUTPUT', '', '', 'MEANING'], outputs, { width, long: 'wrapped' }));
  return lines.join('\n');
}

/** Where the files do not fit they are left out: `playbooks NAME` tells the file as well. */
function listNames(rows: readonly ShownPlaybook[], width: number | undefined): string {
  const whole = table(
    ['PLAYBOOK', 'SUMMARY', 'FILE'],
    rows.map((one) => [one.name, one.summary, one.file]),
  );
  if (width === undefined || whole.split('\n').every((line) => line.length <= width)) return whole;
  const names = rows.map((one) => [one.name, one.summary]);
  return table(['PLAYBOOK', 'SUMMARY'], names, { width, long: 'wrapped' });
}

/** A playbook with mistakes is not listed: without a word people would look for it in vain. */
function warnOfUnreadable(files: readonly string[], io: Io, self: string): void {
  for (const file of files) io.warn(`${file} has mistakes and is left out; see: ${self} lint ${file}`);
}

interface ShownPlaybook {
  readonly name: string;
  readonly summary: string;
  readonly file: string;
  readonly params: Readonly<Record<string, Omit<Param, 'default'> & { readonly hasDefault: boolean }>>;
}

function describePlaybook({ name, summary, file, params }: ShownPlaybook, width: number | undefined): string {
  const rows = Object.entries(params).map(([param, one]) => [
    param,
    one.kind,
    one.hasDefault || one.optional ? '' : 'yes',
    one.about,
  ]);
  return [`${name}  ${summary}`, `file ${file}`, '', paramTable(rows, width)].join('\n');
}

function describeParams(params: Params, width: number | undefined): string {
  const rows = Object.entries(params).map(([name, one]) => [
    name,
    one.kind,
    one.default === undefined && !one.optional ? 'yes' : '',
    one.about,
  ]);
  return rows.length === 0 ? 'no parameters' : paramTable(rows, width);
}

const paramTable = (rows: readonly string[][], width: number | undefined) =>
  table(['PARAMETER', 'KIND', 'NEEDED', 'MEANING'], rows, { width, long: 'wrapped' });
