import type { Json } from '../base/json.ts';
import type { RunEvent, Waiting } from '../run/events.ts';
import type { RunState, StepState } from '../run/states.ts';
import type { Decision } from '../task/context.ts';
import type { HoldView, StepError } from './leases.ts';
import type { AuditEntry, RunHead, StepView } from './store.ts';

/** Hold a hash as it is stored. */
export type Texts = Readonly<Record<string, string>>;

/** Hold the hashes of a run as they are stored, by step. */
export interface StoredTexts {
  readonly out: Texts;
  readonly mem: Texts;
}

/** Read the head of a run from its meta hash. */
export function readHead(run: string, meta: Texts, states: readonly StepState[]): RunHead {
  const counts: Partial<Record<StepState, number>> = {};
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  const text = (name: string) => meta[name] ?? '';
  return {
    run,
    state: text('state') as RunState,
    playbook: text('playbook'),
    summary: text('summary'),
    cluster: text('cluster'),
    target: text('target'),
    by: text('by'),
    ...(meta['reason'] !== undefined && { reason: meta['reason'] }),
    planHash: text('planHash'),
    createdMs: Number(meta['createdMs']),
    ...(meta['endedMs'] !== undefined && { endedMs: Number(meta['endedMs']) }),
    steps: states.length,
    counts,
  };
}

/** Read what is known of every step that was touched. */
export function readViews(states: readonly StepState[], texts: StoredTexts, packed: Packed): StepView[] {
  return states.flatMap((state, step) => (state === 'pending' ? [] : [readView(step, state, texts, packed)]));
}

/** Hold packed strings of a run: two times a step, and a bit a step whose act has begun. */
interface Packed {
  readonly times: Buffer;
  readonly did: Buffer;
}

function readView(step: number, state: StepState, texts: StoredTexts, { times, did }: Packed): StepView {
  const memory = (letter: string) => texts.mem[`${step}:${letter}`];
  const [wait, out, err, worker] = [memory('q'), texts.out[step], memory('e'), memory('w')];
  const [begunMs, endedMs, decision] = [timeAt(times, 2 * step), timeAt(times, 2 * step + 1), memory('d')];
  return {
    step,
    state,
    attempt: 1 + Number(memory('n') ?? 0),
    ...(begunMs > 0 && { begunMs }),
    ...(endedMs > 0 && { endedMs }),
    ...(worker !== undefined && { worker }),
    ...(memory('a') !== undefined && { isActing: true }),
    ...(((did[step >> 3] ?? 0) & (0x80 >> (step & 7))) !== 0 && { acted: true }),
    ...(wait !== undefined && state === 'waiting' && { waiting: readWaiting(wait) }),
    ...(out !== undefined && { output: JSON.parse(out) as Json }),
    ...(err !== undefined && { error: JSON.parse(err) as StepError }),
    ...(decision !== undefined && { decision: JSON.parse(decision) as Decision }),
  };
}

/** Read `since|next|json`. */
function readWaiting(text: string): Waiting {
  const [since = '0', next = ''] = text.split('|', 2);
  const rest = JSON.parse(text.slice(since.length + next.length + 2)) as { reason: string };
  return { ...rest, sinceMs: Number(since), ...(next !== '' && { nextAskMs: Number(next) }) };
}

function timeAt(times: Buffer, index: number): number {
  return times.length >= (index + 1) * 8 ? Number(times.readBigInt64BE(index * 8)) : 0;
}

/** Read `expires renew number` of every hold. */
export function readHolds(texts: Texts): HoldView[] {
  return Object.entries(texts).map(([step, text]) => {
    const [expiresMs = 0, renewMs = 0] = text.split(' ').map(Number);
    return { step: Number(step), expiresMs, renewMs };
  });
}

/** Be an entry of a stream: id, then field, value, field, value. */
export type StreamEntry = [id: string, fields: string[]];

/** Read an entry of the event stream. */
export function readEvent([seq, fields]: StreamEntry): RunEvent {
  const { k, s, t, x, d, n } = readFields(fields);
  return {
    seq,
    atMs: timeOf(seq),
    kind: k as RunEvent['kind'],
    ...(s && { step: Number(s) }),
    ...(t && { state: t as StepState | RunState }),
    ...(x && { text: x }),
    ...(d && { data: JSON.parse(d) as Json }),
    ...(n && { count: Number(n) }),
  };
}

/** Read an entry of the audit stream. */
export function readAudit([id, fields]: StreamEntry): AuditEntry {
  const { act = '', by = '', reason, step } = readFields(fields);
  return { atMs: timeOf(id), act, by, ...(reason && { reason }), ...(step && { step: Number(step) }) };
}

function readFields(fields: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < fields.length; at += 2) found[fields[at] ?? ''] = fields[at + 1] ?? '';
  return found;
}

const timeOf = (id: string) => Number(id.split('-')[0]);
