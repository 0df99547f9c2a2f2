import { z } from 'zod';
import { CephflowError, lastLines } from '../base/errors.ts';
import type { Downtime, DowntimeFound, Monitoring } from '../task/context.ts';

/** Match a label of alerts. `{node}` in the value stands for the node's name (escaped where `regex` is true). */
export interface MatcherTemplate {
  readonly name: string;
  readonly value: string;
  readonly regex: boolean;
}

/** Say where Alertmanager listens, such as `http://127.0.0.1:9093`, and which alerts belong to a node. */
export interface AlertmanagerOptions {
  readonly url: string;
  readonly matchers: readonly MatcherTemplate[];
}

/** Fits the labels of node_exporter and the Ceph mgr: the host name, with or without a port. */
export const defaultMatchers: readonly MatcherTemplate[] = [
  { name: 'instance', value: '{node}(:[0-9]+)?', regex: true },
];

/** Alertmanager answers in milliseconds; a longer silence means that it is not there. */
const answerTimeoutMs = 10_000;

const silences = z.array(
  z.object({
    id: z.string(),
    status: z.object({ state: z.enum(['active', 'pending', 'expired']) }),
    comment: z.string(),
    createdBy: z.string(),
    startsAt: z.string(),
    endsAt: z.string(),
  }),
);

type Silence = z.infer<typeof silences>[number];

/**
 * Hold downtimes as silences of Alertmanager's v2 API. Posting is not idempotent there (measured on 0.25: the same body
 * makes a second silence), so ours are found again by the key in their comment.
 * @throws MONITORING_FAILED (retry) when it does not answer or refuses
 * @see https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
 */
export function createAlertmanager(options: AlertmanagerOptions): Monitoring {
  const find = async (key: string) => {
    const all = silences.safeParse(await request(options.url, 'GET', 'silences'));
    if (!all.success) throw failed(options.url, 'answered with something other than silences', all.error);
    return all.data.filter((one) => one.createdBy === author && keyOf(one) === key);
  };
  return {
    async downtimes(key) {
      return (await find(key)).map(describe);
    },
    async setDowntime(downtime) {
      const ours = (await find(downtime.key)).find((one) => one.status.state !== 'expired');
      const body = silence(options.matchers, downtime);
      // with its id and its own start the silence is moved, not doubled
      await request(
        options.url,
        'POST',
        'silences',
        ours ? { ...body, id: ours.id, startsAt: ours.startsAt } : body,
      );
    },
    async endDowntime(key) {
      const open = (await find(key)).filter((one) => one.status.state !== 'expired');
      for (const one of open) await request(options.url, 'DELETE', `silence/${one.id}`);
    },
  };
}

const author = 'cephflow';
const keyPattern = /\[key ([^\]]+)\]/;
const plannedPattern = /\[until ([^\]]+)\]/;

const keyOf = (one: Silence) => keyPattern.exec(one.comment)?.[1];

/** Seconds by which Alertmanager's clock and rounding may differ from ours. */
const toleranceMs = 2000;

/** A silence that ended before it was meant to was ended by somebody: that is to be respected, not repaired. */
function describe(one: Silence): DowntimeFound {
  const endsAt = new Date(one.endsAt);
  const planned = Date.parse(plannedPattern.exec(one.comment)?.[1] ?? '');
  const wasCutShort = endsAt.getTime() + toleranceMs < planned;
  const over = wasCutShort ? 'ended' : 'lapsed';
  return { id: one.id, endsAt, state: one.status.state === 'expired' ? over : 'active' };
}

function silence(matchers: readonly MatcherTemplate[], downtime: Downtime) {
  const { key, node, comment, startsAt, endsAt } = downtime;
  return {
    matchers: matchers.map(({ name, value, regex }) => ({
      name,
      value: value.replaceAll('{node}', regex ? escapeRegex(node) : node),
      isRegex: regex,
      isEqual: true,
    })),
    startsAt: startsAt.toISOString(),
    endsAt: endsAt.toISOString(),
    createdBy: author,
    comment: `${comment} [key ${key}] [until ${endsAt.toISOString()}]`,
  };
}

/** Host names hold dots, which mean every character in a regular expression. */
const escapeRegex = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

async function request(url: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const target = `${url.replace(/\/$/, '')}/api/v2/${path}`;
  const response = await fetch(target, {
    method,
    signal: AbortSignal.timeout(answerTimeoutMs),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }).catch((cause: unknown) => {
    throw failed(url, 'does not answer', cause);
  });
  const text = await response.text();
  // errors come as JSON or as a bare quoted string: shown as they are, never parsed
  if (!response.ok)
    throw failed(url, `refused ${method} ${path} (HTTP ${response.status}): ${lastLines(text, 3)}`);
  if (method !== 'GET') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw failed(url, 'answered with something other than JSON', cause);
  }
}

function failed(url: string, what: string, cause?: unknown): CephflowError {
  return new CephflowError('MONITORING_FAILED', `Alertmanager at ${url} ${what}`, {
    hint: 'check monitoring.alertmanager.url in the config, and that Alertmanager runs there',
    cause,
  });
}
