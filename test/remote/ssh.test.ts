import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeError } from '../../src/base/errors.ts';
import type { Shell } from '../../src/remote/command.ts';
import { createSshShell, type SshOptions } from '../../src/remote/ssh.ts';
import { expectOver } from './over.ts';
import { refusalOf } from './refusal.ts';
import { makeSshd, type Sshd } from './sshd.ts';

const host = 'ceph-osd-07';
const sh = (script: string, timeoutMs = 10_000) => ({ words: ['sh', '-c', script], reads: true, timeoutMs });
let sshd: Sshd;
let options: SshOptions;
let shells: Shell[] = [];
const shellWith = (more: Partial<SshOptions> = {}) => {
  const shell = createSshShell(host, { ...options, ...more });
  shells.push(shell);
  return shell;
};
const knownHosts = (text: string) => {
  const file = join(sshd.dir, 'known_hosts');
  writeFileSync(file, text);
  return file;
};
const named = () => `[${host}]:${sshd.port}`;
const place = () => `${host} (${sshd.address} port ${sshd.port})`;
const tried = () => `ssh -p ${sshd.port} -i ${sshd.key} root@${sshd.address} true`;
/** `ssh-keygen -lf` says SHA256:… */
const fingerprintIn = (text: string) => text.match(/SHA256:[A-Za-z0-9+/]{43}/g) ?? [];

beforeAll(() => {
  sshd = makeSshd();
});
afterAll(() => sshd.remove());
beforeEach(async () => {
  await sshd.start();
  options = {
    user: 'root',
    port: sshd.port,
    keyFile: sshd.key,
    knownHostsFile: knownHosts(`${named()} ${sshd.hostKey('ed25519')}\n`),
    addresses: { [host]: sshd.address },
    connectTimeoutMs: 2000,
    keepaliveMs: 300,
  };
});
afterEach(async () => {
  sshd.signalConnections('SIGKILL');
  await sshd.stop();
  await Promise.all(shells.map((shell) => shell.close()));
  shells = [];
});

describe('ssh shell: a command', () => {
  test('gives stdout, stderr and a nonzero exit code; words and input arrive unchanged', async () => {
    const shell = shellWith();
    const words = ['sh', '-c', 'cat; echo "$1" >&2; exit 16', 'sh', `it's $HOME; "x" \n`];
    expect(await shell.run({ words, reads: true, timeoutMs: 10_000, input: 'a\0b' })).toEqual({
      stdout: 'a\0b',
      stderr: `it's $HOME; "x" \n\n`,
      exitCode: 16,
    });
  });

  test('many at once share one connection', async () => {
    const shell = shellWith();
    const all = Array.from({ length: 20 }, (_, n) => shell.run(sh(`echo ${n} $PPID $SSH_CONNECTION`)));
    const said = (await Promise.all(all)).map(({ stdout }) => stdout.trim().split(' '));
    expect(said.map(([n]) => Number(n))).toEqual(all.map((_, n) => n));
    expect(new Set(said.map((words) => words[3])).size).toBe(1);
  });

  test('is ended there when its time is over, and the connection lives on', async () => {
    const shell = shellWith();
    const script = "trap '' TERM; echo $$ >&2; while :; do sleep 1; done";
    const refusal = await refusalOf(() => shell.run(sh(script, 500)));
    const pid = refusal.command?.stderr?.split('\n')[0] ?? '';
    expect(describeError(refusal)).toBe(
      `COMMAND_TIMED_OUT  sh did not end within 0.5 s on ${host} and was killed
  on ${host}: sh -c ${script}
${refusal.command?.stderr?.replaceAll(/^/gm, '    ')}`,
    );
    await expectOver(pid);
    expect((await shell.run(sh('echo on'))).stdout).toBe('on\n');
  });

  test('is ended there when it is aborted', async () => {
    const shell = shellWith();
    const file = join(sshd.dir, 'pid');
    const stop = new AbortController();
    const running = refusalOf(() => shell.run(sh(`echo $$ > ${file}; exec sleep 60`, 60_000), stop.signal));
    const written = () => readFileSync(file, { encoding: 'utf8', flag: 'a+' }).trim();
    for (let poll = 0; poll < 100 && written() === ''; poll++) await pause(50);
    stop.abort();
    expect(describeError(await running)).toBe(
      `COMMAND_ABORTED  sh was ended on ${host} on request\n  on ${host}: sh -c echo $$ > ${file}; exec sleep 60`,
    );
    await expectOver(written());
  });

  test('that a signal ended is a failure, never an exit code', async () => {
    const refusal = await refusalOf(() => shellWith().run(sh('echo last words >&2; kill -SEGV $$')));
    expect(describeError(refusal)).toBe(
      `COMMAND_FAILED  sh on ${host} was ended by SIGSEGV
  on ${host}: sh -c echo last words >&2; kill -SEGV $$
    last words`,
    );
  });

  test('whose program is not there is told so', async () => {
    const words = ['ceph-volume-of-nowhere', 'lvm'];
    const refusal = await refusalOf(() => shellWith().run({ words, reads: true, timeoutMs: 5000 }));
    expect(describeError(refusal)).toBe(
      `PROGRAM_MISSING  ceph-volume-of-nowhere is not on PATH of ${host}
  on ${host}: ceph-volume-of-nowhere lvm
  install ceph-volume-of-nowhere there, or mend the config`,
    );
  });

  test('whose connection is lost is an error that says so; the next command connects again', async () => {
    const shell = shellWith();
    await shell.run(sh('true'));
    const running = refusalOf(() => shell.run(sh('echo begun >&2; exec sleep 60', 60_000)));
    await pause(0);
    await shell.run(sh('true'));
    sshd.signalConnections('SIGKILL');
    const refusal = await running;
    expect(refusal.code).toBe('SSH_UNREACHABLE');
    expect(refusal.message).toBe(
      `the connection to ${host} was lost while sh ran there; whether it ended is not known`,
    );
    expect((await shell.run(sh('echo again'))).stdout).toBe('again\n');
  });

  test('on a machine that falls silent fails by the keepalive, long before its own limit', async () => {
    const shell = shellWith();
    await shell.run(sh('true'));
    const running = refusalOf(() => shell.run(sh('exec sleep 20', 20_000)));
    await shell.run(sh('true'));
    sshd.signalConnections('SIGSTOP');
    const refusal = await running;
    sshd.signalConnections('SIGCONT');
    expect(refusal.code).toBe('SSH_UNREACHABLE');
  });
});

describe('ssh shell: a connection', () => {
  const refused = async (more: Partial<SshOptions> = {}) =>
    describeError(await refusalOf(() => shellWith(more).run(sh('true'))));

  test('finds the RSA key where known_hosts has only that', async () => {
    const knownHostsFile = knownHosts(`${named()} ${sshd.hostKey('rsa')}\n`);
    expect((await shellWith({ knownHostsFile }).run(sh('echo in'))).stdout).toBe('in\n');
  });

  test('is refused where the host key is not known', async () => {
    const file = knownHosts(`somebody-else ${sshd.hostKey('ed25519')}\n`);
    const text = await refused();
    expect(text).toBe(
      `SSH_HOST_KEY  the host key of ${place()} is not known: it offered ssh-ed25519 ${fingerprintIn(text)[0]}
  compare it with \`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\` on its console, then: ssh-keyscan -p ${sshd.port} ${sshd.address} >> ${file}`,
    );
  });

  test('is refused where known_hosts does not exist', async () => {
    const text = await refused({ knownHostsFile: join(sshd.dir, 'no-such-file') });
    expect(text).toContain(`the host key of ${place()} is not known`);
    expect(text).toContain(`>> ${join(sshd.dir, 'no-such-file')}`);
  });

  test('is refused where the host key has changed', async () => {
    const stranger = readFileSync(`${sshd.strangerKey}.pub`, 'utf8');
    const file = knownHosts(`# old\n${named()} ${stranger}`);
    const text = await refused();
    const [offered, was] = fingerprintIn(text);
    expect(offered).not.toBe(was);
    expect(text).toBe(
      `SSH_HOST_KEY  the host key of ${place()} has changed: it offered ssh-ed25519 ${offered}, ${file} has ssh-ed25519 ${was} (line 2)
  if it was replaced or installed anew: ssh-keygen -f ${file} -R '${named()}' && ssh-keyscan -p ${sshd.port} ${sshd.address} >> ${file}; if not, somebody may stand in between`,
    );
  });

  test('is refused where the host key is revoked', async () => {
    const file = knownHosts(`${named()} ${sshd.hostKey('ed25519')}\n@revoked * ${sshd.hostKey('ed25519')}\n`);
    knownHosts(`${named()} ${sshd.hostKey('ed25519')}\n@revoked ${named()} ${sshd.hostKey('ed25519')}\n`);
    const text = await refused();
    expect(text).toBe(
      `SSH_HOST_KEY  the host key of ${place()} is revoked: it offered ssh-ed25519 ${fingerprintIn(text)[0]}
  line 2 of ${file} revokes it; nothing was sent to that machine`,
    );
  });

  test('says when the machine refuses the key', async () => {
    expect(await refused({ keyFile: sshd.strangerKey })).toBe(
      `SSH_REFUSED  ${place()} refused the ssh key for user root
  the key is ${sshd.strangerKey}; its public half must be in ~root/.ssh/authorized_keys there`,
    );
  });

  test('says when nobody listens', async () => {
    await sshd.stop();
    expect(await refused()).toBe(
      `SSH_UNREACHABLE  ${place()} cannot be reached over ssh: connect ECONNREFUSED ${sshd.address}:${sshd.port}
  try: ${tried()}`,
    );
  });

  test('says when the machine takes the connection and stays silent', async () => {
    const silent = (await import('node:net')).createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, sshd.address, resolve));
    const { port } = silent.address() as { port: number };
    expect(await refused({ port, connectTimeoutMs: 400 })).toBe(
      `SSH_UNREACHABLE  ${host} (${sshd.address} port ${port}) cannot be reached over ssh: no answer within 0.4 s
  try: ssh -p ${port} -i ${sshd.key} root@${sshd.address} true`,
    );
    silent.close();
  });

  test('names a key file that is missing or no key', async () => {
    const hint =
      'the config names it as clusters.NAME.ssh.key: a private key in OpenSSH or PEM form, without a passphrase';
    const missing = join(sshd.dir, 'no-such-key');
    expect(await refused({ keyFile: missing })).toBe(
      `NOT_CONFIGURED  the ssh key ${missing} does not exist\n  ${hint}`,
    );
    const text = join(sshd.dir, 'sshd_config');
    expect(await refused({ keyFile: text })).toBe(
      `NOT_CONFIGURED  the ssh key ${text} is no usable private key (Unsupported key format)\n  ${hint}`,
    );
  });
});
