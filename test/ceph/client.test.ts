import { describe, expect, test } from 'vitest';
import { describeError } from '../../src/base/errors.ts';
import { createCeph } from '../../src/ceph/ceph.ts';
import type { CommandResult } from '../../src/remote/command.ts';
import { replayTape, type TapeEntry } from '../../src/remote/tape.ts';
import { refusalOf } from '../remote/refusal.ts';

const words = ['ceph', '--conf', '/etc/ceph/a.conf', '--keyring', '/etc/ceph/a.keyring'];
const prefix = `${words.join(' ')} --connect-timeout 10`;
const ended = (exitCode: number, stderr = '', stdout = ''): { result: CommandResult } => ({
  result: { exitCode, stderr, stdout },
});
const killed = { error: { code: 'COMMAND_TIMED_OUT', message: 'killed' } };
const entry = (line: string, outcome: Partial<TapeEntry>, reads = true): TapeEntry => ({
  host: 'admin',
  words: [...words, '--connect-timeout', '10', ...line.split(' ')],
  reads,
  ...outcome,
});
const lookup = (stdout: string): TapeEntry => ({
  host: 'admin',
  words: ['ceph-conf', '--conf', '/etc/ceph/a.conf', '--lookup', 'mon_host'],
  reads: true,
  ...ended(stdout === '' ? 1 : 0, '', stdout),
});
const status = (available: boolean) =>
  ended(
    0,
    '',
    `\n${JSON.stringify({
      fsid: 'f',
      osdmap: { epoch: 1, num_osds: 0, num_up_osds: 0, num_in_osds: 0, num_remapped_pgs: 0 },
      pgmap: { pgs_by_state: [], num_pgs: 0 },
      mgrmap: { available },
    })}`,
  );

function cephOn(tape: readonly TapeEntry[]) {
  const shell = replayTape(tape, 'admin');
  return { ceph: createCeph({ shell, words }), shell };
}

async function refusalText(tape: readonly TapeEntry[], ask: 'health' | 'usage' | 'removeNode') {
  const { ceph, shell } = cephOn(tape);
  const act = () => (ask === 'removeNode' ? ceph.removeNode({ name: 'ceph-osd-07' }) : ceph[ask]());
  const refusal = await refusalOf(act);
  expect(shell.left()).toEqual([]);
  return describeError(refusal);
}

const health = 'health detail -f json';
const usage = 'osd df -f json';

describe('what goes wrong with ceph', () => {
  test('monitors that do not answer are named', async () => {
    const stderr =
      '2026-01-01T00:00:00.000+0000 7f6d4f39d6c0  0 monclient(hunting): authenticate timed out after 10\n[errno 110] RADOS timed out (error connecting to the cluster)\n';
    expect(
      await refusalText([entry(health, ended(1, stderr)), lookup('[v2:192.0.2.1:3300]\n')], 'health'),
    ).toBe(
      `CEPH_UNREACHABLE  the monitors ([v2:192.0.2.1:3300]) do not answer admin
  on admin: ${prefix} ${health}  (exit 1)
    monclient(hunting): authenticate timed out after 10
    [errno 110] RADOS timed out (error connecting to the cluster)
  they may be down, without quorum, or cut off; try there: ${words.join(' ')} status`,
    );
  });

  test('monitors that fall silent in the middle are unreachable too', async () => {
    const tape = [entry(health, killed), entry('status -f json', killed), lookup('')];
    expect(await refusalText(tape, 'health')).toBe(
      `CEPH_UNREACHABLE  the monitors do not answer admin
  on admin: ${prefix} status -f json
  they may be down, without quorum, or cut off; try there: ${words.join(' ')} status`,
    );
  });

  test('one question that hangs while the monitors answer others is a time-out', async () => {
    const tape = [entry(health, killed), entry('status -f json', status(true))];
    expect(await refusalText(tape, 'health')).toBe('COMMAND_TIMED_OUT  killed');
  });

  test('a manager that is away explains why its command hangs', async () => {
    const tape = [entry(usage, killed), entry('status -f json', status(false))];
    expect(await refusalText(tape, 'usage')).toBe(
      `CEPH_MGR_DOWN  the cluster has no active manager: statistics are stale, and commands that it answers hang
  on admin: ${prefix} ${usage}
  look at \`ceph status\`, and start a manager: systemctl start ceph-mgr.target on its host`,
    );
  });

  test('a manager that died a moment ago and still counts as active is found out', async () => {
    const tape = [entry(usage, killed), entry('status -f json', status(true)), entry('pg stat', killed)];
    expect(await refusalText(tape, 'usage')).toBe(
      `CEPH_MGR_DOWN  the manager does not answer, though the monitors still count it as active: statistics are stale, and commands that it answers hang
  on admin: ${prefix} ${usage}
  look at \`ceph status\`, and start a manager: systemctl start ceph-mgr.target on its host`,
    );
  });

  test('a command that is slow beside a manager that answers is a time-out', async () => {
    const alive = entry('pg stat', ended(0, '', '0 pgs: '));
    const tape = [entry(usage, killed), entry('status -f json', status(true)), alive];
    expect(await refusalText(tape, 'usage')).toBe('COMMAND_TIMED_OUT  killed');
  });

  test('a key that lacks a capability', async () => {
    const tape = [entry('osd crush rm ceph-osd-07', ended(13, 'Error EACCES: access denied\n'), false)];
    expect(await refusalText(tape, 'removeNode')).toBe(
      `CEPH_NOT_PERMITTED  the cephx key may not do this: ${prefix} osd crush rm ceph-osd-07
  on admin: ${prefix} osd crush rm ceph-osd-07  (exit 13)
    Error EACCES: access denied
  the key needs the capability for it: see \`ceph auth get NAME\``,
    );
  });

  test('a key that the cluster refuses', async () => {
    const stderr =
      '2026-11-23T19:02:12.081+0000 7fe9164b76c0 -1 monclient(hunting): handle_auth_bad_method server allowed_methods [2] but i only support [2,1]\n\n[errno 13] RADOS permission denied (error connecting to the cluster)\n';
    expect(await refusalText([entry(health, ended(13, stderr))], 'health')).toBe(
      `CEPH_NOT_PERMITTED  the cluster refused the cephx key
  on admin: ${prefix} ${health}  (exit 13)
    monclient(hunting): handle_auth_bad_method server allowed_methods [2] but i only support [2,1]
    [errno 13] RADOS permission denied (error connecting to the cluster)
  compare the keyring with \`ceph auth get NAME\` on a monitor host`,
    );
  });

  test('a keyring that is not there is named', async () => {
    const line =
      '2026-11-23T19:02:11.325+0000 7f6d4f39d6c0 -1 auth: unable to find a keyring on /etc/ceph/a.keyring: (2) No such file or directory\n\n';
    expect(await refusalText([entry(health, ended(13, line + line))], 'health')).toBe(
      `NOT_CONFIGURED  ceph cannot read a keyring at /etc/ceph/a.keyring on admin
  on admin: ${prefix} ${health}  (exit 13)
    auth: unable to find a keyring on /etc/ceph/a.keyring: (2) No such file or directory
  the config names it under clusters.NAME.ceph; it must exist and be readable for the user that cephflow runs as`,
    );
  });

  test('a conf file that is not there is named', async () => {
    const stderr =
      "Error initializing cluster client: ObjectNotFound('RADOS object not found (error calling conf_read_file)')\n";
    expect(await refusalText([entry(health, ended(1, stderr))], 'health')).toBe(
      `NOT_CONFIGURED  ceph cannot read its configuration file /etc/ceph/a.conf on admin
  on admin: ${prefix} ${health}  (exit 1)
    ${stderr.trim()}
  the config names it under clusters.NAME.ceph; it must exist and be readable for the user that cephflow runs as`,
    );
  });

  test('a change that Ceph refuses carries its words', async () => {
    const stderr = 'Error ENOTEMPTY: (39) Directory not empty\n';
    expect(
      await refusalText([entry('osd crush rm ceph-osd-07', ended(39, stderr), false)], 'removeNode'),
    ).toBe(
      `CEPH_REFUSED  Ceph refused: (39) Directory not empty
  on admin: ${prefix} osd crush rm ceph-osd-07  (exit 39)
    Error ENOTEMPTY: (39) Directory not empty`,
    );
  });

  test('an answer that is no JSON, and one of an unknown shape, show where and a sample', async () => {
    expect(await refusalText([entry(health, ended(0, '', 'HEALTH_OK\n'))], 'health')).toBe(
      `CEPH_ANSWER_UNREADABLE  the answer is no JSON; it begins: HEALTH_OK
  on admin: ${prefix} ${health}  (exit 0)
  please report it with the output of \`ceph versions\``,
    );
    const odd = `\n{"status":"HEALTH_PURPLE","checks":{},"pad":"${'x'.repeat(400)}"}`;
    expect(await refusalText([entry(health, ended(0, '', odd))], 'health')).toBe(
      `CEPH_ANSWER_UNREADABLE  the answer has an unknown shape at status: Invalid option: expected one of "HEALTH_OK"|"HEALTH_WARN"|"HEALTH_ERR"; it begins: ${odd.trim().slice(0, 300)}…
  on admin: ${prefix} ${health}  (exit 0)
  please report it with the output of \`ceph versions\``,
    );
  });
});
