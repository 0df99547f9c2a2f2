import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { until } from '../lab/until.ts';
import { atTheLab } from './at-the-lab.ts';

const at = atTheLab({ monOn: 'ceph-osd-01', objects: { count: 200, sizeBytes: 262_144 } });

/** Make what differs from run to run readable: the lab's folder, its addresses and this machine's name. */
function steady(text: string): string {
  return text
    .replaceAll(at.lab.dir, 'LAB')
    .replaceAll(/127\.\d+\.\d+\.\d+/g, 'ADDRESS')
    .replaceAll(`on ${hostname()}:`, 'on HERE:')
    .replaceAll(`answer ${hostname()}`, 'answer HERE')
    .replaceAll(/ssh-ed25519 SHA256:[A-Za-z0-9+/=]+/g, 'KEY')
    .replaceAll(/line \d+/g, 'line N')
    .replaceAll(/port \d+|-p \d+|:\d{4,5}\b/g, (port) => port.replace(/\d+/, 'PORT'));
}

/** Say what a command answered: its exit code and what it put on stderr. */
async function refused(...words: string[]) {
  const { code, stderr } = await at.ada.cephflow(...words);
  return { code, said: steady(stderr).trimEnd() };
}

/** The reasons under `Blockers:` in a plan that is shown and refused. */
async function blockers(...words: string[]) {
  const { code, stdout } = await at.ada.cephflow('replace', '--dry-run', ...words);
  return {
    code,
    said: stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line.startsWith('  - ')),
  };
}

const dryRun = ['replace', '--node', 'ceph-osd-02', '--dry-run'];
const ceph = 'ceph --conf LAB/ceph.conf --keyring LAB/admin.keyring';

describe('refused before anything is changed', () => {
  it('a node that carries a monitor and a manager: both named, exit 4', async () => {
    expect(await blockers('--node', 'ceph-osd-01')).toEqual({
      code: 4,
      said: [
        '  - ceph-osd-01 also carries mon.lab: move it to another node first',
        '  - ceph-osd-01 also carries mgr.lab: move it to another node first',
      ],
    });
  });

  it('fewer failure domains left than a pool needs, exit 4; nothing is started', async () => {
    await at.lab.ceph('osd', 'pool', 'set', 'lab', 'size', '4');
    try {
      expect(await blockers('--node', 'ceph-osd-02')).toEqual({
        code: 4,
        said: ['  - pool lab needs 4 hosts, and only 3 hosts would be left'],
      });
      expect(await refused('replace', '--node', 'ceph-osd-02', '--confirm', 'ceph-osd-02', '-q')).toEqual({
        code: 4,
        said: [
          'PLAN_REFUSED  replace-node ceph-osd-02 is refused:',
          '  - pool lab needs 4 hosts, and only 3 hosts would be left',
          '  nothing was changed',
        ].join('\n'),
      });
      expect(await at.ada.json('runs')).toEqual([]);
    } finally {
      await at.lab.ceph('osd', 'pool', 'set', 'lab', 'size', '3');
      await at.lab.waitClean(60);
    }
  });

  it('an OSD that would be filled past backfillfull, exit 4', async () => {
    await at.lab.ceph('osd', 'set-backfillfull-ratio', '0.04');
    const { code, said } = await blockers('--node', 'ceph-osd-02');
    await at.lab.ceph('osd', 'set-backfillfull-ratio', '0.9');
    expect(code).toBe(4);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      /^ {2}- osd\.\d would be filled to \d\.\d %, and the limit is 4\.0 % \(backfillfull\), less a margin of 3\.0 %; [\d.]+ MiB have to move$/,
    );
  });
});

describe('mistakes of the person who types, exit 64', () => {
  it('a mistyped node', async () => {
    expect(await refused('replace', '--node', 'ceph-osd-20', '--dry-run')).toEqual({
      code: 64,
      said: [
        'NODE_UNKNOWN  parameter node: no host "ceph-osd-20" is in the CRUSH map. Did you mean "ceph-osd-01"? It has ceph-osd-01, ceph-osd-02, ceph-osd-03, ceph-osd-04.',
        '  what it takes: cephflow playbooks replace-node',
      ].join('\n'),
    });
  });

  it('an unknown parameter', async () => {
    expect(await refused('run', 'replace-node', '--param', 'nod=ceph-osd-02')).toEqual({
      code: 64,
      said: [
        'PARAM_INVALID  replace-node has no parameter "nod": it takes node, new_node, devices, technicians, downtime. Did you mean "node"?',
        'parameter node: it has no value: expected a value (node: CRUSH name of the node to replace)',
        '  what it takes: cephflow playbooks replace-node',
      ].join('\n'),
    });
  });

  it('nobody there to confirm', async () => {
    const { code, said } = await refused('replace', '--node', 'ceph-osd-02');
    expect(code).toBe(64);
    expect(said.split('\n').slice(-2)).toEqual([
      'USAGE  this plan stops services or destroys data, and nobody is there to confirm it',
      '  nothing was changed; add --confirm ceph-osd-02, or --dry-run to see the plan',
    ]);
    expect(await at.ada.json('runs')).toEqual([]);
  });
});

describe('the question before a run', () => {
  const prompt = /Type ceph-osd-02 to go on/;
  const replace = ['replace', '--node', 'ceph-osd-02'];

  it('another name than the node’s is a no, exit 3; nothing is started', async () => {
    const terminal = at.ada.startAtTerminal(...replace);
    await terminal.says(prompt, 60);
    terminal.type('yes');
    expect((await terminal.ended).code).toBe(3);
    expect(await at.ada.json('runs')).toEqual([]);
  });

  it('a cluster that changed while the plan was read is looked at anew, exit 4', async () => {
    const terminal = at.ada.startAtTerminal(...replace);
    await terminal.says(prompt, 60);
    await at.lab.ceph('osd', 'crush', 'add-bucket', 'rack-9', 'rack');
    await at.lab.ceph('osd', 'crush', 'move', 'rack-9', 'root=default');
    await at.lab.ceph('osd', 'crush', 'move', 'ceph-osd-04', 'rack=rack-9');
    terminal.type('ceph-osd-02');
    const { code, stdout } = await terminal.ended;
    await at.lab.ceph('osd', 'crush', 'move', 'ceph-osd-04', 'root=default');
    await at.lab.ceph('osd', 'crush', 'rm', 'rack-9');
    expect(code).toBe(4);
    expect(stdout.replaceAll('\r', '').split('PLAN_REFUSED')[1]?.trimEnd()).toBe(
      [
        '  the cluster has changed since the plan of replace-node was shown:',
        '  - hosts, their places or their OSDs have changed in the CRUSH map',
        '  nothing was changed; look at the plan anew',
      ].join('\n'),
    );
    expect(await at.ada.json('runs')).toEqual([]);
    await at.lab.waitClean(60);
  });
});

describe('what does not answer, exit 69, or does not let us in, exit 77', () => {
  it('a manager that was just killed: found out long before the monitors notice', async () => {
    await at.lab.kill('mgr');
    const { code, said } = await refused(...dryRun);
    await at.lab.startMgr();
    expect(code).toBe(69);
    expect(said.split('\n').filter((line) => !line.startsWith('  on HERE'))).toEqual([
      'CEPH_MGR_DOWN  the manager does not answer, though the monitors still count it as active: statistics are stale, and commands that it answers hang',
      '  look at `ceph status`, and start a manager: systemctl start ceph-mgr.target on its host',
    ]);
    await until(
      'the manager counts again',
      60,
      async () => (await blockers('--node', 'ceph-osd-02')).code === 0,
    );
  });

  it('monitors that do not answer', async () => {
    await at.lab.pause('mon');
    const answer = await refused(...dryRun);
    await at.lab.resume('mon');
    expect(answer).toEqual({
      code: 69,
      said: [
        'CEPH_UNREACHABLE  the monitors ([v2:ADDRESS:PORT,v1:ADDRESS:PORT]) do not answer HERE',
        `  on HERE: ${ceph} --connect-timeout 10 osd dump -f json  (exit 1)`,
        '    timed out',
        `  they may be down, without quorum, or cut off; try there: ${ceph} status`,
      ].join('\n'),
    });
  });

  it('a cephx key that the cluster does not know', async () => {
    const config = await withConfig((text) => text.replace(at.lab.keyring, at.lab.readOnlyKeyring));
    expect(await refused('--config', config, ...dryRun)).toEqual({
      code: 77,
      said: [
        'CEPH_NOT_PERMITTED  the cluster refused the cephx key',
        '  on HERE: ceph --conf LAB/ceph.conf --keyring LAB/readonly.keyring --connect-timeout 10 osd dump -f json  (exit 13)',
        '    monclient(hunting): handle_auth_bad_method server allowed_methods [2] but i only support [2,1]',
        '    [errno 13] RADOS permission denied (error connecting to the cluster)',
        '  compare the keyring with `ceph auth get NAME` on a monitor host',
      ].join('\n'),
    });
  });

  it('a node that refuses the ssh key', async () => {
    const other = join(at.lab.dir, 'other_key');
    await execa(keygen, ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    const config = await withConfig((text) => text.replace(at.lab.ssh.key, other));
    expect(await refused('--config', config, ...dryRun)).toEqual({
      code: 77,
      said: [
        'SSH_REFUSED  ceph-osd-02 (ADDRESS port PORT) refused the ssh key for user root',
        '  the key is LAB/other_key; its public half must be in ~root/.ssh/authorized_keys there',
      ].join('\n'),
    });
  });

  it('a node whose host key has changed', async () => {
    const known = await readFile(at.lab.ssh.knownHosts, 'utf8');
    const keys = known.trim().split('\n');
    // the key of the third node in the place of the second's
    const changed = join(at.lab.dir, 'changed_hosts');
    const keyOf = (line: string) => line.split(' ').slice(1).join(' ');
    const third = keys.find((line) => line.includes('ceph-osd-03')) ?? '';
    const lines = keys.map((line) =>
      line.includes('ceph-osd-02') ? `${line.split(' ')[0]} ${keyOf(third)}` : line,
    );
    await writeFile(changed, `${lines.join('\n')}\n`);
    const config = await withConfig((text) => text.replace(at.lab.ssh.knownHosts, changed));
    expect(await refused('--config', config, ...dryRun)).toEqual({
      code: 77,
      said: [
        'SSH_HOST_KEY  the host key of ceph-osd-02 (ADDRESS port PORT) has changed: it offered KEY, LAB/changed_hosts has KEY (line N)',
        "  if it was replaced or installed anew: ssh-keygen -f LAB/changed_hosts -R '[ceph-osd-02]:PORT' && ssh-keyscan -p PORT ADDRESS >> LAB/changed_hosts; if not, somebody may stand in between",
      ].join('\n'),
    });
  });

  it('a node whose sshd does not answer while its OSDs are up', async () => {
    const config = await withConfig((text) => text.replace(/^( +)port: \d+/m, '$1port: 1'));
    expect(await refused('--config', config, ...dryRun)).toEqual({
      code: 69,
      said: [
        'SSH_UNREACHABLE  ceph-osd-02 (ADDRESS port PORT) cannot be reached over ssh: connect ECONNREFUSED ADDRESS:1',
        '  try: ssh -p PORT -i LAB/ssh/id root@ADDRESS true',
      ].join('\n'),
    });
  });

  it('a node that has fallen silent with its OSDs down can still be planned for, and the plan says so', async () => {
    await at.lab.cutOff('ceph-osd-02');
    await until('its OSDs are down', 60, async () => {
      const { osds } = await at.lab.cephJson<{ osds: { osd: number; up: number }[] }>('osd', 'dump');
      return osds.filter(({ up }) => up === 0).length === 2;
    });
    const { code, stdout } = await at.ada.cephflow(...dryRun);
    await at.lab.rejoin('ceph-osd-02');
    expect({ code, said: stdout.split('\n').filter((line) => line.startsWith('osd.stop')) }).toEqual({
      code: 0,
      said: [
        'osd.stop@osd.2: osd.2 is down and ceph-osd-02 does not answer: the step will wait until a person skips it',
        'osd.stop@osd.3: osd.3 is down and ceph-osd-02 does not answer: the step will wait until a person skips it',
      ],
    });
    await at.lab.waitClean(60);
  });

  it('a key that may only read is enough to look', async () => {
    const name = 'name: client.readonly';
    const config = await withConfig((text) =>
      text.replace(at.lab.keyring, `${at.lab.readOnlyKeyring}\n      ${name}`),
    );
    expect((await at.ada.cephflow('--config', config, ...dryRun)).code).toBe(0);
  });
});

it('a cluster that is reached through an admin node over ssh gives the same plan', async () => {
  const config = await withConfig((text) => text.replace('via: local', 'via: ssh\n      host: ceph-osd-03'));
  const { code, stdout } = await at.ada.cephflow('--config', config, ...dryRun);
  expect(code).toBe(0);
  expect(stdout).toContain('Plan: 18 steps, 2 moves-data, 2 stops-service, 2 destroys-data. Blockers: none.');
});

describe('configuration, exit 78', () => {
  it('mistakes are listed all at once, with their place', async () => {
    const config = await withConfig((text) => text.replace('daemons:', 'deamons:').replace('port:', 'prot:'));
    const { code, said } = await refused('--config', config, 'runs');
    expect(code).toBe(78);
    expect(said).toMatch(/^CONFIG_INVALID {2}/);
    expect(said).toContain('Did you mean "daemons"?');
    expect(said).toContain('Did you mean "port"?');
  });
});

let configs = 0;
/** Of openssh-client, like ssh itself. */
const keygen = 'ssh-keygen';

/** Write the lab's config with a change, beside it. */
async function withConfig(change: (text: string) => string): Promise<string> {
  configs += 1;
  const file = join(at.lab.dir, `other-${configs}.yaml`);
  await copyFile(at.lab.configFile, file);
  await writeFile(file, change(await readFile(at.lab.configFile, 'utf8')));
  return file;
}
