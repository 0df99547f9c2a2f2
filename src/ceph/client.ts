import type { z } from 'zod';
import { CephflowError, lastLines } from '../base/errors.ts';
import { type Command, type CommandResult, type Shell, traceOf } from '../remote/command.ts';
import { readAnswer, statusAnswer } from './answers.ts';

/**
 * Say how `ceph` is called. `words`: the program with its options, such as `['ceph', '--conf', FILE]` or
 * `['cephadm', 'shell', '--', 'ceph']`; default `['ceph']`. `timeoutMs`: limit of one command, default 30 s.
 */
export interface CephOptions {
  readonly shell: Shell;
  readonly words?: readonly string[];
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Capabilities of the key that these commands need, for the hint where it lacks them. */
  readonly capabilities?: string;
}

/** Call `ceph`. `mgr`: the manager answers it, so it hangs for ever without one. */
export interface CephClient {
  readonly host: string;
  readonly words: readonly string[];
  /** Ask with `-f json`; `allow` names exit codes other than 0 whose answer is wanted too. */
  ask<T>(question: Question<T>): Promise<T>;
  /** Run a question and give its result as it is, exit codes in `allow` included. */
  query(question: Omit<Question<unknown>, 'schema'>): Promise<CommandResult>;
  /** Narrow what `query` gave. */
  read<T>(schema: z.ZodType<T>, words: readonly string[], result: CommandResult): T;
  /** Change something; any exit code but 0 is CEPH_REFUSED. */
  tell(words: readonly string[], via: Via): Promise<void>;
  /** Run another of Ceph's programs, as far as it only reads. */
  tool(words: readonly string[]): Promise<CommandResult>;
}

type Via = 'mon' | 'mgr';

/** A question: its words, who answers it, what the answer looks like. */
interface Question<T> {
  readonly words: readonly string[];
  readonly via: Via;
  readonly schema: z.ZodType<T>;
  readonly allow?: readonly number[];
}

/** `pg dump` of a large cluster takes ten seconds. */
const commandTimeoutMs = 30_000;
/** Ceph's own limit for finding a monitor: its default is 300 s. Elections take a few seconds. */
const connectTimeoutSeconds = 10;
/** A command that the manager has not answered for so long is a reason to ask the monitors whether there is one. */
const mgrDoubtMs = 4000;
/** A manager that is alive answers `pg stat` from memory; one that was just killed is still called active for 30 s. */
const probeTimeoutMs = 5000;
/** The monitors answer `status` in well under a second; connecting may take its limit. */
const statusTimeoutMs = (connectTimeoutSeconds + 2) * 1000;

/**
 * Make a client that turns every way in which `ceph` fails into one of our errors.
 * @throws CEPH_UNREACHABLE, CEPH_MGR_DOWN, CEPH_NOT_PERMITTED, CEPH_REFUSED, CEPH_ANSWER_UNREADABLE, NOT_CONFIGURED, and
 *   what the shell throws
 */
export function createClient(options: CephOptions): CephClient {
  const { shell, signal, capabilities, words = ['ceph'], timeoutMs = commandTimeoutMs } = options;
  const limits = ['--connect-timeout', String(connectTimeoutSeconds)];
  const command = (more: readonly string[], reads: boolean): Command => ({
    words: [...words, ...limits, ...more],
    reads,
    timeoutMs,
  });
  const around: Around = { shell, words, command, signal, capabilities };
  const query: CephClient['query'] = async (question) => {
    const asked = command([...question.words, '-f', 'json'], true);
    const result = await (question.via === 'mgr' ? runByMgr(around, asked) : runByMon(around, asked));
    if (result.exitCode !== 0 && !question.allow?.includes(result.exitCode)) {
      throw await refusal(around, asked, result);
    }
    return result;
  };
  const read: CephClient['read'] = (schema, asked, result) =>
    readAnswer(schema, result.stdout, traceOf(shell, command([...asked, '-f', 'json'], true), result));
  return {
    host: shell.host,
    words,
    query,
    read,
    async ask(question) {
      return read(question.schema, question.words, await query(question));
    },
    async tell(more, via) {
      const told = command(more, false);
      const result = await (via === 'mgr' ? runByMgr(around, told) : runByMon(around, told));
      if (result.exitCode !== 0) throw await refusal(around, told, result);
    },
    tool: (tool) => shell.run({ words: tool, reads: true, timeoutMs }, signal),
  };
}

interface Around {
  readonly shell: Shell;
  readonly words: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly capabilities: string | undefined;
  command(more: readonly string[], reads: boolean): Command;
}

async function runByMon({ shell, signal, ...rest }: Around, command: Command): Promise<CommandResult> {
  try {
    return await shell.run(command, signal);
  } catch (thrown) {
    if (!isTimeout(thrown)) throw thrown;
    await askStatus({ shell, signal, ...rest });
    throw thrown; // the monitors answer other things
  }
}

/** Run what the manager answers, and look after a while whether there is one. */
async function runByMgr(around: Around, command: Command): Promise<CommandResult> {
  const { shell, signal } = around;
  const stop = new AbortController();
  const over = new AbortController();
  let found: unknown;
  const doubt = setTimeout(async () => {
    found = await findMgrTrouble({ ...around, signal: over.signal }, command).catch(
      (error: unknown) => error,
    );
    if (found !== undefined) stop.abort();
  }, mgrDoubtMs);
  try {
    return await shell.run(command, AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]));
  } catch (thrown) {
    if (found !== undefined) throw found;
    if (!isTimeout(thrown)) throw thrown;
    throw (await findMgrTrouble(around, command)) ?? thrown;
  } finally {
    clearTimeout(doubt);
    over.abort();
  }
}

/** @returns what is wrong with the manager; undefined where it answers, and the command is merely slow */
async function findMgrTrouble(around: Around, command: Command): Promise<CephflowError | undefined> {
  const { mgrmap } = await askStatus(around);
  if (!mgrmap.available) return mgrDown(around, command, 'the cluster has no active manager');
  try {
    const probe = { ...around.command(['pg', 'stat'], true), timeoutMs: probeTimeoutMs };
    await around.shell.run(probe, around.signal);
    return undefined;
  } catch (thrown) {
    if (!isTimeout(thrown)) throw thrown;
    return mgrDown(
      around,
      command,
      'the manager does not answer, though the monitors still count it as active',
    );
  }
}

const isTimeout = (thrown: unknown) => thrown instanceof CephflowError && thrown.code === 'COMMAND_TIMED_OUT';

function mgrDown({ shell }: Around, command: Command, what: string): CephflowError {
  return new CephflowError(
    'CEPH_MGR_DOWN',
    `${what}: statistics are stale, and commands that it answers hang`,
    {
      command: traceOf(shell, command),
      hint: 'look at `ceph status`, and start a manager: systemctl start ceph-mgr.target on its host',
    },
  );
}

/** @throws CEPH_UNREACHABLE when the monitors do not answer */
async function askStatus(around: Around): Promise<z.infer<typeof statusAnswer>> {
  const { shell, signal } = around;
  const command = { ...around.command(['status', '-f', 'json'], true), timeoutMs: statusTimeoutMs };
  try {
    const result = await shell.run(command, signal);
    if (result.exitCode !== 0) throw await refusal(around, command, result);
    return readAnswer(statusAnswer, result.stdout, traceOf(shell, command, result));
  } catch (thrown) {
    throw isTimeout(thrown) ? await unreachable(around, command) : thrown;
  }
}

async function refusal(around: Around, command: Command, result: CommandResult): Promise<CephflowError> {
  const { stderr } = result;
  const said = withoutNoise(stderr);
  const trace = { ...traceOf(around.shell, command, { ...result, stderr: said }) };
  const missing = missingFile(stderr, around.words);
  if (missing) {
    return new CephflowError('NOT_CONFIGURED', `ceph cannot read ${missing} on ${around.shell.host}`, {
      command: trace,
      hint: 'the config names it under clusters.NAME.ceph; it must exist and be readable for the user that cephflow runs as',
    });
  }
  if (result.exitCode === 13 || /RADOS permission|EACCES|handle_auth_bad_method/.test(stderr)) {
    const refused = /error connecting|handle_auth_bad_method/.test(stderr);
    return new CephflowError(
      'CEPH_NOT_PERMITTED',
      refused
        ? 'the cluster refused the cephx key'
        : `the cephx key may not do this: ${command.words.join(' ')}`,
      {
        command: trace,
        hint: refused ? 'compare the keyring with `ceph auth get NAME` on a monitor host' : lacksHint(around),
      },
    );
  }
  if (/timed out|error connecting to the cluster|error calling conf_read_file/.test(stderr)) {
    return unreachable(around, command, { exitCode: result.exitCode, stderr: said });
  }
  const reason = (/^Error E\w+: (.*)$/m.exec(said)?.[1] ?? lastLines(said, 1)).trim();
  return new CephflowError('CEPH_REFUSED', `Ceph refused: ${reason || `exit code ${result.exitCode}`}`, {
    command: trace,
  });
}

function lacksHint({ words, capabilities }: Around): string {
  if (capabilities === undefined) return 'the key needs the capability for it: see `ceph auth get NAME`';
  const who = optionOf(words, ['--name', '-n']) ?? 'client.admin';
  return `add to the mon caps of ${who} (see \`ceph auth get ${who}\`): ${capabilities}`;
}

/** Leave the words of the error: without empty lines and without time and thread, which differ every time. */
function withoutNoise(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT\S+ [0-9a-f]+ +-?\d+ /, ''))
    .filter((line) => line.trim() !== '');
  return [...new Set(lines)].join('\n'); // a line a monitor: they say the same
}

/** Ceph names a keyring that it lacks; of a conf file that it lacks it only says that it could not read it. */
function missingFile(stderr: string, words: readonly string[]): string | undefined {
  if (/error calling conf_read_file/.test(stderr)) {
    return `its configuration file ${optionOf(words, ['--conf', '-c']) ?? '/etc/ceph/ceph.conf'}`;
  }
  const keyring = /unable to find a keyring on (.+?): \(\d+\)/.exec(stderr)?.[1];
  return keyring && `a keyring at ${keyring}`;
}

function optionOf(words: readonly string[], names: readonly string[]): string | undefined {
  const at = words.findIndex((word) => names.includes(word));
  return at < 0 ? undefined : words[at + 1];
}

/** Reading one line of a file. */
const lookupTimeoutMs = 5000;

async function unreachable(
  around: Around,
  command: Command,
  ended: Partial<Pick<CommandResult, 'exitCode' | 'stderr'>> = {},
): Promise<CephflowError> {
  const { shell, words } = around;
  const addresses = await monAddresses(around);
  const who = addresses ? `the monitors (${addresses}) do` : 'the monitors do';
  return new CephflowError('CEPH_UNREACHABLE', `${who} not answer ${shell.host}`, {
    command: traceOf(shell, command, ended),
    hint: `they may be down, without quorum, or cut off; try there: ${words.join(' ')} status`,
  });
}

/** What the conf file says; nothing where that cannot be read: the error is about something worse. */
async function monAddresses({ shell, words }: Around): Promise<string | undefined> {
  if (words[0] !== 'ceph') return undefined;
  const conf = optionOf(words, ['--conf', '-c']);
  const lookup = ['ceph-conf', ...(conf === undefined ? [] : ['--conf', conf]), '--lookup', 'mon_host'];
  const result = await shell
    .run({ words: lookup, reads: true, timeoutMs: lookupTimeoutMs })
    .catch(() => undefined);
  return (result?.exitCode === 0 && result.stdout.trim()) || undefined;
}
