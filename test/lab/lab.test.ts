import { existsSync } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lab, startLab } from './lab.ts';
import { rawPrepareOnLoopDevice } from './raw-prepare.ts';
import { until } from './until.ts';

interface OsdDump {
  readonly osds: readonly { osd: number; uuid: string; up: number; in: number }[];
}
interface InventoryEntry {
  readonly path: string;
  readonly available: boolean;
  readonly rejected_reasons: readonly string[];
  readonly sys_api: { readonly serial: string; readonly size: number };
  readonly device_id: string;
}

/** Longest that a heartbeat needs to be missed (5 s) and reported, on a loaded machine. */
const noticeSeconds = 60;
const cleanSeconds = 120;

let lab: Lab;

beforeAll(async () => {
  lab = await startLab();
  await lab.loadObjects({ count: 200, sizeBytes: 65_536, seed: 'first' });
});

afterAll(async () => {
  await lab.stop();
  expect(existsSync(`/proc/${lab.pid}`)).toBe(false);
  expect(existsSync(lab.dir)).toBe(false);
});

async function upOsds(): Promise<number[]> {
  const { osds } = await lab.cephJson<OsdDump>('osd', 'dump');
  return osds.filter(({ up }) => up === 1).map(({ osd }) => osd);
}

async function uuidOf(osd: number): Promise<string | undefined> {
  const { osds } = await lab.cephJson<OsdDump>('osd', 'dump');
  return osds.find((one) => one.osd === osd)?.uuid;
}

async function waitUp(osd: number, up: boolean): Promise<void> {
  await until(
    `osd.${osd} ${up ? 'up' : 'down'}`,
    noticeSeconds,
    async () => (await upOsds()).includes(osd) === up,
  );
}

async function inventory(node: string): Promise<InventoryEntry[]> {
  const said = await lab.sshTo(node, 'ceph-volume inventory --format json');
  expect(said).toMatchObject({ exitCode: 0 });
  return JSON.parse(said.stdout) as InventoryEntry[];
}

describe('lab: a cluster', () => {
  it('is healthy, with every OSD on the host of its node', async () => {
    const tree = await lab.cephJson<{ nodes: { name: string; type: string; children?: number[] }[] }>(
      'osd',
      'tree',
    );
    const hosts = tree.nodes.filter(({ type }) => type === 'host');
    const found = hosts.map(({ name, children }) => [name, [...(children ?? [])].sort()]).sort();
    expect(found).toEqual([
      ['ceph-osd-01', [0, 1]],
      ['ceph-osd-02', [2, 3]],
      ['ceph-osd-03', [4, 5]],
      ['ceph-osd-04', [6, 7]],
    ]);
    expect((await lab.ceph('health')).stdout).toBe('HEALTH_OK');
    expect((await lab.ceph('osd', 'pool', 'ls')).stdout).toBe('lab');
  });

  it('checks cephx: the read-only user may ask and not change', async () => {
    const asReader = ['--name', 'client.readonly', '--keyring', lab.readOnlyKeyring];
    const asked = await lab.ceph(...asReader, 'osd', 'ok-to-stop', '0');
    expect([asked.exitCode, asked.stdout, asked.stderr]).toEqual([
      0,
      expect.stringContaining('"ok_to_stop":true'),
      '',
    ]);
    expect((await lab.ceph(...asReader, 'osd', 'set', 'noout')).exitCode).toBe(13);
  });

  it('finds an object that was changed behind its back', async () => {
    expect(await lab.verifyObjects()).toEqual({ checked: 200, bad: [] });
    const file = `${lab.dir}/objects.json`;
    const sums = await readFile(file, 'utf8');
    const [[name = '', sum = ''] = []] = Object.entries(JSON.parse(sums) as Record<string, string>);
    await writeFile(file, sums.replace(sum, 'another'));
    expect(await lab.verifyObjects()).toEqual({ checked: 200, bad: [name] });
    await writeFile(file, sums);
  });

  it('records every finished command in the monitor’s log', async () => {
    await lab.ceph('osd', 'set', 'noout');
    await lab.ceph('osd', 'unset', 'noout');
    const flags = (await lab.audit()).filter(({ words }) => words['key'] === 'noout');
    expect(flags.map(({ prefix }) => prefix)).toEqual(['osd set', 'osd unset']);
  });

  it('slows recovery down and speeds it up at run time', async () => {
    await lab.slowRecovery(0.2);
    expect((await lab.ceph('config', 'get', 'osd.0', 'osd_recovery_sleep')).stdout).toBe('0.200000');
    await lab.fastRecovery();
    expect((await lab.ceph('config', 'get', 'osd.0', 'osd_recovery_sleep')).stdout).toBe('0.000000');
  });
});

describe('lab: a node over ssh', () => {
  it('has its hostname, and systemctl with the exit codes of systemd', async () => {
    const codes = async (line: string): Promise<[string, number]> => {
      const { stdout, exitCode } = await lab.sshTo('ceph-osd-02', line);
      return [stdout, exitCode];
    };
    expect(await codes('hostname')).toEqual(['ceph-osd-02', 0]);
    expect(await codes('systemctl is-active ceph-osd@2')).toEqual(['active', 0]);
    expect(await codes('systemctl stop ceph-osd@2')).toEqual(['', 0]);
    expect(await codes('systemctl is-active ceph-osd@2')).toEqual(['inactive', 3]);
    await waitUp(2, false);
    expect(await codes('systemctl start ceph-osd@2')).toEqual(['', 0]);
    await waitUp(2, true);
    expect(await codes('systemctl start ceph-osd@5')).toEqual(['', 1]);
    expect(await codes('systemctl stop nothing.service')).toEqual(['', 5]);
    expect(await codes('systemctl is-enabled ceph-osd@2')).toEqual(['enabled', 0]);
    expect(await codes('systemctl show -p ActiveState --value ceph-osd@2')).toEqual(['active', 0]);
  });

  it('refuses devices that an OSD has', async () => {
    const devices = await inventory('ceph-osd-01');
    expect(devices.map(({ available }) => available)).toEqual([false, false]);
    const said = await lab.sshTo('ceph-osd-01', `ceph-volume lvm create --data ${devices[0]?.path}`);
    expect(said.exitCode).toBe(1);
    expect(said.stderr).toContain('it is already used by an OSD');
  });

  it('joins empty, and gets OSDs by ceph-volume lvm create', async () => {
    const node = await lab.addNode('ceph-osd-05');
    const [first, second] = await inventory('ceph-osd-05');
    expect([first?.available, second?.available, first?.path]).toEqual([true, true, node.devices[0]]);
    expect(new Set([first?.device_id, second?.device_id]).size).toBe(2);
    const said = await lab.sshTo('ceph-osd-05', `ceph-volume lvm create --data ${first?.path}`);
    expect(said).toMatchObject({ exitCode: 0 });
    await waitUp(8, true);
    const list = JSON.parse((await lab.sshTo('ceph-osd-05', 'ceph-volume lvm list --format json')).stdout);
    expect(Object.keys(list)).toEqual(['8']);
    expect(list['8'][0].devices).toEqual([first?.path]);
    expect(list['8'][0].tags['ceph.osd_fsid']).toBe(await uuidOf(8));
    expect((await lab.cephJson<{ host: string }>('osd', 'find', '8')).host).toBe('ceph-osd-05');
    await lab.waitClean(cleanSeconds);
    expect(await lab.verifyObjects()).toEqual({ checked: 200, bad: [] });
  });

  it('leaves a half made OSD where ceph-volume is killed in the middle', async () => {
    const node = await lab.addNode('ceph-osd-06');
    await writeFile(`${node.dir}/etc-ceph/lab-pace`, '60');
    const making = lab.sshTo('ceph-osd-06', `ceph-volume lvm create --data ${node.devices[0]}`);
    const id = await until('osd new', noticeSeconds, async () => {
      const { osds } = await lab.cephJson<OsdDump>('osd', 'dump');
      return osds.find(({ osd, up }) => osd > 8 && up === 0)?.osd;
    });
    await lab.stopNode('ceph-osd-06');
    expect((await making).exitCode).not.toBe(0);
    const { stray } = await lab.cephJson<{ stray: { id: number }[] }>('osd', 'tree');
    expect(stray.map((one) => one.id)).toEqual([id]);
    const uuid = (await uuidOf(id)) ?? '';
    expect((await lab.ceph('osd', 'purge', String(id))).exitCode).toBe(0);
    const purges = (await lab.audit()).filter(({ prefix }) => prefix === 'osd purge-actual');
    expect(purges.map(({ words }) => words['id'])).toEqual([id]);
    expect((await lab.osdHistory()).get(uuid)).toEqual({ uuid, id, boots: 0, downs: 0, removals: 1 });
  });

  it('is refused by ssh when it comes back with another host key', async () => {
    await lab.addNode('ceph-osd-07');
    await lab.addNode('ceph-osd-07', { knownHost: false });
    const said = await lab.sshTo('ceph-osd-07', 'true');
    expect(said.exitCode).toBe(255);
    expect(said.stderr).toContain('REMOTE HOST IDENTIFICATION HAS CHANGED');
    await lab.removeNode('ceph-osd-07');
  });
});

describe('lab: faults', () => {
  it('a killed OSD is seen down and can be started again', async () => {
    const uuid = (await uuidOf(4)) ?? '';
    await lab.kill('osd.4');
    await waitUp(4, false);
    expect((await lab.sshTo('ceph-osd-03', 'systemctl start ceph-osd@4')).exitCode).toBe(0);
    await waitUp(4, true);
    expect((await lab.osdHistory()).get(uuid)).toEqual({ uuid, id: 4, boots: 2, downs: 1, removals: 0 });
  });

  it('a paused OSD is seen down and comes back', async () => {
    await lab.pause('osd.5');
    await waitUp(5, false);
    await lab.resume('osd.5');
    await waitUp(5, true);
  });

  it('a node that is cut off answers neither Ceph nor ssh until it is back', async () => {
    await lab.cutOff('ceph-osd-04');
    await Promise.all([waitUp(6, false), waitUp(7, false)]);
    expect((await lab.sshTo('ceph-osd-04', 'true')).exitCode).toBe(255);
    await lab.rejoin('ceph-osd-04');
    await Promise.all([waitUp(6, true), waitUp(7, true)]);
    expect((await lab.sshTo('ceph-osd-04', 'true')).exitCode).toBe(0);
  });

  it('a killed manager and a killed monitor can be started again', async () => {
    await lab.kill('mgr');
    await lab.startMgr();
    await lab.kill('mon');
    await lab.startMon();
    await lab.waitClean(cleanSeconds);
    expect(await lab.verifyObjects()).toEqual({ checked: 200, bad: [] });
  });
});

describe('lab: the outside', () => {
  it('a mail to anybody arrives', async () => {
    const transport = createTransport((await readFile(`${lab.dir}/smtp-url`, 'utf8')).trim());
    const text = 'Bitte ceph-osd-02 tauschen – größer als drei Zeilen.';
    await transport.sendMail({
      from: 'a@lab.example',
      to: 'dc@lab.example',
      subject: 'Hardware: größer',
      text,
    });
    const [mail] = await until('the mail', noticeSeconds, async () => {
      const mails = await lab.mails();
      return mails.length > 0 && mails;
    });
    expect({ subject: mail?.subject, to: mail?.to, text: mail?.text.trim() }).toEqual({
      subject: 'Hardware: größer',
      to: 'dc@lab.example',
      text,
    });
  });

  it('Alertmanager takes a silence', async () => {
    const silence = {
      matchers: [{ name: 'instance', value: 'ceph-osd-02', isRegex: false, isEqual: true }],
      startsAt: new Date().toISOString(),
      endsAt: new Date(Date.now() + 3_600_000).toISOString(),
      createdBy: 'lab.test',
      comment: 'a test',
    };
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: JSON.stringify(silence) };
    expect((await fetch(`${lab.alertmanagerUrl}/api/v2/silences`, request)).status).toBe(200);
    expect((await lab.silences()).map(({ comment, status }) => [comment, status.state])).toEqual([
      ['a test', 'active'],
    ]);
  });
});

describe('lab: several', () => {
  it('two labs run side by side; racks and a monitor on a node are as asked for', async () => {
    const other = await startLab({ nodes: 3, osdsPerNode: 1, racks: true, monOn: 'ceph-osd-01' });
    try {
      expect(other.fsid).not.toBe(lab.fsid);
      const tree = await other.cephJson<{ nodes: { name: string; type: string }[] }>('osd', 'tree');
      const racks = tree.nodes.filter(({ type }) => type === 'rack').map(({ name }) => name);
      expect(racks.sort()).toEqual(['rack-01', 'rack-02', 'rack-03']);
      const mon = await other.cephJson<{ hostname: string }>('mon', 'metadata', 'lab');
      expect(mon.hostname).toBe('ceph-osd-01');
      expect((await lab.ceph('status')).exitCode).toBe(0);
    } finally {
      await other.stop();
    }
    expect(existsSync(`/proc/${other.pid}`)).toBe(false);
    await expect(access(other.dir)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('lab: the real ceph-volume', () => {
  it('prepares a loop device that then holds an OSD of this cluster', async () => {
    const prepared = await rawPrepareOnLoopDevice(lab);
    expect(prepared.listed).toMatchObject({ ceph_fsid: lab.fsid, osd_id: prepared.osdId, type: 'bluestore' });
    expect(await uuidOf(prepared.osdId)).toBe(prepared.listed.osd_uuid);
    expect((await lab.ceph('osd', 'purge', String(prepared.osdId))).exitCode).toBe(0);
  });
});
