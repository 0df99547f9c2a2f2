import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMarkers } from '../../src/ceph/markers.ts';
import { readOnly } from '../../src/remote/command.ts';
import { createLocalShell } from '../../src/remote/local.ts';
import type { FreezeMarker, InstanceRecord, MarkerActs } from '../../src/task/markers.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { refusalOf } from '../remote/refusal.ts';

let lab: Lab;
let markers: MarkerActs;

const keyWords = (keyring: string, name: string) => [
  ...['ceph', '--conf', lab.conf, '--keyring', keyring],
  ...['--name', name],
];
const markersOf = (keyring: string, name: string) =>
  createMarkers({ shell: createLocalShell(), words: keyWords(keyring, name) });

beforeAll(async () => {
  lab = await startLab({ nodes: 3, osdsPerNode: 1, mail: false, alertmanager: false });
  markers = markersOf(lab.keyring, 'client.admin');
});
afterAll(() => lab?.stop());

const freeze: FreezeMarker = {
  by: 'ada@adm1 (pts/0)',
  host: 'adm1',
  at: '2026-11-23T10:00:05.000Z',
  reason: 'it\'s the "switch"; $HOME, naïve – 😀 and 100 %',
};
const record: InstanceRecord = {
  instance: '0a1b2c3d4e5f',
  host: 'adm1',
  redis: 'embedded',
  stateDir: '/var/lib/cephflow',
  since: '2026-11-23T09:00:00.000Z',
  version: '0.1.0',
};

test('markers: what is written is read back, what is removed is gone, and both may be repeated', async () => {
  expect(await markers.get()).toEqual({});
  await markers.setFreeze(freeze);
  await markers.setInstance(record);
  await markers.setInstance({ ...record, taken: { by: 'ada', reason: 'why', from: 'nobody' } });
  expect(await markers.get()).toEqual({
    freeze: { value: freeze },
    instance: { value: { ...record, taken: { by: 'ada', reason: 'why', from: 'nobody' } } },
  });
  await markers.removeFreeze();
  await markers.removeFreeze();
  expect(Object.keys(await markers.get())).toEqual(['instance']);
  await markers.removeInstance();
  await markers.removeInstance();
  expect(await markers.get()).toEqual({});
});

for (const { name, written, sample } of [
  { name: 'words', written: 'do not touch', sample: 'do not touch' },
  { name: 'JSON of another shape', written: '{"by":"ada"}', sample: '{"by":"ada"}' },
  {
    name: 'no moment',
    written: JSON.stringify({ ...freeze, at: 'soon', reason: 'x' }),
    sample: /^\{"by":"ada@adm1.*…$/,
  },
]) {
  test(`markers: ${name} is a freeze that cannot be read, never none`, async () => {
    expect(await lab.ceph('config-key', 'set', 'cephflow/freeze', written)).toMatchObject({ exitCode: 0 });
    expect(await markers.get()).toEqual({
      freeze: { unreadable: typeof sample === 'string' ? sample : expect.stringMatching(sample) },
    });
    await markers.removeFreeze();
  });
}

test('markers: what would move the cursor of a terminal is not passed on', async () => {
  await markers.setFreeze({ ...freeze, by: '\u001b[2Jada', reason: 'a\nb' });
  expect(await markers.get()).toEqual({ freeze: { value: { ...freeze, by: ' [2Jada', reason: 'a b' } } });
  await markers.removeFreeze();
});

test('markers: nothing at all, and bytes that are no text, are records that cannot be read', async () => {
  await lab.ceph('config-key', 'set', 'cephflow/instance', '');
  expect(await markers.get()).toEqual({ instance: { unreadable: '(nothing)' } });
  const file = join(lab.dir, 'bytes');
  await writeFile(file, Buffer.from([0xff, 0xfe, 0, 0x31]));
  await lab.ceph('config-key', 'set', 'cephflow/instance', '-i', file);
  expect(await markers.get()).toEqual({ instance: { unreadable: '<<< binary blob of length 4 >>>' } });
  await markers.removeInstance();
});

test('markers: a question cannot change them', async () => {
  const reader = createMarkers({
    shell: readOnly(createLocalShell()),
    words: keyWords(lab.keyring, 'client.admin'),
  });
  expect(await reader.get()).toEqual({});
  expect((await refusalOf(() => reader.setFreeze(freeze))).code).toBe('NOT_READ_ONLY');
  expect(await markers.get()).toEqual({});
});

test('markers: a key that lacks the capability is told what to grant, and with that it may, and no more', async () => {
  const refusal = await refusalOf(() => markersOf(lab.readOnlyKeyring, 'client.readonly').get());
  const needed =
    'allow command "config-key dump" with key="cephflow/", allow command "config-key set" with key prefix "cephflow/", allow command "config-key rm" with key prefix "cephflow/"';
  expect(refusal.code).toBe('CEPH_NOT_PERMITTED');
  expect(refusal.hint).toBe(
    `add to the mon caps of client.readonly (see \`ceph auth get client.readonly\`): ${needed}`,
  );
  const created = await lab.ceph('auth', 'get-or-create', 'client.flow', 'mon', `allow r, ${needed}`);
  expect(created).toMatchObject({ exitCode: 0 });
  const keyring = join(lab.dir, 'flow.keyring');
  await writeFile(keyring, `${created.stdout}\n`);
  const flow = markersOf(keyring, 'client.flow');
  await flow.setFreeze(freeze);
  expect(await flow.get()).toEqual({ freeze: { value: freeze } });
  await flow.removeFreeze();
  const words = ['--name', 'client.flow', '--keyring', keyring, 'config-key'];
  expect((await lab.ceph(...words, 'set', 'other/key', 'x')).exitCode).toBe(13);
  expect((await lab.ceph(...words, 'dump')).exitCode).toBe(13);
});
