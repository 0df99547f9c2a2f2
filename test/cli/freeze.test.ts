import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { storeFreeze } from '../../src/engine/store-freeze.ts';
import { readInstanceId } from '../../src/engine/store-instance.ts';
import { type PrivateRedis, startRedis } from '../engine/private-redis.ts';
import { type Desk, openDesk } from './built.ts';

let desk: Desk;
let server: PrivateRedis;
beforeAll(async () => {
  desk = openDesk();
  const keyring = desk.write('keyring', '[client.admin]\nkey = AQBSdFVkAAAAABAAhVQZsVbxpJbkpqQQ8kz5cA==\n');
  desk.write('ceph.conf', `[global]\nmon host = v2:127.0.0.1:1\nkeyring = ${keyring}\n`);
  server = await startRedis(['--port', '0']);
});
afterAll(async () => {
  await server?.stop();
  desk?.leave();
});

const freeze = { by: 'ada@adm1', host: 'adm1', at: '2026-11-23T10:00:05.000Z', reason: 'switch reboot' };

/** A config whose cluster c does not answer, with this Redis or none. */
const configWith = (redis: string) =>
  desk.write('config.yaml', `clusters: { c: { ceph: { conf: ceph.conf } } }\n${redis}`);

async function refusal(words: readonly string[]) {
  const { code, stdout, stderr } = await desk.type(words);
  expect(stdout).toBe('');
  return { code, said: stderr.replaceAll(hostname(), 'HERE').split('\n') };
}

describe('cephflow freeze', () => {
  test('needs a reason of one sentence', async () => {
    expect(await refusal(['freeze'])).toEqual({
      code: 64,
      said: ['USAGE  cephflow freeze needs --reason <text>', '  type cephflow freeze --help'],
    });
    expect(await refusal(['freeze', '--reason', ' \n '])).toEqual({
      code: 64,
      said: [
        'USAGE  --reason takes a sentence of at most 300 characters',
        '  nothing was changed; it is shown to everybody whose steps wait',
      ],
    });
  });

  test('of a cluster that is not in the config, or of one and all, is a mistake', async () => {
    const config = configWith('');
    expect(await refusal(['--config', config, '--cluster', 'd', 'freeze', '--reason', 'x'])).toEqual({
      code: 64,
      said: ['CLUSTER_UNKNOWN  the config has no cluster d. Did you mean "c"?', '  it has: c'],
    });
    expect(await refusal(['--config', config, '--cluster', 'c', 'freeze', '--all', '--reason', 'x'])).toEqual(
      { code: 64, said: ['USAGE  --all is about every cluster: leave --cluster out'] },
    );
  });

  test('with neither Redis nor the cluster says that nothing is frozen, and ends with 69', async () => {
    const config = configWith('redis: { url: "redis://127.0.0.1:1" }\n');
    expect(await refusal(['--config', config, 'freeze', '--reason', 'switch reboot'])).toEqual({
      code: 69,
      said: [
        'CEPH_UNREACHABLE  c is not frozen: neither the cluster nor Redis could be told (CEPH_UNREACHABLE: the monitors (v2:127.0.0.1:1) do not answer HERE; REDIS_UNREACHABLE: Redis at redis://127.0.0.1:1 does not answer: connect ECONNREFUSED 127.0.0.1:1)',
        '  on HERE: ceph --conf DESK/ceph.conf --connect-timeout 10 config-key dump cephflow/ -f json  (exit 1)',
        '    timed out',
        '  they may be down, without quorum, or cut off; try there: ceph --conf DESK/ceph.conf status',
        '  what acts can be stopped where it runs: end the workers or the agent (cephflow agent stop)',
      ],
    });
  });
});

describe('cephflow instance', () => {
  test('take needs a reason, and a cluster that answers', async () => {
    expect(await refusal(['instance', 'take'])).toEqual({
      code: 64,
      said: ['USAGE  cephflow instance take needs --reason <text>', '  type cephflow instance take --help'],
    });
    const config = configWith('');
    const { code, said } = await refusal(['--config', config, 'instance', 'take', '--reason', 'x']);
    expect({ code, first: said[0] }).toEqual({
      code: 69,
      first: 'CEPH_UNREACHABLE  the monitors (v2:127.0.0.1:1) do not answer HERE',
    });
  });
});

describe('the markers of a store', () => {
  test('its id is made once, whoever asks, and differs from that of another', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => readInstanceId(server.redis, 'one')));
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f]{12}$/);
    expect(await readInstanceId(server.redis, 'two')).not.toBe(ids[0]);
  });

  test('freezes stand by cluster, as claims look for them', async () => {
    const freezes = storeFreeze(server.redis, 'one');
    await freezes.freeze('lab', freeze);
    await freezes.freeze('*', freeze);
    await server.redis.hset('one:frozen', 'odd', 'by hand');
    expect(await server.redis.hget('one:frozen', 'lab')).toBe(JSON.stringify(freeze));
    expect(await freezes.frozen()).toEqual(
      new Map<string, unknown>([
        ['lab', { value: freeze }],
        ['*', { value: freeze }],
        ['odd', { unreadable: 'by hand' }],
      ]),
    );
    expect([await freezes.unfreeze('lab'), await freezes.unfreeze('lab')]).toEqual([true, false]);
    expect([...(await freezes.frozen()).keys()].sort()).toEqual(['*', 'odd']);
  });
});
