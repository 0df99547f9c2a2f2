import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { CephflowError, describeError } from '../../src/base/errors.ts';
import { loadConfig } from '../../src/cli/config.ts';
import { configKeys } from '../../src/cli/config-schema.ts';
import { describeRedis, redisPlaceOf } from '../../src/cli/redis-place.ts';
import { runStateNames } from '../../src/run/states.ts';

const example = new URL('../../config.example.yaml', import.meta.url);
const day = 86_400_000;
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cephflow-config-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (name: string, text: string, mode = 0o600): string => {
  const file = join(dir, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
};
const load = (named?: string) => loadConfig({ named, system: join(dir, 'etc'), user: join(dir, 'user') });

function refusal(text: string): string {
  const file = write('bad.yaml', text);
  try {
    load(file);
  } catch (error) {
    if (error instanceof CephflowError) return describeError(error).replaceAll(dir, '');
    throw error;
  }
  return 'it was accepted';
}

describe('config', () => {
  test('config.example.yaml is valid and gives what it says', () => {
    write('config.example.mail-url', 'smtp://127.0.0.1:25\n');
    const file = write('config.yaml', readFileSync(example, 'utf8'));
    const config = load(file);
    expect(config.clusters['ceph']?.ceph).toEqual({
      via: 'ssh',
      host: 'ceph-admin-01',
      conf: '/etc/ceph/ceph.conf',
      keyring: '/etc/ceph/ceph.client.admin.keyring',
      name: 'client.admin',
      command: ['ceph'],
    });
    expect(config.engine).toEqual({
      lease: 30_000,
      poll: 10_000,
      concurrency: 20,
      queues: ['default', 'fast'],
      retention: { succeeded: 7 * day, other: 30 * day },
    });
    expect(config.tasks).toEqual([join(dir, 'tasks')]);
    expect(config.files).toEqual([file]);
  });

  test('config.example.yaml has every key of the schema, and no other', () => {
    const names = new Set(
      configKeys()
        .map((key) => key.path)
        .filter((path) => path.at(-1) === 'NAME')
        .map((path) => path.slice(0, -1).join('.')),
    );
    const keysOf = (value: unknown, path: readonly string[]): string[] => {
      if (typeof value !== 'object' || value === null) return [];
      return Object.entries(value).flatMap(([key, inner]) => {
        const known = Array.isArray(value) ? '[]' : key;
        const at = [...path, names.has(path.join('.')) ? 'NAME' : known];
        return [at.join('.'), ...keysOf(inner, at)];
      });
    };
    // what stands instead of something else is shown as a comment
    const whole = readFileSync(example, 'utf8').replace(/^( +)# (?=[a-z-]+: )/gm, '$1');
    const shown = new Set(keysOf(parse(whole), []));
    const known = new Set(configKeys().map((key) => key.path.join('.')));
    expect([...shown].filter((key) => !known.has(key))).toEqual([]);
    expect([...known].filter((key) => !shown.has(key)).sort()).toEqual([]);
  });

  test('without any file there is one cluster, reached by the local ceph', () => {
    expect(load().clusters).toEqual({
      ceph: {
        ceph: { via: 'local', conf: '/etc/ceph/ceph.conf' },
        daemons: 'systemd',
        ssh: { user: 'root', port: 22, hosts: {} },
      },
    });
  });

  test('later files win key by key, and paths are relative to the file that says them', () => {
    mkdirSync(join(dir, 'etc', 'config.d'), { recursive: true });
    mkdirSync(join(dir, 'user'));
    write(
      'etc/config.yaml',
      'clusters: { a: { ceph: { conf: a.conf } } }\nengine: { poll: 5s, lease: 20s }\n',
    );
    write('etc/config.d/10.yaml', 'engine: { poll: 6s }\ntasks: [mine]\n');
    write('user/config.yaml', 'clusters: { a: { ceph: { keyring: a.keyring } } }\nengine: { poll: 7s }\n');
    const config = load();
    expect(config.engine).toEqual({
      poll: 7000,
      lease: 20_000,
      retention: { succeeded: 7 * day, other: 30 * day },
    });
    expect(config.clusters['a']?.ceph).toEqual({
      via: 'local',
      conf: join(dir, 'etc/a.conf'),
      keyring: join(dir, 'user/a.keyring'),
    });
    expect(config.tasks).toEqual([join(dir, 'etc/config.d/mine')]);
    expect(config.files).toHaveLength(3);
  });

  test('all mistakes are listed at once, with place and nearest key', () => {
    const text = [
      'clusters:',
      '  ceph:',
      '    ceph: { via: telnet, keyrings: /etc/ceph/keyring }',
      '    ssh: { port: 99999 }',
      '  other:',
      '    ceph: { via: ssh }',
      'engine: { lease: 30 }',
      'mail: { from: a@example.org }',
      'contact: { dc_team: {} }',
      'contacts: { dc_team: {} }',
      '',
    ];
    expect(refusal(text.join('\n'))).toBe(`CONFIG_INVALID  the config has 8 mistakes
  /bad.yaml:3:13: clusters.ceph.ceph.via must be local, ssh or cephadm
  /bad.yaml:3:26: unknown key clusters.ceph.ceph.keyrings. Did you mean "keyring"? Known here: via, host, conf, keyring, name, command
  /bad.yaml:4:12: clusters.ceph.ssh.port must be a port, 1 to 65535
  /bad.yaml:6:5: clusters.other.ceph needs host: the admin node on which ceph is called (via: ssh)
  /bad.yaml:7:11: engine.lease must be a duration such as 30s, 10m or 12h
  /bad.yaml:8:1: mail.url-file is missing: it must be a text
  /bad.yaml:9:1: unknown key contact. Did you mean "contacts"? Known here: clusters, redis, engine, monitoring, mail, contacts, hooks, tasks, playbooks
  /bad.yaml:10:13: contacts.dc_team needs mail or webhook: nobody could be reached
  config.example.yaml shows every key with an example`);
  });

  test('YAML that cannot be read is said with its place', () => {
    expect(refusal('clusters:\n  ceph: {\n')).toBe(`CONFIG_INVALID  the config has a mistake
  /bad.yaml:3:1: Flow map in block collection must be sufficiently indented and end with a }
  config.example.yaml shows every key with an example`);
  });

  test('a file with a mail password that everybody may read is refused', () => {
    const secret = write('mail-url', 'smtp://u:p@127.0.0.1:25\n', 0o644);
    const text = 'mail: { url-file: mail-url, from: a@example.org }\n';
    expect(refusal(text)).toBe(`CONFIG_INVALID  the config has a mistake
  /bad.yaml:1:9: mail.url-file names /mail-url, which everybody may read; it may hold a password: type chmod 600 /mail-url
  config.example.yaml shows every key with an example`);
    chmodSync(secret, 0o600);
    expect(refusal(text)).toBe('it was accepted');
  });

  test('a contact that is reached by mail needs a mail server', () => {
    expect(
      refusal('contacts:\n  dc_team: { mail: dc@example.org }\n'),
    ).toBe(`CONFIG_INVALID  the config has a mistake
  /bad.yaml:2:14: contacts.dc_team has a mail address, and there is no mail server: add mail: { url-file, from }
  config.example.yaml shows every key with an example`);
  });

  test('hooks have a limit of ten seconds, and one receiver each', () => {
    const file = write('hooks.yaml', 'hooks: [{ on: run, states: [failed], command: [tell, -q] }]\n');
    expect(load(file).hooks).toEqual([
      { on: 'run', states: ['failed'], command: ['tell', '-q'], timeout: 10_000 },
    ]);
    const text = [
      'hooks:',
      '  - { on: run, states: [failed, skipped], command: [a] }',
      '  - { on: step, command: [a], webhook: "https://a.example" }',
      '  - { on: all, command: [] }',
      '',
    ];
    const runs = runStateNames().join(', ');
    expect(refusal(text.join('\n'))).toBe(`CONFIG_INVALID  the config has 4 mistakes
  /bad.yaml:2:33: hooks.0.states.1 must be a state of a run: ${runs}
  /bad.yaml:3:5: hooks.1 needs either command or webhook: who is to be told?
  /bad.yaml:4:7: hooks.2.on must be run or step
  /bad.yaml:4:16: hooks.2.command must be a program and its words
  config.example.yaml shows every key with an example`);
  });

  test('a Redis password in a config that everybody may read is refused', () => {
    const file = write('open.yaml', 'redis: { url: "redis://:pass@127.0.0.1:6379" }\n', 0o644);
    expect(() => load(file)).toThrow(/redis\.url holds a password, and everybody may read this file/);
    chmodSync(file, 0o640);
    expect(load(file).redis?.url).toBe('redis://:pass@127.0.0.1:6379');
  });

  test('Redis behind sentinels', () => {
    const secret = write('redis-password', 'geheim\n');
    const text = 'redis: { sentinels: ["h1:1", "[::1]:2"], name: mymaster, password-file: redis-password }\n';
    const { redis } = load(write('config.yaml', text));
    expect(redis && redisPlaceOf(redis)).toEqual({
      sentinels: ['h1:1', '[::1]:2'],
      name: 'mymaster',
      password: 'geheim',
    });
    expect(redis && describeRedis(redis)).toBe('mymaster (of the sentinels at h1:1, [::1]:2)');
    chmodSync(secret, 0o644);
    expect(refusal(text)).toBe(`CONFIG_INVALID  the config has a mistake
  /bad.yaml:1:58: redis.password-file names /redis-password, which everybody may read; it may hold a password: type chmod 600 /redis-password
  config.example.yaml shows every key with an example`);
  });

  test('Redis is either at a URL or behind sentinels', () => {
    const mistake = (place: string, text: string) => `CONFIG_INVALID  the config has a mistake
  /bad.yaml:1:${place}: ${text}
  config.example.yaml shows every key with an example`;
    const needs = 'redis needs url; or sentinels, and name: what they call the primary';
    expect(refusal('redis: {}\n')).toBe(mistake('1', needs));
    expect(refusal('redis: { sentinels: ["h1:1"] }\n')).toBe(mistake('1', needs));
    expect(refusal('redis: { url: "redis://h", name: mymaster }\n')).toBe(
      mistake('1', 'redis has url and what belongs to sentinels: keep one of them'),
    );
    expect(refusal('redis: { sentinels: ["h 1"], name: mymaster }\n')).toBe(
      mistake('22', 'redis.sentinels.0 must be an address such as 192.0.2.11:26379'),
    );
  });

  test('queues have names, and ended runs are kept for a time', () => {
    const text = 'engine: { queues: [Fast], retention: { succeeded: soon, failed: 1d } }\n';
    expect(refusal(text)).toBe(`CONFIG_INVALID  the config has 3 mistakes
  /bad.yaml:1:20: engine.queues.0 must be a name of lower-case letters, digits and hyphens, such as fast
  /bad.yaml:1:40: engine.retention.succeeded must be a duration such as 30s, 10m or 12h
  /bad.yaml:1:57: unknown key engine.retention.failed. Known here: succeeded, other
  config.example.yaml shows every key with an example`);
    const { engine } = load(write('good.yaml', 'engine: { queues: [fast], retention: { other: 90d } }\n'));
    expect(engine).toEqual({ queues: ['fast'], retention: { succeeded: 7 * day, other: 90 * day } });
  });

  test('a named file that is absent is an error of its own', () => {
    expect(() => load(join(dir, 'nothing.yaml'))).toThrow(
      expect.objectContaining({ code: 'CONFIG_MISSING', exitCode: 78 }),
    );
  });
});
