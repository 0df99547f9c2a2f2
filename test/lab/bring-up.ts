import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listSilences, startAlertmanager } from './alertmanager.ts';
import type { ConfFacts } from './ceph-conf.ts';
import {
  type FirstOsd,
  makePool,
  makeStore,
  planOsds,
  registerOsds,
  startDaemon,
  startMonitor,
  writeClusterFiles,
} from './cluster.ts';
import { type ClusterActs, clusterActs } from './cluster-acts.ts';
import { cephflowConfig } from './config-file.ts';
import { completeAudit, osdHistory } from './history.ts';
import { demand, type Keeper, run, type Said } from './keeper.ts';
import { type Keys, makeKeys } from './keys.ts';
import type { Lab, LabOptions } from './lab-types.ts';
import { readMails, startMail } from './mail.ts';
import { chooseNetwork, type Network } from './network.ts';
import { type LabNode, type NodeSpec, type NodeSurroundings, signalNode, startNode } from './node.ts';
import { loadObjects, verifyObjects } from './objects.ts';

/** Everything of a lab that its parts share while it comes up. */
interface Site {
  readonly dir: string;
  readonly keeper: Keeper;
  readonly network: Network;
  readonly facts: ConfFacts;
  readonly keys: Keys;
  readonly around: NodeSurroundings;
  readonly nodes: Map<string, LabNode>;
  readonly options: LabOptions;
  readonly ssh: { readonly port: number; readonly key: string; readonly knownHosts: string };
  readonly onMonitor: (words: string[]) => Promise<Said>;
}

/** A healthy cluster takes 6 to 8 s; several labs at once on two cores take several times as long. */
const healthySeconds = 120;
const defaultNodes = 4;
const defaultOsdsPerNode = 2;
/** Names for which the config knows an address from the start, so that a node may join without a new config. */
const namesInConfig = 40;

/** Bring everything up inside an open keeper and return the lab. */
export async function bringUp(dir: string, keeper: Keeper, options: LabOptions): Promise<Lab> {
  const site = await openSite(dir, keeper, options);
  const specs = nodeSpecs(site);
  const owned = specs.slice(0, options.nodes ?? defaultNodes);
  const osds = planOsds(
    owned.map(({ name, devices }) => ({ name, devices: devicePaths(dir, name, devices) })),
  );
  await writeClusterFiles(site.facts, site.keys, osds);
  await makeOperatorKey(site);
  const acts = clusterActs({ keeper, facts: site.facts, nodes: site.nodes, onMonitor: site.onMonitor });
  const [alertmanagerUrl] = await Promise.all([
    options.alertmanager === false ? undefined : startAlertmanager(keeper, dir, site.network),
    options.mail === false ? undefined : startMail(keeper, dir, site.network),
    startCluster(site, specs, osds),
  ]);
  const configFile = await writeConfig(site, alertmanagerUrl);
  await acts.waitClean(healthySeconds);
  await acts.waitHealthy(healthySeconds);
  return describe(site, acts, { configFile, alertmanagerUrl: alertmanagerUrl ?? '' });
}

/** Nodes first; then the object stores are made while the monitor starts; then manager, OSDs and the pool. */
async function startCluster(
  site: Site,
  specs: readonly NodeSpec[],
  osds: readonly FirstOsd[],
): Promise<void> {
  const { keeper, facts, options } = site;
  const started = await Promise.all(specs.map((spec) => plugIn(site, spec)));
  const monitor = async (): Promise<void> => {
    await startMonitor(keeper, facts, site.onMonitor);
    await registerOsds(facts, osds, options.recoverySleepSeconds ?? 0);
    await startDaemon('mgr', facts, site.onMonitor);
  };
  await Promise.all([monitor(), ...osds.map((osd) => makeStore(nodeOf(site, osd.node), osd, facts))]);
  const withOsds = started.filter(({ name }) => osds.some(({ node }) => node === name));
  await Promise.all(withOsds.map((node) => node.must('systemctl', 'start', 'ceph-osd.target')));
  await makePool(facts, options.racks ?? false);
}

async function openSite(dir: string, keeper: Keeper, options: LabOptions): Promise<Site> {
  const network = await chooseNetwork();
  const keys = makeKeys();
  const monHost = options.monOn ?? 'ceph-mon-01';
  const facts: ConfFacts = { dir, fsid: randomUUID(), monAddress: network.services };
  const around: NodeSurroundings = { keeper, facts, bootstrapSecret: keys.bootstrapOsd };
  const ssh = {
    port: network.sshPort,
    key: join(dir, 'ssh', 'id'),
    knownHosts: join(dir, 'ssh', 'known_hosts'),
  };
  const nodes = new Map<string, LabNode>();
  const named = ['unshare', '--uts', 'sh', '-c', 'hostname "$1"; shift; exec "$@"', 'sh', monHost];
  const onMonitor = (words: string[]): Promise<Said> => {
    const node = options.monOn === undefined ? undefined : nodes.get(options.monOn);
    return node === undefined ? keeper.inside([...named, ...words]) : node.sh(...words);
  };
  return { dir, keeper, network, facts, keys, around, nodes, options, ssh, onMonitor };
}

async function makeOperatorKey(site: Site): Promise<void> {
  await mkdir(join(site.dir, 'ssh'));
  const words = ['-q', '-t', 'ed25519', '-N', '', '-C', 'operator', '-f', site.ssh.key];
  demand(['ssh-keygen', ...words], await run('ssh-keygen', words));
}

function nodeSpecs(site: Site): NodeSpec[] {
  const count = (site.options.nodes ?? defaultNodes) + (site.options.spareNodes ?? 0);
  return Array.from({ length: count }, (_, index) => specOf(site, nodeName(index + 1)));
}

function specOf(site: Site, name: string, devices?: number): NodeSpec {
  const number = Number(/(\d+)$/.exec(name)?.[1] ?? 'NaN');
  if (!(number >= 1 && number <= namesInConfig))
    throw new Error(`lab: a node is named like ceph-osd-05, not ${name}`);
  return {
    name,
    address: site.network.address(number),
    sshPort: site.network.sshPort,
    devices: devices ?? site.options.osdsPerNode ?? defaultOsdsPerNode,
    ...(site.options.racks ? { rack: `rack-${String(number).padStart(2, '0')}` } : {}),
  };
}

function nodeName(number: number): string {
  return `ceph-osd-${String(number).padStart(2, '0')}`;
}

function devicePaths(dir: string, node: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) =>
    join(dir, 'nodes', node, 'dev', `sd${String.fromCharCode(98 + n)}`),
  );
}

async function plugIn(site: Site, spec: NodeSpec, knownHost = true): Promise<LabNode> {
  const node = await startNode(spec, site.around);
  site.nodes.set(spec.name, node);
  if (knownHost) await trustHost(site, node);
  return node;
}

/** Write the node's host key into known_hosts, in place of an older one: by address and port, and by name. */
async function trustHost(site: Site, node: LabNode): Promise<void> {
  const [type, key] = (await readFile(join(node.dir, 'ssh', 'host_key.pub'), 'utf8')).split(' ');
  const { port, knownHosts } = site.ssh;
  const names = `[${node.address}]:${port},[${node.name}]:${port}`;
  const lines = (await readFile(knownHosts, 'utf8').catch(() => '')).split('\n');
  const others = lines.filter((line) => line !== '' && !line.startsWith(`${names} `));
  if (others.length === lines.length - 1 || lines.length <= 1)
    await appendFile(knownHosts, `${names} ${type} ${key}\n`);
  else await writeFile(knownHosts, `${[...others, `${names} ${type} ${key}`].join('\n')}\n`);
}

function nodeOf(site: Site, name: string): LabNode {
  const node = site.nodes.get(name);
  if (node === undefined)
    throw new Error(`lab: there is no node ${name} now; there are ${[...site.nodes.keys()].join(', ')}`);
  return node;
}

async function writeConfig(site: Site, alertmanagerUrl: string | undefined): Promise<string> {
  const { dir, network, options } = site;
  const hosts = Array.from({ length: namesInConfig }, (_, n) => [nodeName(n + 1), network.address(n + 1)]);
  const mailUrlFile = join(dir, 'smtp-url');
  await writeFile(mailUrlFile, `smtp://${network.services}:${network.smtpPort}\n`, { mode: 0o600 });
  const file = join(dir, 'cephflow.yaml');
  const text = cephflowConfig({
    conf: join(dir, 'ceph.conf'),
    keyring: join(dir, 'admin.keyring'),
    ssh: { ...site.ssh, hosts: Object.fromEntries(hosts) },
    alertmanagerUrl,
    mailUrlFile: options.mail === false ? undefined : mailUrlFile,
    extra: options.extraConfig,
  });
  await writeFile(file, text);
  return file;
}

function describe(
  site: Site,
  acts: ClusterActs,
  found: { configFile: string; alertmanagerUrl: string },
): Lab {
  const { dir, keeper, facts, nodes, ssh } = site;
  const monLog = (): Promise<string> => readFile(join(dir, 'log', 'cluster.log'), 'utf8');
  return {
    ...acts,
    ...found,
    ...nodeActs(site),
    dir,
    conf: join(dir, 'ceph.conf'),
    keyring: join(dir, 'admin.keyring'),
    readOnlyKeyring: join(dir, 'readonly.keyring'),
    fsid: facts.fsid,
    pid: keeper.pid,
    nodes,
    ssh,
    sshTo: (name, command) => run('ssh', [...sshWords(site, name), command]),
    loadObjects: (load) => loadObjects(dir, load),
    verifyObjects: () => verifyObjects(dir),
    monLog,
    audit: () => completeAudit(acts, monLog),
    osdHistory: () => osdHistory(acts),
    mails: () => readMails(dir),
    silences: () => listSilences(found.alertmanagerUrl),
    stop: () => keeper.stop(),
  };
}

function nodeActs(site: Site): Pick<Lab, 'addNode' | 'stopNode' | 'removeNode' | 'cutOff' | 'rejoin'> {
  const { keeper, nodes } = site;
  const stopNode = async (name: string): Promise<void> => {
    await signalNode(keeper, nodeOf(site, name), 'KILL');
    nodes.delete(name);
  };
  const removeNode = async (name: string): Promise<void> => {
    if (nodes.has(name)) await stopNode(name);
    await rm(join(site.dir, 'nodes', name), { recursive: true, force: true });
  };
  return {
    stopNode,
    removeNode,
    addNode: async (name, how = {}) => {
      await removeNode(name);
      return plugIn(site, specOf(site, name, how.devices), how.knownHost ?? true);
    },
    cutOff: (name) => signalNode(keeper, nodeOf(site, name), 'STOP'),
    rejoin: (name) => signalNode(keeper, nodeOf(site, name), 'CONT'),
  };
}

function sshWords(site: Site, name: string): string[] {
  const { port, key, knownHosts } = site.ssh;
  const options = {
    UserKnownHostsFile: knownHosts,
    StrictHostKeyChecking: 'yes',
    BatchMode: 'yes',
    ConnectTimeout: '5',
  };
  const pairs = Object.entries(options).flatMap(([option, value]) => ['-o', `${option}=${value}`]);
  return ['-F', 'none', ...pairs, '-i', key, '-p', String(port), `root@${nodeOf(site, name).address}`];
}
