import { type Command, Option } from 'commander';
import { CephflowError } from '../base/errors.ts';
import type { Globals } from './globals.ts';
import type { Io } from './io.ts';
import type { Wire } from './parts.ts';

/** Hold what a command works with. */
export interface Context {
  readonly globals: Globals;
  readonly io: Io;
  readonly wire: Wire;
}

/** Do the work of a command with its parts put together; what it returns is the exit code, what it throws is reported. */
export type Start = (command: Command, work: (context: Context) => Promise<number>) => Promise<void>;

/** Add one command, or several of one kind, to the program. */
export type AddCommand = (program: Command, start: Start) => void;

/** Describe the argument that names a run. */
export const runArgument = ['<run>', 'id of a run, a unique beginning or end of it, or @latest'] as const;

/** Offer `-o text|json` on a command that shows data. */
export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'how data is shown').choices(['text', 'json']).default('text');

/** Put into the help of a command how it is typed. */
export function withExample(command: Command, ...lines: readonly string[]): Command {
  const title = lines.length === 1 ? 'Example:' : 'Examples:';
  return command.addHelpText('after', ['', title, ...lines.map((line) => `  ${line}`)].join('\n'));
}

/** Collect an option that may be given several times. */
export const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/**
 * Demand options that a command cannot do without. Commander's own way would hide a mistyped option behind the missing one.
 * @throws USAGE naming all that are missing
 */
export function needOptions(command: Command, names: readonly string[]): void {
  const given = command.opts<Readonly<Record<string, unknown>>>();
  const missing = command.options.filter(
    (option) => names.includes(option.attributeName()) && given[option.attributeName()] === undefined,
  );
  if (missing.length === 0) return;
  const list = missing.map((option) => option.flags).join(', ');
  throw new CephflowError('USAGE', `${commandPath(command)} needs ${list}`, {
    hint: `type ${commandPath(command)} --help`,
  });
}

function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}
