import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Desk, openDesk } from './built.ts';

let desk: Desk;
beforeEach(() => {
  desk = openDesk();
});
afterEach(() => desk.leave());

async function refusal(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await desk.type(words, env);
  expect(stdout).toBe('');
  return { code, said: stderr.split('\n') };
}

describe('cephflow: words that do not exist end with 64', () => {
  test('a mistyped command', async () => {
    expect(await refusal(['relpace', '--node', 'x'])).toEqual({
      code: 64,
      said: [
        "USAGE  unknown command 'relpace'",
        '  Did you mean replace?',
        '  type cephflow --help, or cephflow COMMAND --help',
      ],
    });
  });

  test('a mistyped option, also where one that is needed is missing', async () => {
    expect(await refusal(['replace', '--nod', 'x'])).toEqual({
      code: 64,
      said: ["USAGE  unknown option '--nod'", '  Did you mean --node?', '  type cephflow replace --help'],
    });
  });

  test('options that are missing', async () => {
    expect(await refusal(['skip', 'abc'])).toEqual({
      code: 64,
      said: [
        'USAGE  cephflow skip needs --step <id>, --reason <text>, --confirm <id>',
        '  type cephflow skip --help',
      ],
    });
  });

  test('an output format that there is not', async () => {
    expect(await refusal(['runs', '-o', 'yaml'])).toEqual({
      code: 64,
      said: [
        "USAGE  option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are text, json.",
        '  type cephflow runs --help',
      ],
    });
  });

  test('a word that is missing', async () => {
    expect(await refusal(['show'])).toEqual({
      code: 64,
      said: ['USAGE  cephflow show needs <run>', '  type cephflow show --help'],
    });
  });

  test('a --param without a value, and one given twice', async () => {
    expect(await refusal(['run', 'replace-node', '--param', 'node'])).toEqual({
      code: 64,
      said: ['USAGE  --param takes name=value, not "node"', '  such as --param node=ceph-osd-07'],
    });
    expect(await refusal(['replace', '--node', 'a', '--param', 'node=b'])).toEqual({
      code: 64,
      said: ['USAGE  parameter node is given twice'],
    });
  });

  test('a playbook, a task, a cluster and a run', async () => {
    expect(await refusal(['run', 'replace-nod'])).toMatchObject({
      code: 64,
      said: [
        'PLAYBOOK_UNKNOWN  there is no playbook replace-nod. Did you mean "replace-node"?',
        expect.stringContaining('cephflow playbooks lists them all'),
      ],
    });
    expect(await refusal(['tasks', 'osd.purg'])).toEqual({
      code: 64,
      said: [
        'USAGE  there is no task osd.purg. Did you mean "osd.purge"?',
        '  cephflow tasks lists them all',
      ],
    });
    expect(await refusal(['--cluster', 'cepf', 'replace', '--node', 'x', '--dry-run'])).toEqual({
      code: 64,
      said: ['CLUSTER_UNKNOWN  the config has no cluster cepf. Did you mean "ceph"?', '  it has: ceph'],
    });
    expect(await refusal(['show', 'nope'])).toMatchObject({
      code: 64,
      said: ['RUN_UNKNOWN  there is no run nope', expect.any(String)],
    });
  });

  test('two clusters, and none is named', async () => {
    desk.write('config.yaml', 'clusters: { a: {}, b: {} }\n');
    const config = join(desk.dir, 'config.yaml');
    expect(await refusal(['--config', config, 'plan', 'replace', '--node', 'x'])).toEqual({
      code: 64,
      said: ['USAGE  the config has 2 clusters: which one is meant?', '  add --cluster NAME, one of: a, b'],
    });
  });
});

describe('cephflow: help and lists', () => {
  test('help is data and ends with 0; cephflow alone ends with 64', async () => {
    const help = await desk.type(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const name of ['replace', 'plan', 'lint', 'watch', 'approve', 'doctor', 'worker', 'agent'])
      expect(help.stdout).toContain(`\n  ${name}`);
    expect(await desk.type([])).toMatchObject({ code: 64, stdout: '' });
  });

  test('every shipped playbook has no mistakes, and says nothing with -q', async () => {
    expect(await desk.type(['lint'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '3 playbooks checked, no mistakes',
    });
    expect(await desk.type(['lint', '-q'])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('tasks of the operator’s own folder stand among the shipped ones', async () => {
    mkdirSync(join(desk.dir, 'own'));
    desk.write(
      'own/site.greet.mts',
      `import { task, text } from 'cephflow';
export default task({ name: 'site.greet', summary: 'Say hello', risk: 'changes', params: { who: text('Whom') }, async run() {} });
`,
    );
    const config = desk.write('config.yaml', 'tasks: [own]\n');
    const { code, stdout } = await desk.type(['--config', config, 'tasks', '-o', 'json']);
    expect(code).toBe(0);
    const names = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['site.greet', 'osd.purge', 'person.confirm']));
  });

  test('a command that only reads leaves no Redis behind', async () => {
    expect(await desk.type(['runs', '-o', 'json'])).toEqual({ code: 0, stdout: '[]', stderr: '' });
    const pidFile = join(desk.dir, 'state', 'redis', 'redis.pid');
    const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : undefined;
    expect(pid === undefined || !existsSync(`/proc/${pid}`)).toBe(true);
  });
});

describe('cephflow: what is written wrongly, or not there, ends with 78', () => {
  test('a config with mistakes: all of them, with their places', async () => {
    const config = desk.write('config.yaml', 'cluster: {}\nengine:\n  lease: soon\n  concurrency: 0\n');
    expect(await refusal(['--config', config, 'tasks'])).toEqual({
      code: 78,
      said: [
        'CONFIG_INVALID  the config has 3 mistakes',
        '  DESK/config.yaml:1:1: unknown key cluster. Did you mean "clusters"? Known here: clusters, redis, engine, monitoring, mail, contacts, hooks, tasks, playbooks',
        '  DESK/config.yaml:3:3: engine.lease must be a duration such as 30s, 10m or 12h',
        '  DESK/config.yaml:4:3: engine.concurrency must be a whole number, 1 to 1000',
        '  config.example.yaml shows every key with an example',
      ],
    });
  });

  test('a config that is named and absent', async () => {
    expect(await refusal(['tasks'], { CEPHFLOW_CONFIG: join(desk.dir, 'no.yaml') })).toEqual({
      code: 78,
      said: [
        'CONFIG_MISSING  there is no config file DESK/no.yaml',
        '  it was named by --config or CEPHFLOW_CONFIG; config.example.yaml shows every key',
      ],
    });
  });

  test('a playbook with mistakes: lint prints them all on stdout, run refuses with the same', async () => {
    const file = desk.write(
      'bad.yaml',
      `playbook: bad
summary: Has mistakes
params:
  node: { kind: nod, about: A node }
steps:
  - { task: osd.stopp, with: { osd: 1 } }
  - { task: person.confirm, whit: { question: Sure? } }
`,
    );
    const { code, stdout, stderr } = await desk.type(['lint', file]);
    expect({ code, stderr }).toEqual({ code: 78, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      'DESK/bad.yaml:4:17  unknown kind "nod": expected one of node, osd, osds, hostname, devices, contact, text, number, integer, boolean, duration, choice, json. Did you mean "node"?',
      'DESK/bad.yaml:6:13  unknown task "osd.stopp": expected a name that cephflow tasks lists. Did you mean "osd.stop"?',
      'DESK/bad.yaml:7:29  unknown key "whit" in a step: expected one of task, id, with, after, when, lock, retry, timeout, poll, delay, limit, queue, priority, rate, approvers, payload. Did you mean "with"?',
    ]);
    const run = await refusal(['run', file]);
    expect(run.code).toBe(78);
    for (const line of stdout.split('\n')) expect(run.said.join('\n')).toContain(line);
  });

  test('no redis-server on PATH', async () => {
    expect(await refusal(['runs'], { PATH: join(desk.dir, 'empty') })).toEqual({
      code: 78,
      said: [
        'PROGRAM_MISSING  there is no redis-server or valkey-server on PATH',
        '  type: apt install redis-server (or dnf install valkey); or name a running one as redis.url in the config',
      ],
    });
  });

  test('a worker without a Redis to share', async () => {
    expect(await refusal(['worker'])).toEqual({
      code: 78,
      said: [
        'NOT_CONFIGURED  a worker needs a Redis that it shares: redis.url is not in the config',
        '  without redis.url the agent does its work; it is started by itself',
      ],
    });
  });
});

describe('cephflow: what does not answer ends with 69', () => {
  test('Redis at redis.url', async () => {
    const config = desk.write('config.yaml', 'redis: { url: "redis://127.0.0.1:1" }\n');
    expect(await refusal(['--config', config, 'runs'])).toEqual({
      code: 69,
      said: [
        'REDIS_UNREACHABLE  Redis at redis://127.0.0.1:1 does not answer: connect ECONNREFUSED 127.0.0.1:1',
        '  is it running? check redis.url in the config and try again',
      ],
    });
  });

  test('Ceph', async () => {
    const keyring = desk.write('keyring', '[client.admin]\nkey = AQBSdFVkAAAAABAAhVQZsVbxpJbkpqQQ8kz5cA==\n');
    desk.write('ceph.conf', `[global]\nmon host = v2:127.0.0.1:1\nkeyring = ${keyring}\n`);
    const config = desk.write('config.yaml', 'clusters: { c: { ceph: { conf: ceph.conf } } }\n');
    const { code, said } = await refusal(['--config', config, 'replace', '--node', 'x', '--dry-run']);
    expect({ code, said: said.map((line) => line.replaceAll(hostname(), 'HERE')) }).toEqual({
      code: 69,
      said: [
        'CEPH_UNREACHABLE  the monitors (v2:127.0.0.1:1) do not answer HERE',
        '  on HERE: ceph --conf DESK/ceph.conf --connect-timeout 10 osd dump -f json  (exit 1)',
        '    timed out',
        '  they may be down, without quorum, or cut off; try there: ceph --conf DESK/ceph.conf status',
      ],
    });
  });
});
