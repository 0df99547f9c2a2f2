import { errorCodes } from '../../base/errors.ts';
import { formatProblems } from '../../plan/problems.ts';
import { type AddCommand, type Context, outputOption } from '../context.ts';
import { draftsOf, listPlaybooks, problemsOf, readPlaybookFile } from '../playbook-files.ts';
import { tasksOf } from '../start-run.ts';
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
  const files =
    names.length === 0 ? listPlaybooks(folders) : names.map((name) => readPlaybookFile(folders, name));
  const tasks = tasksOf(await wire.library());
  const includes = draftsOf(folders);
  const problems = files.flatMap((file) => problemsOf(file, tasks, includes));
  if (globals.output === 'json') io.data(toJson(problems));
  else if (problems.length > 0) io.data(formatProblems(problems));
  else io.say(`${files.length === 1 ? 'a playbook' : `${files.length} playbooks`} checked, no mistakes`);
  return problems.length === 0 ? 0 : errorCodes.PLAYBOOK_INVALID.exit;
}
