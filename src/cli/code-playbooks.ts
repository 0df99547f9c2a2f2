import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { CephflowError } from '../base/errors.ts';
import { codeExtensions, importDefault } from '../engine/load-tasks.ts';
import { type CodePlaybook, isCodePlaybook } from '../plan/code.ts';

/**
 * Find a playbook in code: a path of a file, or the name of one in the folders; undefined where there is none. One in YAML
 * of the same name goes first: nobody's code takes the place of what is shipped.
 */
export function findCodeFile(folders: readonly string[], name: string): string | undefined {
  const isPath = name.includes('/') || codeExtensions.includes(extname(name));
  const isInYaml = folders.some((folder) =>
    ['.yaml', '.yml'].some((extension) => existsSync(join(folder, `${name}${extension}`))),
  );
  if (!isPath) return isInYaml ? undefined : listCodeFiles(folders).find((file) => nameOf(file) === name);
  const isCode = codeExtensions.includes(extname(name));
  return isCode && statSync(name, { throwIfNoEntry: false })?.isFile() ? resolve(name) : undefined;
}

/** A file of another name, such as that of a task or of a test, is no playbook. */
const fileName = /^[a-z][a-z0-9-]*\.m?[jt]s$/;

/** List the playbooks in code of some folders, first folder first. A folder that is not there has none. */
export function listCodeFiles(folders: readonly string[]): readonly string[] {
  return folders.flatMap((folder) => {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names
      .filter((name) => fileName.test(name))
      .sort()
      .map((name) => resolve(join(folder, name)));
  });
}

/**
 * Load a playbook in code.
 * @throws PLAYBOOK_INVALID naming the file and the mend
 */
export async function loadCodePlaybook(file: string): Promise<CodePlaybook> {
  const loaded = await importDefault(file);
  if ('fault' in loaded) throw invalid(file, loaded.fault);
  const found = loaded.value;
  if (!isCodePlaybook(found)) {
    throw invalid(file, 'its default export is no playbook: write `export default playbook({ … })`');
  }
  if (found.name === nameOf(file)) return found;
  throw invalid(file, `it holds playbook ${found.name}: call the file ${found.name}${extname(file)}`);
}

const invalid = (file: string, fault: string) =>
  new CephflowError('PLAYBOOK_INVALID', `${file}: ${fault}`, {
    hint: 'helpers of playbooks belong into a folder of their own beside them',
  });

const nameOf = (file: string) => basename(file, extname(file));
