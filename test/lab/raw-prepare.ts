import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { demand, run, toolsDir } from './keeper.ts';
import type { Lab } from './lab-types.ts';

/** What `ceph-volume raw list` says of one device. */
export interface RawOsd {
  readonly ceph_fsid: string;
  readonly device: string;
  readonly osd_id: number;
  readonly osd_uuid: string;
  readonly type: string;
}

/**
 * Let the real `ceph-volume raw prepare` make an OSD of a lab's cluster on a loop device; it is not started.
 * @throws Error with all that was said, also where no loop device can be had.
 */
export async function rawPrepareOnLoopDevice(lab: Lab): Promise<{ osdId: number; listed: RawOsd }> {
  const work = join(lab.dir, 'raw-prepare');
  const conf = join(work, 'etc-ceph');
  const bootstrap = join(work, 'var-lib-ceph', 'bootstrap-osd');
  await Promise.all(
    [conf, bootstrap, join(work, 'var-lib-ceph', 'osd')].map((path) => mkdir(path, { recursive: true })),
  );
  await writeFile(
    join(conf, 'ceph.conf'),
    `[global]\nfsid = ${lab.fsid}\nmon_host = ${await monHost(lab)}\n`,
  );
  const node = [...lab.nodes.values()][0];
  if (node === undefined) throw new Error('lab: no node has a bootstrap keyring');
  await copyFile(
    join(node.dir, 'var-lib-ceph', 'bootstrap-osd', 'ceph.keyring'),
    join(bootstrap, 'ceph.keyring'),
  );
  const script = ['sh', join(toolsDir, 'raw-prepare.sh'), work];
  const words = ['-t', String(lab.pid), '--pid', '--mount', '--', 'unshare', '--mount', '--uts', ...script];
  const stdout = demand(words, await run('nsenter', words));
  const [listed] = Object.values(JSON.parse(stdout) as Record<string, RawOsd>);
  if (listed === undefined) throw new Error(`lab: ceph-volume raw list shows nothing: ${stdout}`);
  return { osdId: listed.osd_id, listed };
}

async function monHost(lab: Lab): Promise<string> {
  const { mons } = await lab.cephJson<{ mons: readonly { public_addr: string }[] }>('mon', 'dump');
  return mons.map(({ public_addr }) => public_addr.replace(/\/.*$/, '').replace(/:\d+$/, '')).join(',');
}
