import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findKnownKeys, fingerprint, keyType, orderAlgorithms } from '../../src/remote/known-hosts.ts';

const run = promisify(execFile);
let dir = '';
const keys: Record<string, string> = {};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cephflow-known-'));
  for (const type of ['ed25519', 'ecdsa', 'rsa']) {
    await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', join(dir, type)]);
    keys[type] = (await readFile(join(dir, `${type}.pub`), 'utf8')).split(' ').slice(0, 2).join(' ');
  }
});
afterAll(() => rm(dir, { recursive: true }));

const found = (file: string, name: string, port = 22) =>
  findKnownKeys(file, [name], port).map(({ type, line }) => `${line} ${type}`);

describe('known_hosts', () => {
  test('finds keys of several types under a plain name, with their lines', () => {
    const file = `# comment\n\nnode-1 ${keys['ed25519']}\nnode-2 ${keys['rsa']}\nnode-1,192.0.2.7 ${keys['rsa']} root@x\n`;
    expect(found(file, 'node-1')).toEqual(['3 ssh-ed25519', '5 ssh-rsa']);
    expect(found(file, '192.0.2.7')).toEqual(['5 ssh-rsa']);
    expect(found(file, 'node-11')).toEqual([]);
  });

  test('looks under [name]:port where the port is not 22', () => {
    const file = `node-1 ${keys['rsa']}\n[node-1]:2222 ${keys['ed25519']}\n`;
    expect(found(file, 'node-1', 2222)).toEqual(['2 ssh-ed25519']);
    expect(found(file, 'NODE-1')).toEqual(['1 ssh-rsa']);
  });

  test('heeds wildcards and negation', () => {
    const file = `*.example.org,!bad.example.org ${keys['rsa']}\nnode-? ${keys['ecdsa']}\n`;
    expect(found(file, 'good.example.org')).toEqual(['1 ssh-rsa']);
    expect(found(file, 'bad.example.org')).toEqual([]);
    expect(found(file, 'node-7')).toEqual(['2 ecdsa-sha2-nistp256']);
    expect(found(file, 'node.7')).toEqual([]);
  });

  test('finds what ssh-keygen has hashed', async () => {
    const path = join(dir, 'hashed');
    await writeFile(path, `node-1 ${keys['ed25519']}\n[node-1]:2222 ${keys['rsa']}\n`);
    await run('ssh-keygen', ['-q', '-H', '-f', path]);
    const file = await readFile(path, 'utf8');
    expect(file).not.toContain('node-1');
    expect(found(file, 'node-1')).toEqual(['1 ssh-ed25519']);
    expect(found(file, 'node-1', 2222)).toEqual(['2 ssh-rsa']);
    expect(found(file, 'node-2')).toEqual([]);
  });

  test('marks revoked keys and passes certificate authorities over', () => {
    const file = `@revoked node-1 ${keys['rsa']}\n@cert-authority * ${keys['ecdsa']}\n`;
    expect(findKnownKeys(file, ['node-1'], 22).map(({ type, isRevoked }) => [type, isRevoked])).toEqual([
      ['ssh-rsa', true],
    ]);
  });

  test('writes the fingerprint that ssh-keygen writes', async () => {
    const { stdout } = await run('ssh-keygen', ['-lf', join(dir, 'ed25519.pub')]);
    const [, blob = ''] = keys['ed25519']?.split(' ') ?? [];
    const key = Buffer.from(blob, 'base64');
    expect(stdout.split(' ')[1]).toBe(fingerprint(key));
    expect(keyType(key)).toBe('ssh-ed25519');
  });

  test('prefers the algorithms of the keys that are known', () => {
    const known = findKnownKeys(`node-1 ${keys['rsa']}\n`, ['node-1'], 22);
    expect(orderAlgorithms(known, ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'])).toEqual([
      'rsa-sha2-512',
      'rsa-sha2-256',
      'ssh-ed25519',
    ]);
  });
});
