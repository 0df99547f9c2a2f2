import { randomUUID } from 'node:crypto';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConfFacts, clientConf, recoverySettings } from './ceph-conf.ts';
import { demand, type Keeper, run, type Said } from './keeper.ts';
import { initialKeyring, type Keys, keyringEntry, makeSecret } from './keys.ts';
import type { LabNode } from './node.ts';
import { until } from './until.ts';

/** An OSD that the cluster is brought up with. */
export interface FirstOsd {
  readonly id: number;
  readonly uuid: string;
  readonly secret: string;
  readonly node: string;
  readonly device: string;
}

/** Modules that Ceph 16 calls always-on: without one of them the cluster is in HEALTH_ERR. Others cost seconds at the start. */
const mgrModules = [
  'balancer',
  'crash',
  'devicehealth',
  'iostat',
  'orchestrator',
  'pg_autoscaler',
  'progress',
  'rbd_support',
  'status',
  'telemetry',
  'volumes',
];
const mgrModulesInstalled = '/usr/share/ceph/mgr';
/** The pool of a lab. */
export const poolName = 'lab';
const pgCount = 32;
const monStartSeconds = 30;

/** Number the OSDs of the nodes, in order, and give each a uuid and a secret. */
export function planOsds(nodes: readonly { name: string; devices: readonly string[] }[]): FirstOsd[] {
  return nodes
    .flatMap(({ name, devices }) => devices.map((device) => ({ node: name, device })))
    .map((place, id) => ({ ...place, id, uuid: randomUUID(), secret: makeSecret() }));
}

/** Write what all daemons and clients share: ceph.conf, the keyrings, the manager's modules. */
export async function writeClusterFiles(
  facts: ConfFacts,
  keys: Keys,
  osds: readonly FirstOsd[],
): Promise<void> {
  const { dir } = facts;
  await Promise.all(
    ['mon', 'mgr', 'log', 'run', 'mgr-modules'].map((name) => mkdir(join(dir, name), { recursive: true })),
  );
  const secrets = new Map(osds.map(({ id, secret }) => [id, secret]));
  const files = {
    'ceph.conf': clientConf(facts),
    'admin.keyring': keyringEntry('client.admin', keys.admin),
    'readonly.keyring': keyringEntry('client.readonly', keys.readOnly),
    'initial.keyring': initialKeyring(keys, secrets),
    'mgr/keyring': keyringEntry('mgr.lab', keys.mgr),
  };
  await Promise.all([
    ...Object.entries(files).map(([name, text]) => writeFile(join(dir, name), text, { mode: 0o600 })),
    writeMgrModules(join(dir, 'mgr-modules')),
  ]);
}

/**
 * Give the manager its few modules. devicehealth is a copy with monitoring off by default: the installed one makes a pool of
 * its own when an OSD map arrives before the module has read its configuration, which happens under load.
 */
async function writeMgrModules(folder: string): Promise<void> {
  const shared = (await readdir(mgrModulesInstalled)).filter((name) => name.endsWith('.py'));
  const links = [...mgrModules.filter((name) => name !== 'devicehealth'), ...shared];
  await Promise.all(links.map((name) => symlink(join(mgrModulesInstalled, name), join(folder, name))));
  await cp(join(mgrModulesInstalled, 'devicehealth'), join(folder, 'devicehealth'), { recursive: true });
  const module = join(folder, 'devicehealth', 'module.py');
  const text = await readFile(module, 'utf8');
  const quiet = text.replace(/(name='enable_monitoring',\s+default=)True/, '$1False');
  if (quiet === text)
    throw new Error('lab: this devicehealth module has no enable_monitoring=True to switch off');
  await writeFile(module, quiet);
}

/** Make the monitor's store and start it and the manager; `where` runs a command in the right hostname. */
export async function startMonitor(
  keeper: Keeper,
  facts: ConfFacts,
  where: (words: string[]) => Promise<Said>,
): Promise<void> {
  const { dir, fsid, monAddress } = facts;
  const conf = ['-c', join(dir, 'ceph.conf')];
  const map = join(dir, 'monmap');
  const addresses = `[v2:${monAddress}:3300,v1:${monAddress}:6789]`;
  await keeper.must(['monmaptool', '--create', '--addv', 'lab', addresses, '--fsid', fsid, map]);
  await keeper.must([
    'ceph-mon',
    ...conf,
    '-i',
    'lab',
    '--mkfs',
    '--monmap',
    map,
    '--keyring',
    join(dir, 'initial.keyring'),
  ]);
  await startDaemon('mon', facts, where);
}

/** Start the monitor or the manager as a daemon (again). */
export async function startDaemon(
  daemon: 'mon' | 'mgr',
  facts: ConfFacts,
  where: (words: string[]) => Promise<Said>,
): Promise<void> {
  const words = [`ceph-${daemon}`, '-c', join(facts.dir, 'ceph.conf'), '-i', 'lab'];
  demand(words, await where(words));
}

/** Make the object store of a first OSD; needs no monitor, so it runs while that one starts. */
export async function makeStore(node: LabNode, osd: FirstOsd, facts: ConfFacts): Promise<void> {
  const inside = `/var/lib/ceph/osd/ceph-${osd.id}`;
  const outside = join(node.dir, 'var-lib-ceph', 'osd', `ceph-${osd.id}`);
  await mkdir(outside);
  await mkdir(join(node.dir, 'dev', '.tags'), { recursive: true });
  await mkdir(join(node.dir, 'var-lib-ceph', '.enabled'), { recursive: true });
  await Promise.all([
    symlink(osd.device, join(outside, 'block')),
    writeFile(join(outside, 'keyring'), keyringEntry(`osd.${osd.id}`, osd.secret), { mode: 0o600 }),
    writeFile(
      join(node.dir, 'dev', '.tags', `${osd.device.split('/').at(-1)}.json`),
      JSON.stringify(tags(osd, facts.fsid)),
    ),
    writeFile(join(node.dir, 'var-lib-ceph', '.enabled', `ceph-osd@${osd.id}`), ''),
  ]);
  const words = [
    'ceph-osd',
    '-i',
    String(osd.id),
    '--mkfs',
    '--osd-uuid',
    osd.uuid,
    '--osd-data',
    inside,
    '--no-mon-config',
  ];
  await node.must(...words);
}

/** Carry out many commands through one client. Its exit code is always 0: what matters is read back by the caller. */
export async function batch(
  facts: ConfFacts,
  commands: readonly string[],
  format = 'plain',
): Promise<string> {
  const words = [
    '--conf',
    join(facts.dir, 'ceph.conf'),
    '--connect-timeout',
    String(monStartSeconds),
    '--format',
    format,
  ];
  const said = await run('ceph', words, `${commands.join('\n')}\n`);
  return demand(['ceph', ...words], said) + said.stderr;
}

/** Register the first OSDs, set what is set at run time; before the manager starts. */
export async function registerOsds(
  facts: ConfFacts,
  osds: readonly FirstOsd[],
  recoverySleepSeconds: number,
): Promise<void> {
  const create = osds.map(({ id, uuid }) => `osd create ${uuid} ${id}`);
  await until('the monitor answers', monStartSeconds, async () => {
    const said = await batch(facts, [...recoverySettings(recoverySleepSeconds), ...create, 'osd ls']);
    return said.includes(String(osds.length - 1)) || osds.length === 0;
  });
}

/** Make the pool that objects are kept in: size 3, min_size 2, one copy a host, or a rack where there are racks. */
export async function makePool(facts: ConfFacts, racks: boolean): Promise<void> {
  const rule = racks ? ['osd crush rule create-replicated racks default rack'] : [];
  await batch(facts, [
    ...rule,
    `osd pool create ${poolName} ${pgCount} ${pgCount} replicated ${racks ? 'racks' : ''}`.trimEnd(),
    `osd pool application enable ${poolName} lab`,
  ]);
}

/** What ceph-volume keeps as LVM tags. */
function tags(osd: FirstOsd, fsid: string): Record<string, string> {
  return {
    'ceph.osd_id': String(osd.id),
    'ceph.osd_fsid': osd.uuid,
    'ceph.cluster_fsid': fsid,
    'ceph.cluster_name': 'ceph',
    'ceph.type': 'block',
    'ceph.block_device': osd.device,
    'ceph.block_uuid': randomUUID(),
    'ceph.encrypted': '0',
    'ceph.crush_device_class': 'None',
    'ceph.osdspec_affinity': '',
    'ceph.vdo': '0',
  };
}
