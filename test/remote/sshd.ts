import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Of openssh-client, like ssh itself. */
const keygenProgram = 'ssh-keygen';

/** A real sshd on a loopback address of its own, with an RSA and an ed25519 host key, that lets `key` in as root. */
export interface Sshd {
  readonly dir: string;
  readonly address: string;
  readonly port: number;
  readonly key: string;
  /** A key that it does not let in. */
  readonly strangerKey: string;
  /** Words of the public host key of a type, such as `ssh-ed25519 AAAA…`. */
  hostKey(type: 'ed25519' | 'rsa'): string;
  start(): Promise<void>;
  /** End the listener; connections that are open go on. */
  stop(): Promise<void>;
  /** Send a signal to the processes of all open connections. */
  signalConnections(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** End the connections, and nothing of what was begun over them. */
  cutConnections(): void;
  remove(): Promise<void>;
}

const random = (below: number) => Math.floor(Math.random() * below);
/** A listener is there within some ten milliseconds. */
const startPolls = 100;

/** Write keys and config; `start` starts it. `programs`: folder whose programs go before those of the machine. */
export function makeSshd({ programs }: { programs?: string } = {}): Sshd {
  const dir = mkdtempSync(join(tmpdir(), 'cephflow-sshd-'));
  const address = `127.${1 + random(254)}.${random(256)}.${1 + random(254)}`;
  const port = 20_000 + random(10_000);
  const keygen = (type: string, name: string) => {
    const done = spawnSync(keygenProgram, ['-q', '-t', type, '-N', '', '-f', join(dir, name)], {
      encoding: 'utf8',
    });
    if (done.status !== 0) throw new Error(`ssh-keygen: ${done.stderr}`);
    return join(dir, name);
  };
  const [hostEd25519, hostRsa] = [keygen('ed25519', 'host_ed25519'), keygen('rsa', 'host_rsa')];
  const [key, strangerKey] = [keygen('ed25519', 'id'), keygen('ed25519', 'stranger')];
  chmodSync(dir, 0o755);
  mkdirSync('/run/sshd', { recursive: true });
  const config = join(dir, 'sshd_config');
  writeFileSync(
    config,
    `ListenAddress ${address}:${port}
HostKey ${hostEd25519}
HostKey ${hostRsa}
PidFile none
AuthorizedKeysFile ${key}.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PrintMotd no
${programs === undefined ? '' : `SetEnv PATH=${programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`}
`,
  );
  let listener: ChildProcess | undefined;
  return {
    dir,
    address,
    port,
    key,
    strangerKey,
    hostKey: (type) =>
      readFileSync(join(dir, `host_${type}.pub`), 'utf8')
        .split(' ')
        .slice(0, 2)
        .join(' '),
    async start() {
      listener = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config], { stdio: 'ignore' });
      for (let poll = 0; poll < startPolls; poll++) {
        if (await answers(address, port)) return;
        await pause(50);
      }
      throw new Error(`sshd does not listen on ${address}:${port}`);
    },
    async stop() {
      const ended = new Promise((resolve) => listener?.once('exit', resolve));
      if (listener?.kill('SIGKILL')) await ended;
      listener = undefined;
    },
    signalConnections(signal) {
      const pid = listener?.pid;
      if (pid === undefined) return; // it does not run: there is no connection of ours to find
      for (const { pid: child } of descendants(pid)) send(child, signal);
    },
    cutConnections() {
      const pid = listener?.pid;
      if (pid === undefined) return;
      for (const { pid: child, program } of descendants(pid)) if (program === 'sshd') send(child, 'SIGKILL');
    },
    async remove() {
      this.signalConnections('SIGKILL');
      await this.stop();
      rmSync(dir, { recursive: true });
    },
  };
}

function answers(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once('data', () => socket.destroy());
    socket.once('close', (failed) => resolve(!failed));
    socket.once('error', () => resolve(false));
  });
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown; // it ended meanwhile
  }
}

/** Rounds of the search below; a session is sshd, sshd, timeout, three shells for a lock, command. */
const deepest = 15;

interface Running {
  readonly pid: number;
  readonly parent: number;
  readonly program: string;
}

/**
 * List the processes that a process of ours started, and those that they started.
 * A pid that is not that of a child of this very process is refused: what stands above us is never to be signalled.
 */
function descendants(pid: number): Running[] {
  const { stdout } = spawnSync('ps', ['-e', '-o', 'pid=,ppid=,comm='], { encoding: 'utf8' });
  const rows = stdout.split('\n').map((line): Running => {
    const [child, parent, program = ''] = line.trim().split(/\s+/);
    return { pid: Number(child), parent: Number(parent), program };
  });
  if (!rows.some((row) => row.pid === pid && row.parent === process.pid)) return [];
  const found: Running[] = [];
  let generation: readonly number[] = [pid];
  for (let depth = 0; depth < deepest && generation.length > 0; depth++) {
    const next = rows.filter(({ parent }) => generation.includes(parent));
    found.push(...next);
    generation = next.map((row) => row.pid);
  }
  return found;
}
