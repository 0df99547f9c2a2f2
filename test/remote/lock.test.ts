import {
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeError } from '../../src/base/errors.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import type { CommandLock, Shell } from '../../src/remote/command.ts';
import { findLockHolder, guarded, requireLock, wordsOf } from '../../src/remote/lock.ts';
import { createSshShell } from '../../src/remote/ssh.ts';
import { expectOver } from './over.ts';
import { refusalOf } from './refusal.ts';
import { makeSshd, type Sshd } from './sshd.ts';

const host = 'ceph-osd-07';
/** Longest wait for something on the machine to happen. */
const limitMs = 20_000;
/** Where root's locks are. */
const locks = '/run/cephflow';
let sshd: Sshd;
let lock: CommandLock;
let tests = 0;
const shells: Shell[] = [];

beforeAll(async () => {
  sshd = makeSshd();
  await sshd.start();
});
afterAll(async () => {
  await sshd.remove();
  const ours = readdirSync(locks).filter((name) => name.startsWith(`${process.pid}-`));
  for (const name of ours) rmSync(join(locks, name));
});
beforeEach(() => {
  tests += 1;
  lock = { name: `${process.pid}-${tests}/osd.stop@osd.3`, turn: 1 };
});
afterEach(async () => {
  letGoOn();
  for (const shell of shells.splice(0)) await shell.close();
});

function connect(): Shell {
  const knownHostsFile = join(sshd.dir, 'known_hosts');
  writeFileSync(knownHostsFile, `[${host}]:${sshd.port} ${sshd.hostKey('ed25519')}\n`);
  const addresses = { [host]: sshd.address };
  const { port, key: keyFile } = sshd;
  const shell = createSshShell(host, { user: 'root', port, keyFile, knownHostsFile, addresses });
  shells.push(shell);
  return shell;
}

const file = (name: string) => join(sshd.dir, `${name}-${tests}`);
const read = (name: string) => readFileSync(file(name), { encoding: 'utf8', flag: 'a+' });
const under = (script: string, more: { input?: string; turn?: number } = {}) => ({
  words: ['sh', '-c', script],
  reads: false,
  timeoutMs: 60_000,
  lock: { ...lock, turn: more.turn ?? lock.turn },
  ...(more.input === undefined ? {} : { input: more.input }),
});
/** A command that says its pid and waits until the test lets it go on. */
const waiting = (then: string) =>
  `echo $$ > ${file('pid')}; n=0; while ! [ -e ${file('go')} ] && [ $((n += 1)) -lt 600 ]; do sleep 0.1; done; ${then}`;
const begun = () => waitUntil(async () => read('pid').endsWith('\n'), limitMs);
const letGoOn = () => writeFileSync(file('go'), '');
const isFree = async () => (await findLockHolder(connect(), lock)) === undefined;

test('lock: a command gives its output and exit code, also the one of a held lock, and the lock is free again', async () => {
  const script = 'cat; echo of the command >&2; exit 75';
  expect(await connect().run(under(script, { input: 'a\0b' }))).toEqual({
    stdout: 'a\0b',
    stderr: 'of the command\n',
    exitCode: 75,
  });
  expect(await isFree()).toBe(true);
});

test('lock: while a command runs there is no second one, and who asks is told what runs', async () => {
  const first = connect().run(under(waiting('echo first')));
  expect(await begun()).toBe(true);
  const holder = await findLockHolder(connect(), lock);
  expect(holder?.file).toMatch(/^\/run\/cephflow\/\d+-\d+-osd\.stop@osd\.3\.[0-9a-f]{12}\.lock$/);
  const script = `echo second >> ${file('second')}`;
  expect(describeError(await refusalOf(() => connect().run(under(script))))).toBe(
    `LOCK_HELD  the command that ${lock.name} began on ${host} still runs
  on ${host}: sh -c ${script}  (exit 75)
  it is tried again once that has ended; to see it, there: pgrep -a -g ${holder?.group} (the lock is ${holder?.file})`,
  );
  const other = { ...under('echo other'), lock: { name: `${lock.name}1`, turn: 1 } };
  expect((await connect().run(other)).stdout).toBe('other\n');
  letGoOn();
  expect((await first).stdout).toBe('first\n');
  expect(await isFree()).toBe(true);
  expect(existsSync(file('second'))).toBe(false);
});

test('lock: a command whose connection is lost prints on unheard to its end, and is seen until then', async () => {
  const noise = 'for n in $(seq 2000); do echo "line $n of what nobody hears"; echo error >&2; done';
  const lost = refusalOf(() => connect().run(under(waiting(`${noise}; echo ended > ${file('end')}`))));
  expect(await begun()).toBe(true);
  sshd.cutConnections();
  expect((await lost).code).toBe('SSH_UNREACHABLE');
  expect(await isFree()).toBe(false);
  letGoOn();
  expect(await waitUntil(isFree, limitMs)).toBe(true);
  expect(read('end')).toBe('ended\n');
});

test('lock: an aborted command is ended there, and the lock is free', async () => {
  const stop = new AbortController();
  const running = refusalOf(() => connect().run(under(waiting('echo never')), stop.signal));
  expect(await begun()).toBe(true);
  stop.abort();
  expect((await running).code).toBe('COMMAND_ABORTED');
  await expectOver(read('pid').trim());
  expect(await waitUntil(isFree, limitMs)).toBe(true);
});

test('lock: what an aborted command leaves running counts, also where the command itself ended in good order', async () => {
  writeFileSync(file('child'), `trap '' TERM; ${waiting('true')}`);
  const stop = new AbortController();
  const script = `trap 'exit 0' TERM; sh ${file('child')} > /dev/null 2>&1 & wait`;
  const running = refusalOf(() => connect().run(under(script), stop.signal));
  expect(await begun()).toBe(true);
  stop.abort();
  expect((await running).code).toBe('COMMAND_ABORTED');
  expect(await isFree()).toBe(false);
  letGoOn();
  expect(await waitUntil(isFree, limitMs)).toBe(true);
});

test('lock: an abort before the machine has told the pid ends the command too', async () => {
  const stop = new AbortController();
  const shell = connect();
  await shell.run(under('true'));
  const running = refusalOf(() => shell.run(under(waiting('echo never')), stop.signal));
  await Promise.resolve();
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  expect((await running).code).toBe('COMMAND_ABORTED');
  expect(await waitUntil(isFree, limitMs)).toBe(true);
  if (read('pid') !== '') await expectOver(read('pid').trim());
});

test('lock: a command that outlives everything around it still counts as running', async () => {
  const killOthers =
    'for pid in $(pgrep -g "$(ps -o pgid= $$ | tr -d " ")"); do [ "$pid" = $$ ] || kill -KILL "$pid"; done';
  const running = refusalOf(() => connect().run(under(`${killOthers}; ${waiting('exit 0')}`)));
  expect(await begun()).toBe(true);
  expect((await running).code).toBe('COMMAND_FAILED');
  expect(await isFree()).toBe(false);
  expect((await refusalOf(() => connect().run(under('echo second')))).code).toBe('LOCK_HELD');
  letGoOn();
  expect(await waitUntil(isFree, limitMs)).toBe(true);
});

test('lock: a daemon that a command leaves behind does not hold it', async () => {
  const daemon = `setsid sh -c 'echo $$ > ${file('pid')}; exec sleep 60' > /dev/null 2>&1 < /dev/null &`;
  await connect().run(under(daemon));
  expect(await begun()).toBe(true);
  expect(await isFree()).toBe(true);
  process.kill(Number(read('pid')), 'SIGKILL');
});

test('lock: once a later turn has asked or begun, nothing of an earlier one begins', async () => {
  expect(await findLockHolder(connect(), { ...lock, turn: 7 })).toBeUndefined();
  const late = await refusalOf(() => connect().run(under(`echo late > ${file('late')}`, { turn: 6 })));
  expect(late.code).toBe('COMMAND_ABORTED');
  expect(late.message).toBe(`nothing was begun on ${host}: another worker has taken over ${lock.name}`);
  expect(existsSync(file('late'))).toBe(false);
  expect((await connect().run(under('echo on', { turn: 8 }))).stdout).toBe('on\n');
  expect((await refusalOf(() => connect().run(under('echo late', { turn: 7 })))).code).toBe(
    'COMMAND_ABORTED',
  );
});

test('lock: a program that is not there and one that a signal ended are told as without a lock', async () => {
  const missing = { ...under(''), words: ['ceph-volume-of-nowhere'] };
  expect((await refusalOf(() => connect().run(missing))).code).toBe('PROGRAM_MISSING');
  const ended = await refusalOf(() => connect().run(under('kill -SEGV $$')));
  expect(ended.message).toBe(`sh on ${host} was ended by SIGSEGV`);
  expect(await isFree()).toBe(true);
});

test('lock: files of locks that nobody used for a week are tidied away, one that is held is not', async () => {
  const first = connect().run(under(waiting('true')));
  expect(await begun()).toBe(true);
  const held = (await findLockHolder(connect(), lock))?.file ?? '';
  const old = join(locks, `${process.pid}-old.lock`);
  writeFileSync(old, '1\n');
  const longAgo = Date.now() / 1000 - 9 * 24 * 3600;
  for (const one of [old, held]) utimesSync(one, longAgo, longAgo);
  await connect().run({ ...under('true'), lock: { name: `${lock.name}-other`, turn: 1 } });
  expect(existsSync(old)).toBe(false);
  expect(existsSync(held)).toBe(true);
  letGoOn();
  await first;
});

test('lock: a user other than root has a folder of his own, and one that somebody else made is refused', async () => {
  const user = String(100_000 + Math.floor(Math.random() * 1_000_000));
  const folder = `/tmp/cephflow-${user}`;
  const as = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  const command = { ...under('echo in'), words: ['sh', '-c', 'echo in'] };
  const run = async () => {
    const result = await connect().run({
      words: [...as, ...wordsOf(command)],
      reads: false,
      timeoutMs: 10_000,
    });
    requireLock({ host }, command, result);
    return result;
  };
  try {
    expect((await run()).stdout).toBe('in\n');
    expect(statSync(folder)).toMatchObject({ uid: Number(user), mode: 0o40700 });
    chownSync(folder, 1, 1);
    expect(describeError(await refusalOf(run))).toBe(
      `NODE_UNSUITABLE  ${folder} on ${host} is not a folder of the ssh user alone
  on ${host}: sh -c echo in  (exit 75)
  cephflow keeps its locks there, and makes it itself: find out who made it, and remove it`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('guarded: changes are asked about first and run one after the other, reads are not', async () => {
  const asked: string[] = [];
  const shell = guarded(connect(), {
    lock,
    before: async (where) => {
      asked.push(where);
      if (asked.length > 2) throw new Error('the lease is lost');
    },
  });
  const { lock: _none, ...change } = under(
    `echo begin >> ${file('log')}; sleep 0.3; echo end >> ${file('log')}`,
  );
  await Promise.all([
    shell.run(change),
    shell.run(change),
    shell.run({ ...change, reads: true, words: ['true'] }),
  ]);
  expect(read('log')).toBe('begin\nend\nbegin\nend\n');
  await expect(shell.run(change)).rejects.toThrow('the lease is lost');
  expect(asked).toEqual([host, host, host]);
  expect(read('log')).toBe('begin\nend\nbegin\nend\n');
});
