import { describe, expect, test } from 'vitest';
import { describeError } from '../../src/base/errors.ts';
import { createMachine } from '../../src/ceph/machine.ts';
import { replayTape, type TapeEntry } from '../../src/remote/tape.ts';
import { refusalOf } from '../remote/refusal.ts';

const host = 'ceph-osd-07';
const entry = (
  line: string,
  exitCode: number,
  said: { stdout?: string; stderr?: string; reads?: boolean },
): TapeEntry => ({
  host,
  words: line.split(' '),
  reads: said.reads ?? true,
  result: { stdout: said.stdout ?? '', stderr: said.stderr ?? '', exitCode },
});
const machineOn = (...tape: TapeEntry[]) =>
  createMachine({ shell: replayTape(tape, host), daemons: 'systemd' });
const isActive = 'systemctl is-active ceph-osd@3.service';
const create =
  'flock --nonblock --conflict-exit-code 75 /run/cephflow-dev-sdb.lock ceph-volume lvm create --data /dev/sdb';

describe('machine', () => {
  test('devices: as ceph-volume 16 lists them, which knows no serial but the end of device_id', async () => {
    const device = {
      path: '/dev/sdb',
      available: false,
      rejected_reasons: ['LVM detected', 'locked'],
      device_id: 'ATA_ST4000NM0035_ZC1ABCDE',
      sys_api: { size: 4000787030016.0, rotational: '1', model: 'ST4000NM0035' },
      lvs: [],
    };
    const bare = { path: '/dev/nvme0n1', available: true, rejected_reasons: [], device_id: '', sys_api: {} };
    const stdout = `\n${JSON.stringify([device, bare])}`;
    expect(await machineOn(entry('ceph-volume inventory --format json', 0, { stdout })).devices()).toEqual([
      {
        path: '/dev/sdb',
        sizeBytes: 4000787030016,
        isAvailable: false,
        rejectedReasons: ['LVM detected', 'locked'],
        serial: 'ZC1ABCDE',
        isRotational: true,
      },
      { path: '/dev/nvme0n1', sizeBytes: 0, isAvailable: true, rejectedReasons: [] },
    ]);
  });

  test('preparedOsds: the block volume of each, not its db', async () => {
    const tags = { 'ceph.osd_fsid': 'u-3', 'ceph.osd_id': '3' };
    const list = {
      '3': [
        { type: 'block', devices: ['/dev/sdb'], path: '/dev/vg/block', tags },
        { type: 'db', devices: ['/dev/nvme0n1'], path: '/dev/vg/db', tags },
      ],
    };
    const stdout = JSON.stringify(list);
    const machine = machineOn(entry('ceph-volume lvm list --format json', 0, { stdout }));
    expect(await machine.preparedOsds()).toEqual([{ id: 3, uuid: 'u-3', device: '/dev/sdb' }]);
  });

  test.each([
    ['active', 0, true],
    ['deactivating', 3, true],
    ['inactive', 3, false],
    ['failed', 3, false],
    ['inactive', 4, false],
  ])('isOsdRunning: %s with exit code %i is %s', async (state, exitCode, expected) => {
    expect(await machineOn(entry(isActive, exitCode, { stdout: `${state}\n` })).isOsdRunning(3)).toBe(
      expected,
    );
  });

  test('isOsdRunning: a systemctl that fails is no proof that nothing runs', async () => {
    const stderr = 'Failed to connect to bus: No such file or directory\n';
    const refusal = await refusalOf(() => machineOn(entry(isActive, 1, { stderr })).isOsdRunning(3));
    expect(describeError(refusal)).toBe(
      `COMMAND_FAILED  systemctl failed on ${host}
  on ${host}: ${isActive}  (exit 1)
    Failed to connect to bus: No such file or directory`,
    );
  });

  test('stopOsd and startOsd also decide about the next boot', async () => {
    const machine = machineOn(
      entry('systemctl disable --now ceph-osd@3.service', 0, { reads: false }),
      entry('systemctl enable --now ceph-osd@3.service', 5, { reads: false, stderr: 'Unit not found.' }),
    );
    await machine.stopOsd(3);
    expect(describeError(await refusalOf(() => machine.startOsd(3)))).toBe(
      `COMMAND_FAILED  systemctl failed on ${host}
  on ${host}: systemctl enable --now ceph-osd@3.service  (exit 5)
    Unit not found.`,
    );
  });

  test('createOsd: under a lock for the device; held by another it is refused', async () => {
    await machineOn(entry(create, 0, { reads: false })).createOsd('/dev/sdb');
    const refusal = await refusalOf(() =>
      machineOn(entry(create, 75, { reads: false })).createOsd('/dev/sdb'),
    );
    expect(describeError(refusal)).toBe(
      `LOCK_HELD  an OSD is being made on /dev/sdb of ${host} already
  on ${host}: ${create}  (exit 75)
  it is begun again once that has ended; who holds it: fuser /run/cephflow-dev-sdb.lock there`,
    );
  });

  test('createOsd: a failure carries what ceph-volume said; a path that is none is refused unheard', async () => {
    const stderr = '--> RuntimeError: Cannot use device (/dev/sdb)\n';
    const refusal = await refusalOf(() =>
      machineOn(entry(create, 1, { reads: false, stderr })).createOsd('/dev/sdb'),
    );
    expect(describeError(refusal)).toBe(
      `COMMAND_FAILED  ceph-volume failed on ${host}
  on ${host}: ${create}  (exit 1)
    --> RuntimeError: Cannot use device (/dev/sdb)`,
    );
    expect(describeError(await refusalOf(() => machineOn().createOsd('--all')))).toBe(
      'PARAM_INVALID  "--all" is no absolute path of a device',
    );
  });

  test('a command that is not on the tape is told with its words', async () => {
    const refusal = await refusalOf(() => machineOn(entry(isActive, 0, {})).hostname());
    expect(describeError(refusal)).toBe(
      `INTERNAL  no answer on the tape for the reading command on ${host}: uname -n
  left on the tape: ${isActive}`,
    );
  });
});
