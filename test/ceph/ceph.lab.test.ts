import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCeph } from '../../src/ceph/ceph.ts';
import { createMachine } from '../../src/ceph/machine.ts';
import type { Shell } from '../../src/remote/command.ts';
import { readOnly } from '../../src/remote/command.ts';
import { createLocalShell } from '../../src/remote/local.ts';
import { findLockHolder, guarded } from '../../src/remote/lock.ts';
import { createSshShell } from '../../src/remote/ssh.ts';
import { recordTape } from '../../src/remote/tape.ts';
import type { Ceph, OsdState } from '../../src/task/ceph.ts';
import type { OsdTarget } from '../../src/task/targets.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';
import { refusalOf } from '../remote/refusal.ts';

let lab: Lab;
let ceph: Ceph;
const shells: Shell[] = [];
const words = (keyring: string, name: string) => [
  'ceph',
  '--conf',
  lab.conf,
  '--keyring',
  keyring,
  '--name',
  name,
];
const admin = () => words(lab.keyring, 'client.admin');

beforeAll(async () => {
  lab = await startLab({ nodes: 4, osdsPerNode: 2, spareNodes: 1, mail: false, alertmanager: false });
  await lab.loadObjects({ count: 200, sizeBytes: 65_536, seed: 'ceph' });
  ceph = createCeph({ shell: createLocalShell(), words: admin() });
  await lab.ceph('balancer', 'off'); // it would move PGs between a foretelling and what happens
  await until('the statistics know the objects', 30, async () => (await ceph.status()).objectCount === 200);
});
afterAll(async () => {
  await Promise.all(shells.map((shell) => shell.close()));
  await lab?.stop();
});

function ssh(name: string): Shell {
  const { port, key, knownHosts } = lab.ssh;
  const node = lab.nodes.get(name);
  if (!node) throw new Error(`no node ${name}`);
  const addresses = { [name]: node.address };
  const shell = createSshShell(name, {
    user: 'root',
    port,
    keyFile: key,
    knownHostsFile: knownHosts,
    addresses,
  });
  shells.push(shell);
  return shell;
}

const asTarget = (osd: OsdState): OsdTarget => ({
  id: osd.id,
  name: `osd.${osd.id}`,
  uuid: osd.uuid,
  node: osd.node ?? '',
  weight: osd.weight,
});

async function targets(...ids: number[]): Promise<OsdTarget[]> {
  const { osds } = await ceph.osdMap();
  return osds.filter((osd) => ids.includes(osd.id)).map(asTarget);
}

/** Where the cluster puts every PG. */
async function upSets(): Promise<Record<string, readonly number[]>> {
  return Object.fromEntries((await ceph.placementGroups()).map((pg) => [pg.id, pg.up]));
}

describe('a live cluster', () => {
  test('the questions agree with one another, with a key that may only read and a shell that lets only reads through', async () => {
    const shell = readOnly(createLocalShell());
    const reader = createCeph({ shell, words: words(lab.readOnlyKeyring, 'client.readonly') });
    const map = await reader.osdMap();
    expect(map.fsid).toBe(lab.fsid);
    expect(map.nodes.map((node) => node.osdIds.length)).toEqual([2, 2, 2, 2]);
    const status = await reader.status();
    expect(status).toMatchObject({ isMgrAvailable: true, osdCount: 8, upOsdCount: 8, objectCount: 200 });
    expect((await reader.health()).status).toBe('HEALTH_OK');
    expect(await reader.placementGroups()).toHaveLength(status.pgCount);
    const usage = await reader.usage();
    expect(usage.map((one) => one.id)).toEqual(map.osds.map((osd) => osd.id));
    expect((await reader.services()).map(({ kind, name }) => `${kind}.${name}`)).toEqual([
      'mon.lab',
      'mgr.lab',
    ]);
    expect((await reader.safeToDestroy(map.osds.slice(0, 1).map(asTarget))).hasPgs).toEqual([0]);
    expect((await reader.okToStop(map.osds.slice(0, 2).map(asTarget))).isOk).toBe(true);
    const refused = await reader.okToStop(
      [0, 2, 4].flatMap((at) => map.osds.slice(at, at + 1)).map(asTarget),
    );
    expect(refused.isOk).toBe(false);
    expect((await reader.projectRemoval(map.osds.slice(0, 2).map(asTarget))).method).toBe('osdmaptool');
  });

  test('a key that may only read is refused every change', async () => {
    const keys = words(lab.readOnlyKeyring, 'client.readonly');
    const reader = createCeph({ shell: createLocalShell(), words: keys });
    const [osd] = await targets(0);
    if (!osd) throw new Error('no osd.0');
    const refusals = [
      await refusalOf(() => reader.reweight(osd, 0)),
      await refusalOf(() => reader.purge(osd)),
      await refusalOf(() => reader.removeNode({ name: 'ceph-osd-01' })),
      await refusalOf(() => reader.placeNode('ceph-osd-09', [{ type: 'root', name: 'default' }])),
    ];
    expect(refusals.map((refusal) => refusal.code)).toEqual(Array(4).fill('CEPH_NOT_PERMITTED'));
    expect(refusals.map((refusal) => refusal.command?.stderr)).toEqual(
      Array(4).fill(expect.stringMatching(/^Error EACCES: access denied/)),
    );
  });

  test("Ceph's own check stands: a purge of what holds data is refused, and nothing was done", async () => {
    const [osd] = await targets(0);
    if (!osd) throw new Error('no osd.0');
    const refusal = await refusalOf(() => ceph.purge(osd));
    expect(refusal.code).toBe('CEPH_REFUSED');
    expect(refusal.message).toMatch(/^Ceph refused: OSD\(s\) 0 have \d+ pgs currently mapped to them\.$/);
    expect(await targets(0)).toEqual([osd]);
  });

  test('through an admin node over ssh it answers, and foretells with the tools there', async () => {
    const over = createCeph({ shell: ssh('ceph-osd-02') });
    expect((await over.osdMap()).fsid).toBe(lab.fsid);
    const gone = await targets(0, 1);
    expect(await over.projectRemoval(gone)).toMatchObject({
      ...(await ceph.projectRemoval(gone)),
      peakRatio: expect.closeTo((await ceph.projectRemoval(gone)).peakRatio, 2),
    });
  });

  test('too few hosts are foretold', async () => {
    expect((await ceph.projectRemoval(await targets(0, 1, 2, 3))).infeasiblePools).toEqual([
      { pool: 'lab', needs: '3 hosts', left: '2 hosts' },
    ]);
  });

  test('nodes are placed in CRUSH and removed; one that holds OSDs is not', async () => {
    const location = [
      { type: 'rack', name: 'rack-9' },
      { type: 'root', name: 'default' },
    ];
    await ceph.placeNode('ceph-osd-09', location);
    await ceph.placeNode('ceph-osd-09', location);
    const placed = (await ceph.osdMap()).nodes.find((node) => node.name === 'ceph-osd-09');
    expect(placed).toEqual({ name: 'ceph-osd-09', osdIds: [], location });
    await ceph.removeNode({ name: 'ceph-osd-09' });
    expect((await ceph.osdMap()).nodes.map((node) => node.name)).not.toContain('ceph-osd-09');
    const refusal = await refusalOf(() => ceph.removeNode({ name: 'ceph-osd-01' }));
    expect(refusal.message).toBe('Ceph refused: (39) Directory not empty');
  });
});

describe('a machine over ssh', () => {
  test('inventory, an OSD made once, stopped and started', async () => {
    const machine = createMachine({ shell: ssh('ceph-osd-05'), daemons: 'systemd' });
    expect(await machine.hostname()).toBe('ceph-osd-05');
    const devices = await machine.devices();
    expect(devices.map((device) => device.isAvailable)).toEqual([true, true]);
    const path = devices[0]?.path ?? '';
    const twice = await Promise.allSettled([machine.createOsd(path), machine.createOsd(path)]);
    expect(twice.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
    const [prepared, ...more] = await machine.preparedOsds();
    expect(more).toEqual([]);
    const id = prepared?.id ?? -1;
    const live = async () => (await ceph.osdMap()).osds.find((osd) => osd.id === id);
    expect(await live()).toMatchObject({ uuid: prepared?.uuid, node: 'ceph-osd-05' });
    expect((await machine.devices())[0]).toMatchObject({ path, isAvailable: false });
    expect((await refusalOf(() => machine.createOsd(path))).code).toBe('COMMAND_FAILED');
    expect(await machine.isOsdRunning(id)).toBe(true);
    const lock = { name: 'run/step', turn: 1 };
    const shell = guarded(ssh('ceph-osd-05'), { lock, before: async () => undefined });
    const acting = createMachine({ shell, daemons: 'systemd' });
    await acting.stopOsd(id);
    expect(await machine.isOsdRunning(id)).toBe(false);
    await acting.startOsd(id);
    expect(await machine.isOsdRunning(id)).toBe(true);
    expect(await findLockHolder(ssh('ceph-osd-05'), lock)).toBeUndefined();
    await lab.waitClean(60);
  });
});

describe('what happens is what was foretold', () => {
  test('the up sets after crush reweight 0 of a node, and its purge', async () => {
    const gone = await targets(2, 3);
    const before = await upSets();
    const { shell, tape } = recordTape(createLocalShell());
    const projection = await createCeph({ shell, words: admin() }).projectRemoval(gone);
    const foretold = tape.filter((entry) => entry.words.includes('--test-map-pgs-dump-all')).at(-1);
    const lines = foretold?.result?.stdout.matchAll(/^(\S+) raw .* up \(\[([^\]]*)\]/gm) ?? [];
    const expected = Object.fromEntries([...lines].map(([, pg, up = '']) => [pg, up.split(',').map(Number)]));
    expect(Object.keys(expected)).toHaveLength(32);

    for (const osd of gone) await ceph.reweight(osd, 0);
    let after: Record<string, readonly number[]> = {};
    const arrived = async () => {
      after = await upSets();
      return isDeepStrictEqual(after, expected);
    };
    // statistics lag behind the map; what differs in the end is shown by the comparison
    await until('the statistics show the foretold places', 60, arrived).catch(() =>
      expect(after).toEqual(expected),
    );
    await lab.waitClean(90);
    expect(await upSets()).toEqual(expected);
    const moved = Object.entries(after).flatMap(([pg, up]) => up.filter((id) => !before[pg]?.includes(id)));
    expect(projection.movedShards).toBe(moved.length);

    await until('the statistics know that the OSDs are empty', 30, async () => {
      return (await ceph.safeToDestroy(gone)).safe.length === 2;
    });
    const machine = createMachine({ shell: ssh('ceph-osd-02'), daemons: 'systemd' });
    for (const osd of gone) {
      await machine.stopOsd(osd.id);
      await until(`osd.${osd.id} is down`, 30, async () => {
        return (await ceph.osdMap()).osds.some((one) => one.id === osd.id && !one.isUp);
      });
      await ceph.purge(osd);
    }
    expect(await targets(2, 3)).toEqual([]);
    expect((await refusalOf(() => ceph.purge(gone[0] ?? ({} as never)))).code).toBe('OSD_IDENTITY');
    await ceph.removeNode({ name: 'ceph-osd-02' });
    expect((await lab.verifyObjects()).bad).toEqual([]);
  });
});

describe('daemons that are away', () => {
  test('a manager killed a moment ago is found out within seconds; monitors still answer', async () => {
    await lab.kill('mgr');
    // found by the probe, long before the command's own limit and before the monitors notice
    expect((await refusalOf(() => ceph.usage())).message).toBe(
      'the manager does not answer, though the monitors still count it as active: statistics are stale, and commands that it answers hang',
    );
    expect((await ceph.osdMap()).fsid).toBe(lab.fsid);
    await until(
      'the monitors count the manager as gone',
      60,
      async () => !(await ceph.status()).isMgrAvailable,
    );
    const later = await refusalOf(() => ceph.usage());
    expect(later.message).toBe(
      'the cluster has no active manager: statistics are stale, and commands that it answers hang',
    );
    await lab.startMgr();
    await until('the manager answers', 60, async () => (await ceph.usage()).length > 0);
  });

  test('a monitor that is frozen is named within seconds', async () => {
    await lab.pause('mon');
    const refusal = await refusalOf(() => ceph.health());
    await lab.resume('mon');
    expect(refusal.code).toBe('CEPH_UNREACHABLE');
    expect(refusal.message).toMatch(
      /^the monitors \(\[v2:127\.[0-9.]+:3300,v1:127\.[0-9.]+:6789\]\) do not answer /,
    );
  });

  test('a node that is cut off is unreachable over ssh within seconds', async () => {
    const machine = createMachine({ shell: ssh('ceph-osd-04'), daemons: 'systemd' });
    expect(await machine.hostname()).toBe('ceph-osd-04');
    await lab.cutOff('ceph-osd-04');
    const refusal = await refusalOf(() => machine.hostname());
    await lab.rejoin('ceph-osd-04');
    expect(refusal.code).toBe('SSH_UNREACHABLE');
  });

  test('files that are not there are named', async () => {
    const bad = (more: readonly string[]) =>
      createCeph({ shell: createLocalShell(), words: ['ceph', ...more] }).health();
    const conf = await refusalOf(() => bad(['--conf', '/nowhere/ceph.conf']));
    expect(conf.message).toContain('ceph cannot read its configuration file /nowhere/ceph.conf on ');
    const keyring = await refusalOf(() => bad(['--conf', lab.conf, '--keyring', '/nowhere/keyring']));
    expect(keyring.message).toContain('ceph cannot read a keyring at /nowhere/keyring on ');
  });
});
