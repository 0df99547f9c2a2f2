import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CephflowError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest.ts';
import { createCeph } from '../ceph/ceph.ts';
import { createMachine } from '../ceph/machine.ts';
import { createMarkers } from '../ceph/markers.ts';
import type { ActGuard, Systems } from '../engine/systems.ts';
import { createAlertmanager, defaultMatchers } from '../outside/alertmanager.ts';
import type { MailOptions } from '../outside/mail.ts';
import { createPeople } from '../outside/people.ts';
import { type CommandEntry, logged, readOnly, type Shell } from '../remote/command.ts';
import { createLocalShell } from '../remote/local.ts';
import { findLockHolder, guarded } from '../remote/lock.ts';
import { createSshShell } from '../remote/ssh.ts';
import type { Monitoring, People } from '../task/context.ts';
import type { ClusterConfig, Config } from './config.ts';

interface SystemsOptions {
  readonly config: Config;
  readonly cluster: string;
  /** Home folder: the ssh key and known_hosts are looked for there where the config names none. */
  readonly home: string;
  /** Told every command when it has ended. */
  readonly log: (entry: CommandEntry) => void;
}

/**
 * Open everything around one cluster as its config says. Nothing is connected before it is asked for.
 * What `read` gives goes through shells that let only reading commands pass.
 * @throws CLUSTER_UNKNOWN; NOT_CONFIGURED from the methods of what is absent from the config
 */
export function openSystems(options: SystemsOptions): Systems {
  const { config } = options;
  const cluster = requireCluster(config, options.cluster);
  const shells = createShells(cluster, options);
  const alertmanager = config.monitoring.alertmanager;
  const monitoring = alertmanager
    ? createAlertmanager({ url: alertmanager.url, matchers: alertmanager.matchers ?? defaultMatchers })
    : missingMonitoring;
  const people = createLatePeople(config);
  const machine = (shell: Shell, signal: AbortSignal) =>
    createMachine({ shell, daemons: cluster.daemons, signal });
  const words = cephWords(cluster);
  return {
    read: (signal) => ({
      ceph: createCeph({ shell: readOnly(shells.ceph), words, signal }),
      machine: (node) => machine(readOnly(shells.node(node)), signal),
      monitoring,
      markers: createMarkers({ shell: readOnly(shells.ceph), words, signal }),
    }),
    act: (signal, guard) => {
      const guards = guardShells(shells, guard);
      return {
        ceph: createCeph({ shell: guards.ceph, words, signal }),
        machine: (node) => machine(guards.node(node), signal),
        monitoring,
        people,
      };
    },
    findRunning: (node, lock, signal) => findLockHolder(readOnly(shells.node(node)), lock, signal),
    markers: (signal) => createMarkers({ shell: shells.ceph, words, signal }),
    close: shells.close,
  };
}

/** Find a cluster of the config. @throws CLUSTER_UNKNOWN with the nearest name */
function requireCluster(config: Config, name: string): ClusterConfig {
  const cluster = config.clusters[name];
  if (cluster) return cluster;
  const known = Object.keys(config.clusters);
  const guess = didYouMean(name, known);
  throw new CephflowError('CLUSTER_UNKNOWN', `the config has no cluster ${name}.${guess}`, {
    hint: `it has: ${known.join(', ')}`,
  });
}

/** Spell how `ceph` is called: with cephadm, its container is given the files instead. */
function cephWords({ ceph }: ClusterConfig): readonly string[] {
  const option = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  const program = ceph.command ?? ['ceph'];
  const user = option('--name', ceph.name);
  if (ceph.via === 'cephadm') {
    const files = [...option('--config', ceph.conf), ...option('--keyring', ceph.keyring)];
    return ['cephadm', 'shell', ...files, '--', ...program, ...user];
  }
  return [...program, ...option('--conf', ceph.conf), ...option('--keyring', ceph.keyring), ...user];
}

function createShells({ ceph, ssh }: ClusterConfig, { home, log }: SystemsOptions) {
  const nodes = new Map<string, Shell>();
  const sshOptions = {
    user: ssh.user,
    port: ssh.port,
    keyFile: ssh.key ?? join(home, '.ssh', 'id_ed25519'),
    knownHostsFile: ssh['known-hosts'] ?? join(home, '.ssh', 'known_hosts'),
    addresses: ssh.hosts,
  };
  const node = (name: string): Shell => {
    const shell = nodes.get(name) ?? logged(createSshShell(name, sshOptions), log);
    nodes.set(name, shell);
    return shell;
  };
  const local = ceph.via === 'ssh' ? undefined : logged(createLocalShell(), log);
  return {
    ceph: local ?? node(ceph.host ?? ''),
    /** Where `ceph` is called, unless beside the worker. */
    adminNode: local ? undefined : (ceph.host ?? ''),
    node,
    close: async () => {
      await Promise.all([...nodes.values(), ...(local ? [local] : [])].map((shell) => shell.close()));
    },
  };
}

/** Guard the shells of one act: those over ssh lock there; `ceph` beside the worker has
 * none, since nobody elsewhere could ask for it. */
function guardShells(
  { ceph, node, adminNode }: ReturnType<typeof createShells>,
  { lock, before }: ActGuard,
): { readonly ceph: Shell; node(name: string): Shell } {
  const nodes = new Map<string, Shell>();
  const guardNode = (name: string): Shell => {
    const shell = nodes.get(name) ?? guarded(node(name), { lock, before: () => before(name) });
    nodes.set(name, shell);
    return shell;
  };
  return {
    ceph: adminNode === undefined ? guarded(ceph, { before: () => before(undefined) }) : guardNode(adminNode),
    node: guardNode,
  };
}

const noMonitoring = async (): Promise<never> => {
  throw new CephflowError('NOT_CONFIGURED', 'there is no monitoring system in the config', {
    hint: 'add monitoring: { alertmanager: { url: … } } to the config',
  });
};

const missingMonitoring: Monitoring = {
  downtimes: noMonitoring,
  setDowntime: noMonitoring,
  endDowntime: noMonitoring,
};

/** The mail server's URL is a secret: it is read when a mail is sent, and kept nowhere. */
function createLatePeople(config: Config): People {
  return {
    async tell(contact, message) {
      const mail = await readMail(config);
      return createPeople({ contacts: addresses(config), mail }).tell(contact, message);
    },
  };
}

function addresses(config: Config) {
  const entries = Object.entries(config.contacts).map(([name, { mail, webhook }]) => [
    name,
    { ...(mail === undefined ? {} : { mail }), ...(webhook === undefined ? {} : { webhook }) },
  ]);
  return Object.fromEntries(entries) as Record<string, { mail?: string; webhook?: string }>;
}

/** Read how mail leaves; undefined where the config does not say. @throws NOT_CONFIGURED when its file is not readable */
export async function readMail({ mail }: Config): Promise<MailOptions | undefined> {
  if (!mail) return undefined;
  const file = mail['url-file'];
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CephflowError('NOT_CONFIGURED', `mail.url-file ${file} cannot be read (${cause.code})`, {
      cause,
    });
  });
  const url = text.trim();
  if (URL.canParse(url) && /^smtps?:$/.test(new URL(url).protocol)) return { url, from: mail.from };
  throw new CephflowError('NOT_CONFIGURED', `${file} does not hold a URL such as smtp://host:25`, {
    hint: 'it is named by mail.url-file of the config',
  });
}
