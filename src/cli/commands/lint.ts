import { asCephflowError, errorCodes } from '../../base/errors.ts';
import { tasksOf } from '../../plan/plan-steps.ts';
import { formatProblems, type Problem } from '../../plan/problems.ts';
import { findCodeFile, listCodeFiles, loadCodePlaybook } from '../code-playbooks.ts';
import { type AddCommand, type Context, outputOption } from '../context.ts';
import { draftsOf, listPlaybooks, problemsOf, readPlaybookFile } from '../playbook-files.ts';
import { toJson } from '../table.ts';

/** Add `lint`. JSON: a list of `{ file, line, column, message }`. Ends with 0, or 78 when there is a problem. */
export const addLint: AddCommand = (program, start) => {
  program
    .command('lint')
    .description('check playbooks without a cluster; all mistakes at once')
    .argument('[files...]', 'files or names of playbooks; without any: all')
    .addOption(outputOption())
    .action((names: readonly string[], _options: unknown, command) =>
      start(command, (context) => lint(context, names)),
    );
};

async function lint({ globals, io, wire }: Context, names: readonly string[]): Promise<number> {
  const folders = await wire.playbookFolders();
  const code =
    names.length === 0 ? listCodeFiles(folders) : names.flatMap((name) => findCodeFile(folders, name) ?? []);
  const files =
    names.length === 0
      ? listPlaybooks(folders)
      : names
          .filter((name) => findCodeFile(folders, name) === undefined)
          .map((name) => readPlaybookFile(folders, name));
  const tasks = tasksOf(await wire.library());
  const includes = draftsOf(folders);
  const problems = [
    ...files.flatMap((file) => problemsOf(file, tasks, includes)),
    ...(await Promise.all(code.map(problemsOfCode))).flat(),
  ];
  const count = files.length + code.length;
  if (globals.output === 'json') io.data(toJson(problems));
  else if (problems.length > 0) io.data(formatProblems(problems));
  else io.say(`${count === 1 ? 'a playbook' : `${count} playbooks`} checked, no mistakes`);
  return problems.length === 0 ? 0 : errorCodes.PLAYBOOK_INVALID.exit;
}

/** Without a cluster there are no values to build a graph for: of a playbook in code only its form is known. */
async function problemsOfCode(file: string): Promise<readonly Problem[]> {
  try {
    await loadCodePlaybook(file);
    return [];
  } catch (thrown) {
    const { message } = asCephflowError(thrown);
    return [{ file, line: 1, column: 1, message: message.replace(`${file}: `, '') }];
  }
}
