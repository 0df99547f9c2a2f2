import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConfFacts, nodeConf } from './ceph-conf.ts';
import { demand, type Keeper, run, type Said, toolsDir } from './keeper.ts';
import { keyringEntry } from './keys.ts';
import { until } from './until.ts';

/** One node of a lab: hostname, loopback address, sshd, device files; OSDs or none. */
export interface LabNode {
  readonly name: string;
  readonly address: string;
  readonly dir: string;
  /** The node's data devices, `DIR/nodes/NAME/dev/sdb` and so on. */
  readonly devices: readonly string[];
  readonly rack?: string | undefined;
  /** Run a command on the node as root, with its hostname and its /etc/ceph. */
  sh(...words: string[]): Promise<Said>;
  /** Run a command on the node and throw, with what it said, unless its exit code is 0. */
  must(...words: string[]): Promise<string>;
}

/** What a new node is made from. */
export interface NodeSpec {
  readonly name: string;
  readonly address: string;
  readonly sshPort: number;
  readonly devices: number;
  readonly rack?: string | undefined;
}

/** What all nodes of a lab share. */
export interface NodeSurroundings {
  readonly keeper: Keeper;
  readonly facts: ConfFacts;
  readonly bootstrapSecret: string;
}

/** 5 GiB is the least that ceph-volume calls available; the files are sparse. */
const deviceBytes = 5 * 1024 ** 3;
/** Starting a shell and an sshd takes some ten milliseconds; the rest is for a loaded machine. */
const startSeconds = 20;
const firstDeviceLetter = 'b'.charCodeAt(0);

/** Make the folders of a node, start its namespaces and its sshd. It has empty devices and no OSD. */
export async function startNode(spec: NodeSpec, around: NodeSurroundings): Promise<LabNode> {
  const dir = join(around.facts.dir, 'nodes', spec.name);
  const devices = Array.from({ length: spec.devices }, (_, index) =>
    join(dir, 'dev', `sd${String.fromCharCode(firstDeviceLetter + index)}`),
  );
  await writeNodeFiles(dir, devices, spec, around);
  const { keeper } = around;
  const init = ['sh', join(toolsDir, 'node-init.sh'), dir, spec.name, join(toolsDir, 'bin')];
  const background = 'out=$1; shift; "$@" > "$out" 2>&1 < /dev/null &';
  const words = ['sh', '-c', background, 'sh', join(dir, 'init.log'), 'unshare', '--uts', '--mount', ...init];
  await keeper.must(words);
  const holder = await until(`node ${spec.name} starts`, startSeconds, () => holderPid(dir));
  const enter = ['nsenter', '-t', holder, '--mount', '--uts', '--', 'env', `PATH=${nodePath()}`];
  const sh = (...what: string[]): Promise<Said> => keeper.inside([...enter, ...what]);
  const must = async (...what: string[]): Promise<string> => demand([spec.name, ...what], await sh(...what));
  return { name: spec.name, address: spec.address, dir, devices, rack: spec.rack, sh, must };
}

/** Send a signal to everything that runs on a node but its holder; with `KILL`, to the holder too: the node is gone. */
export async function signalNode(
  keeper: Keeper,
  node: LabNode,
  signal: 'STOP' | 'CONT' | 'KILL',
): Promise<void> {
  // Twice: what was forked between the listing and the signal is found by the second round.
  const script = `holder=$(cat "$1/holder.pid"); uts=$(readlink "/proc/$holder/ns/uts") || exit 0
for round in 1 2; do for proc in /proc/[0-9]*; do
  pid=\${proc#/proc/}
  [ "$pid" != "$holder" ] && [ "$(readlink "$proc/ns/uts")" = "$uts" ] && kill -$2 "$pid"
done; done 2>/dev/null
[ $2 != KILL ] || kill -KILL "$holder"`;
  await keeper.must(['sh', '-c', script, 'sh', node.dir, signal]);
}

/** Folder of the stand-ins, then the usual ones: the PATH of every session on a node. */
function nodePath(): string {
  return `${join(toolsDir, 'bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
}

async function holderPid(dir: string): Promise<string | undefined> {
  return (await readFile(join(dir, 'holder.pid'), 'utf8').catch(() => '')).trim() || undefined;
}

async function writeNodeFiles(
  dir: string,
  devices: readonly string[],
  spec: NodeSpec,
  around: NodeSurroundings,
): Promise<void> {
  const { facts } = around;
  const folders = ['dev', 'etc-ceph', 'var-lib-ceph/osd', 'var-lib-ceph/bootstrap-osd', 'ssh', 'run'];
  await Promise.all(folders.map((folder) => mkdir(join(dir, folder), { recursive: true })));
  const settings = {
    node: spec.name,
    fsid: facts.fsid,
    devices: join(dir, 'dev'),
    chassis: randomBytes(4).toString('hex'),
  };
  const bootstrap = keyringEntry('client.bootstrap-osd', around.bootstrapSecret);
  await Promise.all([
    writeFile(join(dir, 'etc-ceph', 'ceph.conf'), nodeConf(facts, spec.name, spec)),
    writeFile(join(dir, 'etc-ceph', 'lab-node.json'), JSON.stringify(settings)),
    copyFile(join(facts.dir, 'admin.keyring'), join(dir, 'etc-ceph', 'ceph.client.admin.keyring')),
    writeFile(join(dir, 'var-lib-ceph', 'bootstrap-osd', 'ceph.keyring'), bootstrap, { mode: 0o600 }),
    ...devices.map((device) => makeSparse(device)),
    writeSshFiles(join(dir, 'ssh'), spec, around),
  ]);
}

async function makeSparse(path: string): Promise<void> {
  await writeFile(path, '');
  await truncate(path, deviceBytes);
}

async function writeSshFiles(dir: string, spec: NodeSpec, around: NodeSurroundings): Promise<void> {
  const hostKey = join(dir, 'host_key');
  const words = ['-q', '-t', 'ed25519', '-N', '', '-C', spec.name, '-f', hostKey];
  demand(['ssh-keygen', ...words], await run('ssh-keygen', words));
  await chmod(hostKey, 0o600);
  await writeFile(
    join(dir, 'sshd_config'),
    `ListenAddress ${spec.address}:${spec.sshPort}
HostKey ${hostKey}
PidFile ${join(dir, 'sshd.pid')}
AuthorizedKeysFile ${join(around.facts.dir, 'ssh', 'id.pub')}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PrintMotd no
MaxStartups 100
MaxSessions 100
SetEnv PATH=${nodePath()}
Subsystem sftp internal-sftp
`,
  );
}
