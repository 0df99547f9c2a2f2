import { z } from 'zod';
import { parseDuration } from '../base/duration.ts';
import { runStateNames, stepStates } from '../run/states.ts';
import { queueName } from './queue-name.ts';

/** Highest number of steps that one worker may carry out at a time: each may hold an ssh connection. */
const mostConcurrency = 1000;

const say = (expected: string) => ({ error: `must be ${expected}` });

const text = z.string(say('a text')).min(1, say('a text that is not empty'));
const path = text.meta({ isPath: true });
const words = text.transform((line) => line.trim().split(/\s+/));
const port = z
  .int(say('a port, 1 to 65535'))
  .min(1, say('a port, 1 to 65535'))
  .max(65_535, say('a port, 1 to 65535'));
const duration = z
  .string(say('a duration such as 30s, 10m or 12h'))
  .refine((value) => parseDuration(value) !== undefined, say('a duration such as 30s, 10m or 12h'))
  .transform((value) => parseDuration(value) ?? 0);
const queue = z
  .string(say('a text'))
  .regex(queueName, say('a name of lower-case letters, digits and hyphens, such as fast'));
const folders = z.array(path, say('a list of folders'));

const urlOf = (protocols: readonly string[], example: string) =>
  z
    .string(say(`a URL such as ${example}`))
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
      error: `must be a URL such as ${example}`,
    });

const webUrl = (example: string) => urlOf(['http:', 'https:'], example);

/** Demand a map, and nothing in it that is not listed. Unknown keys are worded by the caller, who knows the near ones. */
const map = <const Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.strictObject(shape, { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map' : undefined) });

const named = <Value extends z.core.SomeType>(value: Value) => z.record(z.string(), value, say('a map'));

const ceph = map({
  via: z.enum(['local', 'ssh', 'cephadm'], say('local, ssh or cephadm')).default('local'),
  host: text.optional(),
  conf: path.optional(),
  keyring: path.optional(),
  name: text.optional(),
  command: words.optional(),
}).refine((value) => value.via !== 'ssh' || value.host !== undefined, {
  error: 'needs host: the admin node on which ceph is called (via: ssh)',
});

const ssh = map({
  user: text.default('root'),
  port: port.default(22),
  key: path.optional(),
  'known-hosts': path.optional(),
  hosts: named(text).default({}),
});

const cluster = map({
  ceph: ceph.prefault({}),
  daemons: z.enum(['systemd'], say('systemd')).default('systemd'),
  ssh: ssh.prefault({}),
});

const matcher = map({
  name: text,
  value: text,
  regex: z.boolean(say('true or false')).default(false),
});

const contact = map({
  mail: text.optional(),
  webhook: webUrl('https://chat.example/hooks/42').optional(),
}).refine((value) => value.mail !== undefined || value.webhook !== undefined, {
  error: 'needs mail or webhook: nobody could be reached',
});

const statesOf: Readonly<Record<'run' | 'step', readonly string[]>> = {
  run: runStateNames(),
  step: Object.keys(stepStates),
};

const hook = map({
  on: z.enum(['run', 'step'], say('run or step')),
  states: z.array(text, say('a list of states')).min(1, say('a list of states, or absent')).optional(),
  playbook: text.optional(),
  command: z
    .array(text, say('a list: a program and its words'))
    .min(1, say('a program and its words'))
    .optional(),
  webhook: webUrl('https://tickets.example/hooks/42').optional(),
  timeout: duration.prefault('10s'),
})
  .refine((value) => (value.command === undefined) !== (value.webhook === undefined), {
    error: 'needs either command or webhook: who is to be told?',
  })
  .superRefine(({ on, states = [] }, context) => {
    for (const [index, state] of states.entries()) {
      if (statesOf[on].includes(state)) continue;
      const message = `must be a state of a ${on}: ${statesOf[on].join(', ')}`;
      context.addIssue({ code: 'custom', path: ['states', index], message });
    }
  });

const sentinel = text.regex(
  /^(\[[0-9a-f:.]+\]|[^:\s]+)(:\d+)?$/i,
  say('an address such as 192.0.2.11:26379'),
);

const redis = map({
  url: urlOf(['redis:', 'rediss:'], 'redis://127.0.0.1:6379/0').optional(),
  sentinels: z.array(sentinel, say('a list of addresses')).min(1, say('a list of addresses')).optional(),
  name: text.optional(),
  'password-file': path.optional(),
}).superRefine(({ url, sentinels, name, 'password-file': password }, { addIssue }) => {
  const refuse = (message: string) => addIssue({ code: 'custom', message });
  const behind = [sentinels, name, password].filter((value) => value !== undefined);
  if (url !== undefined && behind.length > 0)
    refuse('has url and what belongs to sentinels: keep one of them');
  if (url === undefined && (sentinels === undefined || name === undefined))
    refuse('needs url; or sentinels, and name: what they call the primary');
});

/** Hold the whole config as YAML writes it. Paths are marked, so that they can be read relative to their file. */
export const configSchema = map({
  clusters: named(cluster).optional(),
  redis: redis.optional(),
  engine: map({
    lease: duration.optional(),
    poll: duration.optional(),
    concurrency: z
      .int(say(`a whole number, 1 to ${mostConcurrency}`))
      .min(1, say(`a whole number, 1 to ${mostConcurrency}`))
      .max(mostConcurrency, say(`a whole number, 1 to ${mostConcurrency}`))
      .optional(),
    queues: z
      .array(queue, say('a list of names of queues'))
      .min(1, say('a list of names of queues, or absent'))
      .optional(),
    // a week and a month: that is when somebody asks
    retention: map({ succeeded: duration.prefault('7d'), other: duration.prefault('30d') }).prefault({}),
  }).prefault({}),
  monitoring: map({
    alertmanager: map({
      url: webUrl('http://127.0.0.1:9093'),
      matchers: z.array(matcher, say('a list of { name, value, regex }')).optional(),
    }).optional(),
  }).prefault({}),
  mail: map({ 'url-file': path, from: text }).optional(),
  contacts: named(contact).default({}),
  hooks: z.array(hook, say('a list')).default([]),
  tasks: folders.default([]),
  playbooks: folders.default([]),
});

/** Be the config after validation, with kebab-case keys as in the file. */
export type ConfigValues = z.output<typeof configSchema>;

/** Stands for a name that the operator chooses, in the path of a key. */
export const anyName = 'NAME';

/** Describe one key of the config: its path (names chosen by the operator as NAME, members of lists as []). */
export interface ConfigKey {
  readonly path: readonly string[];
  readonly isPath: boolean;
}

/** List every key that the config may have, parents before children. */
export function configKeys(): readonly ConfigKey[] {
  return keysBelow(configSchema, []);
}

function keysBelow(schema: z.core.SomeType, path: readonly string[]): readonly ConfigKey[] {
  const bare = unwrap(schema);
  const child = (name: string, inner: z.core.SomeType): ConfigKey[] => {
    const at = [...path, name];
    return [{ path: at, isPath: isPath(inner) }, ...keysBelow(inner, at)];
  };
  if (bare instanceof z.ZodObject) {
    return Object.entries(bare.shape).flatMap(([name, inner]) => child(name, inner));
  }
  if (bare instanceof z.ZodRecord) return child(anyName, bare.valueType);
  if (bare instanceof z.ZodArray) return child('[]', bare.element);
  return [];
}

function isPath(schema: z.core.SomeType): boolean {
  const bare = unwrap(schema);
  return bare instanceof z.ZodType && bare.meta()?.['isPath'] === true;
}

/** Take off what stands around a type: optional, default, prefault, the way in of a transformation. */
function unwrap(schema: z.core.SomeType): z.core.SomeType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.def.innerType);
  }
  return schema instanceof z.ZodPipe ? unwrap(schema.def.in) : schema;
}
