import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CephflowError } from '../base/errors.ts';
import { isJsonObject, type Json } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import { type Layers, layConfigFiles, type Place, type Problem, placeKey } from './config-layers.ts';
import { anyName, type ConfigValues, configKeys, configSchema } from './config-schema.ts';

/** Say where configs may lie. `named`: from --config or CEPHFLOW_CONFIG; it is then the only one read. */
export interface ConfigPlaces {
  readonly named?: string | undefined;
  /** `/etc/cephflow` */
  readonly system: string;
  /** `$XDG_CONFIG_HOME/cephflow` */
  readonly user: string;
}

/** Be the validated config, all paths absolute. `files`: what was read, in the order in which later wins. */
export interface Config extends ConfigValues {
  readonly clusters: NonNullable<ConfigValues['clusters']>;
  readonly files: readonly string[];
}

/** Hold how one cluster is reached. */
export type ClusterConfig = Config['clusters'][string];

/**
 * Read the config: a named file alone, or `/etc/cephflow/config.yaml`, `config.d/*.yaml` there and the user's own on
 * top of one another. Without any file: one cluster `ceph`, reached by the local ceph command.
 * @throws CONFIG_MISSING where the named file is absent, CONFIG_INVALID with every problem and its place
 */
export function loadConfig(places: ConfigPlaces): Config {
  const files = places.named === undefined ? findFiles(places) : [requireFile(places.named)];
  const layers = layConfigFiles(files.map((file) => ({ file, text: readFileSync(file, 'utf8') })));
  const resolved = { ...layers, values: resolvePaths(layers.values, [], layers) as Layers['values'] };
  const parsed = configSchema.safeParse(resolved.values);
  const problems = [
    ...layers.problems,
    ...(parsed.success ? [] : parsed.error.issues.flatMap((issue) => problemsOf(issue, layers))),
    ...secretProblems(resolved),
    ...contactProblems(resolved),
  ];
  if (problems.length > 0 || !parsed.success) throw invalid(problems);
  const clusters = parsed.data.clusters ?? configSchema.parse(localCluster).clusters ?? {};
  return { ...parsed.data, clusters, files };
}

const localCluster = { clusters: { ceph: { ceph: { via: 'local', conf: '/etc/ceph/ceph.conf' } } } };

function findFiles({ system, user }: ConfigPlaces): string[] {
  const folder = join(system, 'config.d');
  const parts = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.yaml')) : [];
  const all = [
    join(system, 'config.yaml'),
    ...parts.sort().map((name) => join(folder, name)),
    join(user, 'config.yaml'),
  ];
  return all.filter((file) => existsSync(file));
}

function requireFile(file: string): string {
  if (existsSync(file)) return resolve(file);
  throw new CephflowError('CONFIG_MISSING', `there is no config file ${file}`, {
    hint: 'it was named by --config or CEPHFLOW_CONFIG; config.example.yaml shows every key',
  });
}

const pathKeys = new Set(
  configKeys()
    .filter((key) => key.isPath)
    .map((key) => placeKey(key.path)),
);

/** Paths are relative to the file that says them, so that a config means the same wherever one stands. */
function resolvePaths(value: Json, path: readonly string[], layers: Layers): Json {
  if (isJsonObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, resolvePaths(inner, [...path, key], layers)]),
    );
  }
  if (Array.isArray(value)) {
    return value.map((inner: Json, index) => resolvePaths(inner, [...path, String(index)], layers));
  }
  const file = layers.places.get(placeKey(path))?.file;
  const isPath = typeof value === 'string' && value !== '' && pathKeys.has(placeKey(schemaPath(path)));
  return isPath && file !== undefined ? resolve(dirname(file), value) : value;
}

const namedAt = new Set(
  configKeys()
    .filter((key) => key.path.at(-1) === anyName)
    .map((key) => placeKey(key.path)),
);

/** Put NAME and [] where the operator's own names and the numbers of list members stand. */
function schemaPath(path: readonly PropertyKey[]): readonly string[] {
  const known: string[] = [];
  for (const part of path) {
    const isNamed = namedAt.has(placeKey([...known, anyName]));
    const plain = /^\d+$/.test(String(part)) ? '[]' : String(part);
    known.push(isNamed ? anyName : plain);
  }
  return known;
}

interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

function problemsOf(issue: Issue, layers: Layers): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => {
      const path = [...issue.path, key];
      return { place: placeOf(path, layers), text: unknownKey(path) };
    });
  }
  const { path } = issue;
  return [
    { place: placeOf(path, layers), text: `${path.map(String).join('.')} ${missingOr(issue, layers)}` },
  ];
}

function missingOr({ path, message }: Issue, { places }: Layers): string {
  return path.length > 1 && !places.has(placeKey(path)) ? `is missing: it ${message}` : message;
}

function unknownKey(path: readonly PropertyKey[]): string {
  const parent = schemaPath(path.slice(0, -1));
  const known = configKeys()
    .filter((key) => key.path.length === parent.length + 1)
    .filter((key) => parent.every((part, index) => key.path[index] === part))
    .map((key) => key.path.at(-1) ?? '');
  const guess = didYouMean(String(path.at(-1)), known);
  return `unknown key ${path.map(String).join('.')}.${guess} Known here: ${known.join(', ')}`;
}

/** What is missing has no place of its own: then its nearest parent's. */
function placeOf(path: readonly PropertyKey[], { places }: Layers): Place {
  for (let length = path.length; length > 0; length -= 1) {
    const place = places.get(placeKey(path.slice(0, length)));
    if (place) return place;
  }
  return { file: 'config', line: 1, column: 1 };
}

/** Bits of a file's mode by which everybody may read it. */
const othersRead = 0o004;

function secretProblems(layers: Layers): Problem[] {
  const problems: Problem[] = [];
  const { mail, redis } = layers.values;
  const urlFile = isJsonObject(mail) ? mail['url-file'] : undefined;
  if (typeof urlFile === 'string') {
    const text = secretFileProblem(urlFile);
    if (text) problems.push({ place: placeOf(['mail', 'url-file'], layers), text: `mail.url-file ${text}` });
  }
  const password = isJsonObject(redis) ? redis['password-file'] : undefined;
  const fault = typeof password === 'string' ? secretFileProblem(password) : undefined;
  if (fault) {
    const text = `redis.password-file ${fault}`;
    problems.push({ place: placeOf(['redis', 'password-file'], layers), text });
  }
  const url = isJsonObject(redis) ? redis['url'] : undefined;
  const place = placeOf(['redis', 'url'], layers);
  if (typeof url === 'string' && hasPassword(url) && isWorldReadable(place.file)) {
    const text = `redis.url holds a password, and everybody may read this file: type chmod 640 ${place.file}`;
    problems.push({ place, text });
  }
  return problems;
}

/** A mail address is of no use without a server; found now, and not when a drained node waits for its technicians. */
function contactProblems(layers: Layers): Problem[] {
  const { contacts, mail } = layers.values;
  if (mail !== undefined || !isJsonObject(contacts)) return [];
  const mailed = Object.entries(contacts).filter(
    ([, contact]) => isJsonObject(contact) && contact['mail'] !== undefined,
  );
  return mailed.map(([name]) => ({
    place: placeOf(['contacts', name, 'mail'], layers),
    text: `contacts.${name} has a mail address, and there is no mail server: add mail: { url-file, from }`,
  }));
}

function secretFileProblem(file: string): string | undefined {
  if (!existsSync(file)) return `names ${file}, which does not exist`;
  if (!isWorldReadable(file)) return undefined;
  return `names ${file}, which everybody may read; it may hold a password: type chmod 600 ${file}`;
}

const hasPassword = (url: string) => URL.canParse(url) && new URL(url).password !== '';

const isWorldReadable = (file: string) => (statSync(file).mode & othersRead) !== 0;

function invalid(problems: readonly Problem[]): CephflowError {
  const lines = problems
    .toSorted((a, b) => compare(a.place, b.place))
    .map(({ place, text }) => `  ${place.file}:${place.line}:${place.column}: ${text}`);
  const count = lines.length === 1 ? 'a mistake' : `${lines.length} mistakes`;
  return new CephflowError('CONFIG_INVALID', `the config has ${count}\n${lines.join('\n')}`, {
    hint: 'config.example.yaml shows every key with an example',
  });
}

const compare = (a: Place, b: Place) =>
  a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column;
