import {
  type CephReads,
  type Device,
  devices as deviceList,
  hostname,
  integer,
  type MachineReads,
  type PreparedOsd,
  task,
} from 'cephflow';

export default task({
  name: 'osd.create',
  summary: 'Make an OSD on each device of a node, and wait until all are up',
  risk: 'moves-data',
  params: {
    name: hostname('The node'),
    devices: deviceList('Which devices: all that are free, or a list of paths', { default: 'all' }),
    at_least: integer('How many OSDs the node must have at the end', { min: 1 }),
  },
  poll: '5s',
  stall: '15m',
  limit: '2h',

  async done({ name, devices, at_least }, { ceph, machine }) {
    const { ready, waiting, missing } = await survey(name, devices, { ceph, machine: machine(name) });
    const progress = {
      value: ready.length,
      target: Math.max(at_least, ready.length + missing.length),
      unit: 'OSDs',
    };
    if (missing.length > 0)
      return { waitingFor: `no OSD is on ${missing.map((one) => one.path).join(', ')}`, progress };
    if (waiting.length > 0)
      return {
        waitingFor: `${waiting.map((one) => `osd.${one.id}`).join(', ')} of ${name} are not up`,
        progress,
      };
    if (ready.length < at_least)
      return { waitingFor: `${name} has ${ready.length} OSDs of ${at_least}`, progress };
    return true;
  },

  // fewer devices than before means a disk that was not seen: better found now than when the cluster is short of room
  async blockers({ name, devices, at_least }, { ceph, machine }) {
    const { ready, waiting, missing, unusable } = await survey(name, devices, {
      ceph,
      machine: machine(name),
    });
    const reasons = unusable.map((one) => `${one.path} of ${name} cannot be used: ${one.why}`);
    const usable = ready.length + waiting.length + missing.length;
    if (usable < at_least)
      reasons.push(`${name} offers devices for ${usable} OSDs, and ${at_least} are needed`);
    return reasons;
  },

  // device by device, each only if it holds no OSD: whatever an earlier attempt made is kept
  async run({ name, devices }, { ceph, machine, log }) {
    const node = machine(name);
    const { waiting, missing } = await survey(name, devices, { ceph, machine: node });
    for (const osd of waiting) {
      log(`osd.${osd.id} on ${osd.device} was made earlier and is not up: starting it`);
      await node.startOsd(osd.id);
    }
    for (const device of missing) {
      log(`making an OSD on ${device.path}`);
      await node.createOsd(device.path);
    }
  },
});

interface Survey {
  /** OSDs that are up, on a wanted device. */
  readonly ready: readonly PreparedOsd[];
  /** Prepared on a wanted device, but not up. */
  readonly waiting: readonly PreparedOsd[];
  /** Wanted devices that hold no OSD and are free. */
  readonly missing: readonly Device[];
  readonly unusable: readonly { readonly path: string; readonly why: string }[];
}

/** Compare the wanted devices with what the node and the OSD map say; identity is the OSD's uuid, never its id. */
async function survey(
  name: string,
  wanted: 'all' | readonly string[],
  { ceph, machine }: { ceph: CephReads; machine: MachineReads },
): Promise<Survey> {
  const [map, prepared, devices] = await Promise.all([
    ceph.osdMap(),
    machine.preparedOsds(),
    machine.devices(),
  ]);
  const isWanted = (path: string) => wanted === 'all' || wanted.includes(path);
  const live = prepared.filter(
    (osd) => isWanted(osd.device) && map.osds.some((one) => one.uuid === osd.uuid),
  );
  const isUp = (osd: PreparedOsd) =>
    map.osds.some((one) => one.uuid === osd.uuid && one.isUp && one.node === name);
  const isTaken = (path: string) => live.some((osd) => osd.device === path);
  const free = devices.filter(
    (device) => device.isAvailable && isWanted(device.path) && !isTaken(device.path),
  );
  return {
    ready: live.filter(isUp),
    waiting: live.filter((osd) => !isUp(osd)),
    missing: free,
    unusable:
      wanted === 'all'
        ? []
        : unusable(
            wanted.filter((path) => !isTaken(path)),
            devices,
          ),
  };
}

function unusable(paths: readonly string[], devices: readonly Device[]): Survey['unusable'] {
  return paths.flatMap((path) => {
    const device = devices.find((one) => one.path === path);
    if (!device) return [{ path, why: 'there is no such device' }];
    return device.isAvailable
      ? []
      : [{ path, why: device.rejectedReasons.join(', ') || 'it is not available' }];
  });
}
