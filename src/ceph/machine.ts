import { CephflowError } from '../base/errors.ts';
import { type CommandResult, type Shell, traceOf } from '../remote/command.ts';
import type { Device, Machine, PreparedOsd } from '../task/context.ts';
import { inventoryAnswer, lvmListAnswer, readAnswer } from './answers.ts';

/** Say how a machine is reached, and what manages its daemons. */
export interface MachineOptions {
  readonly shell: Shell;
  readonly daemons: 'systemd';
  readonly signal?: AbortSignal;
}

const limits = {
  /** Names and states: local and instant. */
  askMs: 15_000,
  /** ceph-volume asks every device of the machine; 60 disks take about a minute. */
  inventoryMs: 180_000,
  /** systemd kills a daemon that does not stop after 90 s by default. */
  stopMs: 120_000,
  /** An OSD replays its journal before systemd calls it started. */
  startMs: 300_000,
  /** Formatting an NVMe or writing the first metadata of a 20 TB disk. */
  createMs: 900_000,
};

/** Exit code that flock is told to end with when another holds the lock; sysexits' EX_TEMPFAIL. */
const lockedExit = 75;

/**
 * Talk to one machine of the cluster: its devices (ceph-volume) and its OSD daemons (systemctl).
 * @throws COMMAND_FAILED, CEPH_ANSWER_UNREADABLE, LOCK_HELD (createOsd), PARAM_INVALID (a device that is no absolute
 *   path), and what the shell throws (all from the methods)
 */
export function createMachine({ shell, signal }: MachineOptions): Machine {
  const run = (words: readonly string[], timeoutMs: number, reads: boolean) =>
    shell.run({ words, reads, timeoutMs }, signal);
  const must = async (words: readonly string[], timeoutMs: number, reads: boolean) => {
    const result = await run(words, timeoutMs, reads);
    if (result.exitCode !== 0) throw failed(shell, words, result);
    return result;
  };
  const systemctl = async (verb: readonly string[], id: number, timeoutMs: number) => {
    await must(['systemctl', ...verb, unitOf(id)], timeoutMs, false);
  };
  return {
    async hostname() {
      return (await must(['uname', '-n'], limits.askMs, true)).stdout.trim();
    },
    async devices() {
      const words = ['ceph-volume', 'inventory', '--format', 'json'];
      const result = await must(words, limits.inventoryMs, true);
      return toDevices(readAnswer(inventoryAnswer, result.stdout, traceOf(shell, { words }, result)));
    },
    async preparedOsds() {
      const words = ['ceph-volume', 'lvm', 'list', '--format', 'json'];
      const result = await must(words, limits.inventoryMs, true);
      return toPreparedOsds(readAnswer(lvmListAnswer, result.stdout, traceOf(shell, { words }, result)));
    },
    async isOsdRunning(id) {
      const words = ['systemctl', 'is-active', unitOf(id)];
      return tellsRunning(shell, words, await run(words, limits.askMs, true));
    },
    startOsd: (id) => systemctl(['enable', '--now'], id, limits.startMs),
    stopOsd: (id) => systemctl(['disable', '--now'], id, limits.stopMs),
    createOsd: (device) => createOsd(shell, device, signal),
  };
}

const unitOf = (id: number) => `ceph-osd@${id}.service`;

function failed(shell: Shell, words: readonly string[], result: CommandResult): CephflowError {
  const program = words.find((word) => word === 'ceph-volume') ?? words[0]; // flock only passes its code on
  return new CephflowError('COMMAND_FAILED', `${program} failed on ${shell.host}`, {
    command: traceOf(shell, { words }, result),
  });
}

/** A daemon on its way up or down is a process too. */
const runningStates = ['active', 'activating', 'deactivating', 'reloading', 'refreshing'];
/** is-active ends with 3 for a unit that is not active, and 4 for one that does not exist. */
const isActiveExits = [0, 3, 4];

function tellsRunning(shell: Shell, words: readonly string[], result: CommandResult): boolean {
  const state = result.stdout.trim();
  // without a state in words it is not systemctl's answer, but its failure: no reason to think that nothing runs
  if (!isActiveExits.includes(result.exitCode) || state === '') throw failed(shell, words, result);
  return runningStates.includes(state);
}

function toDevices(answer: ReturnType<typeof inventoryAnswer.parse>): readonly Device[] {
  return answer.map(({ path, available, rejected_reasons, device_id, sys_api }) => {
    const serial = sys_api.serial ?? device_id?.split('_').at(-1); // VENDOR_MODEL_SERIAL
    return {
      path,
      sizeBytes: sys_api.size ?? 0,
      isAvailable: available,
      rejectedReasons: rejected_reasons,
      ...(serial ? { serial } : {}),
      ...(sys_api.rotational === undefined ? {} : { isRotational: String(sys_api.rotational) === '1' }),
    };
  });
}

function toPreparedOsds(answer: ReturnType<typeof lvmListAnswer.parse>): readonly PreparedOsd[] {
  return Object.entries(answer).flatMap(([id, volumes]) =>
    volumes
      .filter((volume) => volume.type === 'block') // its db and wal are listed beside it
      .map((volume) => ({
        id: Number(id),
        uuid: volume.tags['ceph.osd_fsid'],
        device: volume.devices[0] ?? volume.path,
      })),
  );
}

/** Longest name that a file may have on Linux; a longer device path keeps its end, which tells devices apart. */
const fileNameLength = 255;

async function createOsd(shell: Shell, device: string, signal: AbortSignal | undefined): Promise<void> {
  if (!device.startsWith('/')) {
    throw new CephflowError('PARAM_INVALID', `"${device}" is no absolute path of a device`);
  }
  const name = device.slice(1).replaceAll(/[^A-Za-z0-9._-]/g, '-');
  const lock = `/run/cephflow-${name.slice(-(fileNameLength - 'cephflow-.lock'.length))}.lock`;
  // a first try whose connection was lost may still be at work: the lock ends with the process that holds it
  const flock = ['flock', '--nonblock', '--conflict-exit-code', String(lockedExit), lock];
  const words = [...flock, 'ceph-volume', 'lvm', 'create', '--data', device];
  const result = await shell.run({ words, reads: false, timeoutMs: limits.createMs }, signal);
  if (result.exitCode === lockedExit) {
    throw new CephflowError('LOCK_HELD', `an OSD is being made on ${device} of ${shell.host} already`, {
      command: traceOf(shell, { words }, result),
      hint: `it is begun again once that has ended; who holds it: fuser ${lock} there`,
    });
  }
  if (result.exitCode !== 0) throw failed(shell, words, result);
}
