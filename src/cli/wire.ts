import { readFileSync, readlinkSync } from 'node:fs';
import { homedir, hostname, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CephflowError } from '../base/errors.ts';
import type { Systems } from '../engine/systems.ts';
import type { CommandEntry } from '../remote/command.ts';
import { quoteWords } from '../remote/command.ts';
import type { Config } from './config.ts';
import type { Globals } from './globals.ts';
import type { Io } from './io.ts';
import type { Wire } from './parts.ts';

/** Put the parts together for one command. */
export function createWire({ globals, io }: { readonly globals: Globals; readonly io: Io }): Wire {
  const config = once(() => readConfig(globals));
  const systems = new Map<string, Promise<Systems>>();
  const engine = once(async () => {
    const { createEngineParts } = await import('./engine-parts.ts');
    return createEngineParts(wire, io.warn);
  });
  const log = globals.verbose ? (entry: CommandEntry) => io.warn(describeCommand(entry)) : () => undefined;
  const open = async (cluster: string, tell: (entry: CommandEntry) => void) => {
    const { openSystems } = await import('./open-systems.ts');
    return openSystems({ config: await config(), cluster, home: homedir(), log: tell });
  };
  const wire: Wire = {
    self: quoteWords(['cephflow', ...selfWords(globals)]),
    searchPath: process.env['PATH'] ?? '',
    stateDir: stateDir(),
    host: hostname(),
    version: readVersion(),
    process: `${hostname()}:${process.pid}`,
    agent: {
      command: [process.execPath, entryFile, ...selfWords(globals), 'agent', 'run'],
      environment: agentEnvironment(),
    },
    nowMs: () => Date.now(),
    by: () => identity(),
    config,
    clusterName: async () => chooseCluster(await config(), globals.cluster),
    library: once(async () => {
      const { loadTasks } = await import('../engine/load-tasks.ts');
      return loadTasks([shipped.tasks, ...(await config()).tasks]);
    }),
    playbookFolders: async () => [shipped.playbooks, ...(await config()).playbooks],
    systems: (cluster) => {
      const opened = systems.get(cluster) ?? open(cluster, log);
      systems.set(cluster, opened);
      return opened;
    },
    workerSystems: (cluster, tell) =>
      open(cluster, (entry) => {
        if (globals.verbose || !entry.reads) tell(describeCommand(entry));
      }),
    engine,
    store: async () => (await engine()).store(),
    control: async () => (await engine()).control(),
    keepGoing: async () => (await engine()).keepGoing(),
    close: async () => {
      // what could not be opened was told to whoever asked for it
      const opened = await Promise.allSettled(systems.values());
      for (const one of opened) if (one.status === 'fulfilled') await one.value.close();
      if (engine.isAsked()) await (await engine()).close();
    },
  };
  return wire;
}

/** Give the version that package.json says. */
export function readVersion(): string {
  const text = readFileSync(join(installation, 'package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

const isBuilt = import.meta.url.endsWith('.js');
const installation = fileURLToPath(new URL(isBuilt ? '../../..' : '../..', import.meta.url));
/** The compiled tasks stand beside the compiled code, the playbooks are read as they are. */
const shipped = {
  tasks: fileURLToPath(new URL('../../tasks', import.meta.url)),
  playbooks: join(installation, 'playbooks'),
};
const entryFile = join(installation, 'bin', 'cephflow.js');

async function readConfig(globals: Globals): Promise<Config> {
  const { loadConfig } = await import('./config.ts');
  const userFolder = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  return loadConfig({
    named: globals.config ?? process.env['CEPHFLOW_CONFIG'],
    system: '/etc/cephflow',
    user: join(userFolder, 'cephflow'),
  });
}

/** Root shares one instance with everybody on the machine; another user has an own one. */
function stateDir(): string {
  const named = process.env['CEPHFLOW_STATE'];
  if (named) return resolve(named);
  if (process.getuid?.() === 0) return '/var/lib/cephflow';
  return join(process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'cephflow');
}

/** What an agent needs of its starter's environment; the terminal's own things would outlive the terminal in it. */
const inherited =
  /^(PATH|HOME|USER|LOGNAME|SUDO_USER|LANG|LC_.*|TZ|TMPDIR|XDG_.*|CEPH_.*|CEPHFLOW_.*|NODE_.*)$/;

function agentEnvironment(): Record<string, string> {
  const config = process.env['CEPHFLOW_CONFIG'];
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    inherited.test(name) && value !== undefined ? [[name, value] as const] : [],
  );
  return {
    ...Object.fromEntries(kept),
    CEPHFLOW_STATE: stateDir(),
    // the agent stands in another folder
    ...(config === undefined ? {} : { CEPHFLOW_CONFIG: resolve(config) }),
  };
}

/** Behind sudo stands a person: the record names them, not root. */
function identity(): string {
  const user = process.env['SUDO_USER'] ?? process.env['USER'] ?? userInfo().username;
  return `${user}@${hostname()}${terminal()}`;
}

function terminal(): string {
  try {
    const name = readlinkSync('/proc/self/fd/0');
    return /^\/dev\/(pts|tty)/.test(name) ? ` (${name.slice('/dev/'.length)})` : '';
  } catch {
    // stdin is closed, or there is no /proc: then there is no terminal to name
    return '';
  }
}

const selfWords = ({ config }: Globals): readonly string[] =>
  config === undefined ? [] : ['--config', resolve(config)];

function chooseCluster(config: Config, given: string | undefined): string {
  const known = Object.keys(config.clusters);
  const [only] = known;
  if (given !== undefined) return given;
  if (only !== undefined && known.length === 1) return only;
  throw new CephflowError('USAGE', `the config has ${known.length} clusters: which one is meant?`, {
    hint: `add --cluster NAME, one of: ${known.join(', ')}`,
  });
}

function describeCommand({ host, words, durationMs, exitCode, error }: CommandEntry): string {
  return `on ${host}: ${quoteWords(words)}  (${error ?? `exit ${exitCode}`}, ${durationMs} ms)`;
}

/** Make something once; who asks again gets the same. A failure is not kept: the next one may ask anew. */
function once<T>(make: () => Promise<T>): (() => Promise<T>) & { isAsked(): boolean } {
  let made: Promise<T> | undefined;
  const ask = () => {
    made ??= make().catch((thrown: unknown) => {
      made = undefined;
      throw thrown;
    });
    return made;
  };
  return Object.assign(ask, { isAsked: () => made !== undefined });
}
